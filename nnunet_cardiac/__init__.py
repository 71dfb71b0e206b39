"""Cardiac MRI extension of nnU-Net v2."""

from pathlib import Path

from nnunet_cardiac.version import __version__

__all__ = ["__version__"]

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "setup.cfg").is_file() and (_ROOT / "trainers").is_dir():
    # Source tree: trainers/, architectures/ and cascade/ lie beside this folder. Without this line a Python started
    # in the repository root finds this folder first and none of the other three.
    __path__.append(str(_ROOT))
