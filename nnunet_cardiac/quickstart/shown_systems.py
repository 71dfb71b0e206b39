"""The systems that the quickstart can show: what is trained, from what, and what the page calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class QuickstartSystem:
    """One system.

    Attributes:
        name: What the page calls it.
        trainer: Base name of its trainer.
        trained: Configuration -> rough seconds of its training on two cores, in the order of training.
        predicted_from: Configuration to predict -> that of the previous stage, or None.
        shown: Configuration to evaluate -> its name on the page.
        base: Configuration of nnU-Net's that is planned and preprocessed.
        preprocessed: Configurations with data of their own.
        final: Configuration of the last stage.
        plan_options: Further options of `nnunet_cardiac plan`.
    """

    name: str
    trainer: str
    trained: Mapping[str, float]
    predicted_from: Mapping[str, str | None]
    shown: Mapping[str, str]
    base: str = "2d"
    preprocessed: tuple[str, ...] = ()
    final: str = "2d_crop"
    plan_options: tuple[str, ...] = ("--margin", "6")


SYSTEMS: dict[str, QuickstartSystem] = {
    "crocnet": QuickstartSystem(
        name="CroCNet",
        trainer="CroCNetTrainer",
        trained={"2d": 95, "2d_crop": 125},
        predicted_from={"2d": None, "2d_crop": "2d"},
        shown={"2d": "Stage 1, E-2A U-Net", "2d_crop": "Stage 2, CroCNet"},
    ),
    "halsr": QuickstartSystem(
        name="HALSR-Net",
        trainer="HALSRNetTrainer",
        trained={"2d": 120, "2d_roi": 60, "2d_crop": 100},
        predicted_from={"2d": None, "2d_roi": None, "2d_crop": "2d_roi"},
        shown={"2d": "Whole slices", "2d_crop": "In the regressed region"},
    ),
    "classifier-guided": QuickstartSystem(
        name="The classifier-guided network",
        trainer="ClassifierGuidedTrainer",
        trained={"2d_stack_single": 100, "2d_stack": 200},
        predicted_from={"2d_stack_single": None, "2d_stack": None},
        shown={"2d_stack_single": "One stage, slice by slice", "2d_stack": "Two stages, all slices, classifier"},
        preprocessed=("2d_stack",),
        final="2d_stack",
        plan_options=(),
    ),
    "dr-unet": QuickstartSystem(
        name="3D DR-UNet",
        trainer="DRUNetTrainer",
        trained={"3d_fullres": 150, "3d_locate": 80, "3d_crop": 140},
        predicted_from={"3d_fullres": None, "3d_locate": None, "3d_crop": "3d_locate"},
        shown={"3d_fullres": "Whole volumes", "3d_crop": "In the window around the activation map"},
        base="3d_fullres",
        preprocessed=("3d_locate",),
        final="3d_crop",
        plan_options=(),
    ),
}
