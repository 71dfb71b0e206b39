"""The kinds of configurations that a trainer has, as data.

`nnunet_cardiac.planning` turns each kind into the entry of a plans file: slice crops and regressors in
`planning/slice_crops.py`, stacks in `planning/stacks.py`, volumes in `planning/volumes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Network:
    """A network in the words of a plans file.

    Attributes:
        path: Dotted path of the class.
        arguments: Those that JSON can hold.
    """

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def to_plans(self) -> dict[str, Any]:
        """Return the `architecture` entry of a plans file."""
        return {"network_class_name": self.path, "arch_kwargs": dict(self.arguments), "_kw_requires_import": []}


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What all kinds have; not for use itself.

    Attributes:
        name: In the plans.
        purpose: One line on what it trains.
        narrow: Network of `plan --small`, about a quarter of the arithmetic; None keeps the usual one.
        short: Fields of the recipe of a short training that differ from the trainer's recipe. `batch_size`,
            `iterations` and `val_iterations` of it are for narrow networks alone.
        needs_paper_plans: Whether only `plan --paper` writes it.
    """

    name: str
    purpose: str
    narrow: Network | None = None
    short: Mapping[str, Any] = field(default_factory=dict)
    needs_paper_plans: bool = False


@dataclass(frozen=True, kw_only=True)
class Planned(Configuration):
    """One of nnU-Net's own configurations, `2d` or `3d_fullres`, on nnU-Net's patches.

    Attributes:
        network: Dotted path of the network.
    """

    network: str


@dataclass(frozen=True, kw_only=True)
class BoxRegressor(Configuration):
    """Regresses the box around some structures on whole slices, and draws it as a segmentation.

    Attributes:
        network: Dotted path of the network.
    """

    network: str


@dataclass(frozen=True, kw_only=True)
class SliceCrop(Configuration):
    """Segments the slices of a stack in a window around the result of a first stage.

    Attributes:
        network: Inside the window; None leaves it to the trainer.
        localiser: Configuration of the first stage.
        margin: Around the box of the first stage on each side, in pixels.
    """

    network: Network | None = None
    localiser: str
    margin: int


@dataclass(frozen=True, kw_only=True)
class WholeStack(Configuration):
    """Segments all slices of a stack together, on an in-plane grid of its own.

    Attributes:
        network: Which network.
    """

    network: Network


@dataclass(frozen=True, kw_only=True)
class VolumeLocaliser(Configuration):
    """Marks the heart in whole volumes of low resolution.

    Attributes:
        network: Dotted path of the network.
    """

    network: str


@dataclass(frozen=True, kw_only=True)
class VolumeCrop(Configuration):
    """Segments the window of a volume around the result of a first stage.

    Attributes:
        network: Dotted path of the network in the window.
        localiser: Configuration of the first stage.
        margin_mm: Around the heart on each side.
    """

    network: str
    localiser: str
    margin_mm: float


@dataclass(frozen=True, kw_only=True)
class JointVolume(Configuration):
    """Trains localiser and segmenter as one network.

    Attributes:
        network: Dotted path of the network.
        low_resolution: Whether it sees whole volumes of low resolution instead of nnU-Net's patches.
    """

    network: str
    low_resolution: bool = False
