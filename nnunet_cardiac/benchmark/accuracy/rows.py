"""The rows of the table of all systems, each with the stages that it trains. Without torch.

A row whose last stage differs from another one by switches of the network gets a configuration of its own in the plans,
copied from the planned one, so that both share what stands before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems.entries import CLASSIFIER_GUIDED, DR_UNET, JOINT_DR_UNET

_HALSR_NET = "nnunet_cardiac.architectures.halsr_net.HALSRNet"

#: nnU-Net's own trainer.
STOCK = "nnUNetTrainer"

#: The row that all others are tested against.
REFERENCE = "nnunet-2d"

#: Runs of before this date, of rows with one of these configurations, were trained on other windows, runs of slices or
#: statistics than they predicted on; see `Row.predicted_on_other_samples`.
SAME_SAMPLES_SINCE = "2026-11-30"
_TOUCHED = ("2d_crop", "2d_roi", "2d_stack", "3d_crop", "3d_locate")

#: Recipes by name -> what they are.
RECIPES: dict[str, str] = {
    "short": "the system's recipe for short trainings (that of `nnunet_cardiac plan --short`), nnU-Net's augmentation",
    "plain": "the same with the augmentation of the system's paper",
    "paper": "optimiser, rate, schedule, loss and augmentation of the system's paper",
    "nnunet": "nnU-Net's optimiser, rate, schedule, loss and augmentation",
}


@dataclass(frozen=True)
class Stage:
    """One network of a row.

    Attributes:
        configuration: Its name in the plans.
        like: Planned configuration that it is a copy of; None means that it is planned itself.
        network: Dotted path of the network and its switches, where they differ from the planned ones.
        localises: Whether it only says where the heart is: it keeps a recipe of its own.
        pool_z: Whether the slice axis is pooled, too ("Keep Z" off).
        samples: Multiple of the budget's samples, or minutes.
    """

    configuration: str
    like: str | None = None
    network: tuple[str, Mapping[str, Any]] | None = None
    localises: bool = False
    pool_z: bool = False
    samples: float = 1.0

    @property
    def planned(self) -> str:
        """Configuration that `plan` or nnU-Net's planner makes."""
        return self.like or self.configuration


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: Name in the table.
        system: Heading under which it is listed.
        trainer: Trainer of all its stages.
        stages: First stage first.
        base: nnU-Net's configurations that are preprocessed for it.
        planner: nnU-Net's planner.
        plans: Name of the plans that this planner writes.
        recipes: Names of the recipes that it is trained with, the default first.
        largest_component: Whether everything outside the largest component of the foreground is removed.
    """

    title: str
    system: str
    trainer: str
    stages: tuple[Stage, ...]
    base: tuple[str, ...] = ("2d",)
    planner: str = "ExperimentPlanner"
    plans: str = "nnUNetPlans"
    recipes: tuple[str, ...] = tuple(RECIPES)
    largest_component: bool = False

    @property
    def stock(self) -> bool:
        """Whether it is nnU-Net's own."""
        return self.trainer == STOCK

    def predicted_on_other_samples(self, date: str) -> bool:
        """Whether a run of that date, in ISO 8601, judged also the difference between training and prediction."""
        return date < SAME_SAMPLES_SINCE and any(stage.planned.startswith(_TOUCHED) for stage in self.stages)

    @property
    def family(self) -> str:
        """What its plans are called: those of rows that share stages are the same."""
        return self.plans.removesuffix("Plans") if self.stock else self.trainer.removesuffix("Trainer")


def _nnunet(title: str, *stages: Stage, **options: Any) -> Row:
    return Row(title, "nnU-Net", STOCK, stages, recipes=("nnunet",), **options)


def _crocnet(title: str, *crop: str) -> Row:
    return Row(title, "CroCNet", "CroCNetTrainer", (Stage("2d"), *map(Stage, crop)))


def _halsr(title: str, *stages: Stage) -> Row:
    return Row(title, "HALSR-Net", "HALSRNetTrainer", stages)


def _guided(title: str, configuration: str, **switches: Any) -> Row:
    stage = Stage(configuration)
    if configuration not in ("2d_stack", "2d_stack_single"):
        stage = Stage(configuration, "2d_stack", (CLASSIFIER_GUIDED, switches))
    return Row(title, "Classifier-guided", "ClassifierGuidedTrainer", (stage,))


def _dr_unet(title: str, *stages: Stage, trainer: str = "DRUNetTrainer") -> Row:
    return Row(title, "3D DR-UNet", trainer, stages, base=("3d_fullres",))


_ROI, _LOCATE = Stage("2d_roi", localises=True), Stage("3d_locate", localises=True)
_POOLED = {"keep_z": False}

