"""Cardiac MRI extension of nnU-Net v2.

`CardiacPredictor`, `evaluate` and `plan` are imported when they are asked for: they bring torch, nnU-Net and pandas.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_cardiac.version import __version__

if TYPE_CHECKING:
    from nnunet_cardiac.evaluation.folders import evaluate_folders as evaluate
    from nnunet_cardiac.inference.predictor import CardiacPredictor
    from nnunet_cardiac.planning.plan import plan_configurations as plan

__all__ = ["CardiacPredictor", "__version__", "evaluate", "plan"]

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "setup.cfg").is_file() and (_ROOT / "trainers").is_dir():
    # Source tree: trainers/, architectures/ and cascade/ lie beside this folder. Without this line a Python started
    # in the repository root finds this folder first and none of the other three.
    __path__.append(str(_ROOT))

#: Public name -> module and name there.
_LAZY = {
    "CardiacPredictor": ("nnunet_cardiac.inference.predictor", "CardiacPredictor"),
    "evaluate": ("nnunet_cardiac.evaluation.folders", "evaluate_folders"),
    "plan": ("nnunet_cardiac.planning.plan", "plan_configurations"),
}


def __getattr__(name: str) -> Any:
    """Import a public name.

    Raises:
        AttributeError: If there is none.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, own = _LAZY[name]
    return getattr(importlib.import_module(module), own)
