"""What a user may say of a plan, and which values of a plans file each option decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

_ARGUMENTS = ("architecture", "arch_kwargs")

#: Option -> keys of the values that it decides in an entry.
_DECIDES: dict[str, tuple[tuple[str, ...], ...]] = {
    "window": ((*_ARGUMENTS, "window"),),
    "margin": ((*_ARGUMENTS, "margin"),),
    "per_slice": ((*_ARGUMENTS, "per_slice"),),
    "mask_outside": ((*_ARGUMENTS, "mask_outside"),),
    "heart_only": ((*_ARGUMENTS, "heart_only"),),
    "jitter": (("jitter",),),
    "coarse_labels": (("coarse_labels",),),
    "localiser": (("previous_stage",), ("coarse_trainer",)),
    "localiser_trainer": (("coarse_trainer",),),
}


#: Kinds of plans that `plan` writes beside nnU-Net's own; endings of the names of their files.
KINDS = SMALL, SHORT, PAPER = "Small", "Short", "Paper"


class ShownOptions(TypedDict):
    """What a window of slices shows, as arguments of a region rule."""

    per_slice: bool
    mask_outside: bool
    heart_only: bool


@dataclass(frozen=True)
class CropOptions:
    """What a user may say of the crop; see :class:`nnunet_cardiac.cascade.roi.RegionRule`.

    None is what a user has not said: an entry that is there keeps its value, a new one gets the default.

    Attributes:
        window: Side of the square window in pixels; by default from the data set.
        margin: Safety margin in pixels, in mm for volumes; by default the paper's.
        per_slice: One box per slice instead of one per stack; by default not.
        mask_outside: Zero the window outside the enlarged box; by default not.
        heart_only: Show the network the coarse heart alone, and no other pieces of the coarse labels; the default.
        jitter: Largest shift of a training window in pixels; by default 8 pixels, or 10 mm for volumes.
        coarse_labels: `predicted` or `simulated`; by default the system's.
        small: Write plans of another name with networks of half the width and a recipe for short trainings, for
            machines without a GPU.
        short: Write plans of another name with this recipe for the networks of full width.
        paper: Write plans of another name with the grid, preprocessing and recipe of the paper.
        localiser: Configuration to crop from; by default the system's own.
        localiser_trainer: Trainer of that configuration; by default the same.
    """

    window: int | None = None
    margin: int | None = None
    per_slice: bool | None = None
    mask_outside: bool | None = None
    heart_only: bool | None = None
    jitter: int | None = None
    coarse_labels: str | None = None
    small: bool = False
    short: bool = False
    paper: bool = False
    localiser: str | None = None
    localiser_trainer: str | None = None

    @property
    def kind(self) -> str:
        """Kind of the plans, which is the ending of their name: `Small`, `Short`, `Paper` or empty."""
        return SMALL if self.small else SHORT if self.short else PAPER if self.paper else ""

    @property
    def shown(self) -> ShownOptions:
        """What a window of slices shows, as arguments of a region rule, with defaults filled in."""
        return {
            "per_slice": bool(self.per_slice),
            "mask_outside": bool(self.mask_outside),
            "heart_only": self.heart_only is not False,
        }

    @property
    def given(self) -> dict[str, Any]:
        """What was said of the crop, JSON-ready."""
        return {name: getattr(self, name) for name in _DECIDES if getattr(self, name) is not None}


def with_options(given: Mapping[str, Any]) -> CropOptions:
    """Return options from their JSON form; what this version does not know is left out."""
    known = {field.name for field in fields(CropOptions)}
    return CropOptions(**{name: value for name, value in given.items() if name in known})


def remembered(earlier: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return earlier options, changed by those that are given now.

    Another localiser has its own trainer, so the one that was named for the earlier localiser is forgotten.
    """
    stale = {"localiser_trainer"} if "localiser" in given else set()
    return {**{name: value for name, value in earlier.items() if name not in stale}, **given}


def decided_values(given: Iterable[str], remembered: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return the keys of the values of an entry that options decide.

    Args:
        given: Names of the options on the command line.
        remembered: Options that hold, with those of earlier runs. A window that is measured depends on the margin, and
            on what the localiser finds.
    """
    names = set(given)
    if names & {"margin", "localiser"} and "window" not in remembered:
        names.add("window")
    return {path for name in names for path in _DECIDES[name]}
