"""Loading of nnU-Net checkpoints without running code that may be hidden in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnunet_cardiac.checks.checkpoint import check_checkpoint
from nnunet_cardiac.errors import UserError

#: Entries of a checkpoint that prediction needs.
_NEEDED = ("network_weights", "init_args", "trainer_name")


def load_checkpoint(path: Path, trusted: bool = False) -> dict[str, Any]:
    """Load a checkpoint of nnU-Net.

    Args:
        path: Such as `fold_0/checkpoint_final.pth`.
        trusted: Whether a file with unknown types may be unpickled, which runs whatever code it holds.

    Returns:
        The checkpoint's content, tensors on the CPU.

    Raises:
        UserError: If the file is missing or damaged, holds types that only a trusted file may hold, or is no checkpoint
            of nnU-Net.
    """
    if not Path(path).is_file():
        check_checkpoint(path)
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, AttributeError) as error:
        check_checkpoint(path)
        if not trusted:
            raise UserError(_refusal(path)) from error
        content = torch.load(path, map_location="cpu", weights_only=False)
    except (RuntimeError, EOFError, OSError) as error:
        check_checkpoint(path)
        raise UserError(f"{path}: cannot be read ({error}).") from error
    missing = [key for key in _NEEDED if not isinstance(content, dict) or key not in content]
    if missing:
        raise UserError(f"{path}: no checkpoint of nnU-Net; it has no {', '.join(missing)}.")
    return content


def _numpy_scalars() -> list[Any]:
    """What nnU-Net's log of losses adds to tensors and plain types: numpy's scalars."""
    scalar = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "u1", "?")]
    names = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    return [*names, np.dtype, *dtypes]


def _refusal(path: Path) -> str:
    try:
        unknown = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # only for the message; the pickle may be anything
        unknown = []
    known = {"numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
    names = ", ".join(name for name in unknown if name not in known) or "content that is not plain data"
    return (
        f"{path}: holds {names}. Loading it can run code: an nnU-Net checkpoint is a pickle, and a pickle may call any "
        "function. Expected are tensors, numbers and text only. If you made this file yourself or trust who did, add "
        "--trust-checkpoint."
    )