#: Name for `--system` -> row, in the order of the documentation.
ROWS: dict[str, Row] = {
    REFERENCE: _nnunet("nnU-Net 2d", Stage("2d")),
    "nnunet-2d-largest": _nnunet("nnU-Net 2d, largest component", Stage("2d"), largest_component=True),
    "nnunet-2d-double": _nnunet("nnU-Net 2d, twice the budget", Stage("2d_double", "2d", samples=2.0)),
    "nnunet-3d": _nnunet("nnU-Net 3d_fullres", Stage("3d_fullres"), base=("3d_fullres",)),
    "nnunet-resenc-m": _nnunet(
        "nnU-Net ResEnc-M 2d", Stage("2d"), planner="nnUNetPlannerResEncM", plans="nnUNetResEncUNetMPlans"
    ),
    "crocnet-first-stage": _crocnet("CroCNet, first stage (E-2A U-Net)"),
    "crocnet-single": _crocnet("CroCNet, one network", "2d_crop_single"),
    "crocnet-uncoupled": _crocnet("CroCNet, uncoupled", "2d_crop_uncoupled"),
    "crocnet": _crocnet("CroCNet", "2d_crop"),
    "halsr": _halsr("HALSR-Net", _ROI, Stage("2d_crop")),
    "halsr-no-roi": _halsr("HALSR-Net without ROI", Stage("2d")),
    "halsr-no-hapm": _halsr(
        "HALSR-Net without HAPM", _ROI, Stage("2d_crop_no_hapm", "2d_crop", (_HALSR_NET, {"hapm_at": "none"}))
    ),
    "halsr-no-reconstruction": _halsr(
        "HALSR-Net without reconstruction",
        _ROI,
        Stage("2d_crop_no_reconstruction", "2d_crop", (_HALSR_NET, {"recon_fusion": "none"})),
    ),
    "guided-ss": _guided("Seg (SS)", "2d_stack_single"),
    "guided-ss-ref": _guided("Seg (SS) + Ref (SS w/o MT)", "2d_stack_ss_ref", fusion=False, classifier=None),
    "guided-ss-ref-mt": _guided("Seg (SS) + Ref (SS w/ MT)", "2d_stack_ss_ref_mt", fusion=False),
    "guided-as": _guided("Seg (AS)", "2d_stack_as", ref=False, classifier=None),
    "guided-as-mt": _guided("Seg (AS + MT)", "2d_stack_as_mt", ref=False, classifier="seg"),
    "guided-as-ref": _guided("Seg (AS) + Ref (AS w/o MT)", "2d_stack_as_ref", classifier=None),
    "guided": _guided("Seg (AS) + Ref (AS w/ MT)", "2d_stack"),
    "dr-unet-full": _dr_unet("DR-UNet, full volume", Stage("3d_fullres")),
    "dr-unet-full-pool-z": _dr_unet(
        "DR-UNet, full volume, Keep-Z off",
        Stage("3d_fullres_pool_z", "3d_fullres", (DR_UNET, _POOLED), pool_z=True),
    ),
    "dr-unet": _dr_unet("DR-UNet, multi-stage", _LOCATE, Stage("3d_crop")),
    "dr-unet-pool-z": _dr_unet(
        "DR-UNet, multi-stage, Keep-Z off",
        _LOCATE,
        Stage("3d_crop_pool_z", "3d_crop", (DR_UNET, _POOLED), pool_z=True),
    ),
    "dr-unet-end-to-end": _dr_unet("DR-UNet, end to end", Stage("3d_joint"), trainer="DRUNetEndToEndTrainer"),
    "dr-unet-end-to-end-pool-z": _dr_unet(
        "DR-UNet, end to end, Keep-Z off",
        Stage("3d_joint_pool_z", "3d_joint", (JOINT_DR_UNET, _POOLED), pool_z=True),
        trainer="DRUNetEndToEndTrainer",
    ),
}


def find_row(name: str) -> Row:
    """Return a row by its name.

    Raises:
        UserError: If there is none.
    """
    if name not in ROWS:
        raise UserError(f"--system {name}: no such row; choose one of {', '.join(ROWS)}.")
    return ROWS[name]


def choose_recipe(row: Row, name: str | None) -> str:
    """Return the recipe that a row is trained with; by default `short`, and nnU-Net's own for nnU-Net.

    Raises:
        UserError: If it is none of the row's.
    """
    if name is None:
        return row.recipes[0]
    if name not in row.recipes:
        raise UserError(
            f"--recipe {name}: {row.title} is trained with {' or '.join(row.recipes)}; a baseline with another recipe "
            "would no longer be one. Leave --recipe out."
            if row.stock
            else f"--recipe {name}: no such recipe; choose one of {', '.join(row.recipes)}."
        )
    return name
