"""Methods that the compiler leaves alone."""

import sys
from collections.abc import Callable

import torch

__all__ = ["eager"]


def eager(method: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Keep the compiler out of what depends on the data, where the compiler is loaded, as it is by every trainer.

    The plain decorator would import it, which takes longer than a prediction.
    """
    return torch.compiler.disable(method) if "torch._dynamo" in sys.modules else method
