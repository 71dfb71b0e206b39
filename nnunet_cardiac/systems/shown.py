"""What the quickstart trains and shows of a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """One system in the quickstart.

    Attributes:
        name: What the page calls it.
        trainer: Base name of its trainer.
        trained: Configuration -> rough seconds of its training on two cores, in the order of training.
        predicted_from: Configuration to predict -> that of the previous stage, or None.
        names: Configuration to evaluate -> its name on the page.
        base: Configuration of nnU-Net's that is planned and preprocessed.
        preprocessed: Configurations with data of their own.
        final: Configuration of the last stage.
        plan_options: Further options of `nnunet_cardiac plan`.
    """

    name: str
    trainer: str
    trained: Mapping[str, float]
    predicted_from: Mapping[str, str | None]
    names: Mapping[str, str]
    base: str = "2d"
    preprocessed: tuple[str, ...] = ()
    final: str = "2d_crop"
    plan_options: tuple[str, ...] = ()
