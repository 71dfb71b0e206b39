"""Prediction with a trained system, all stages in memory: images, cine series and DICOM studies in, label maps out."""

from __future__ import annotations

from typing import Any

__all__ = ["CardiacPredictor"]


def __getattr__(name: str) -> Any:
    """Import the predictor, and torch with it, when it is asked for."""
    if name == "CardiacPredictor":
        from nnunet_cardiac.inference.predictor import CardiacPredictor

        return CardiacPredictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
