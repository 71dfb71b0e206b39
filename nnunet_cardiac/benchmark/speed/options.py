"""What a speed measurement is told, and which networks it is of. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.kinds import BoxRegressor, Planned, SliceCrop

#: Kinds of configurations whose networks take slices, where the trainer is one of slices.
_OF_SLICES = (Planned, BoxRegressor, SliceCrop)

#: Takes the place of a trainer: nnU-Net's own 2d network.
REFERENCE = "nnU-Net"


@dataclass(frozen=True)
class SpeedOptions:
    """How to measure. Every network gets the same.

    Attributes:
        patch: Height and width of an image in pixels.
        window: Side in pixels of the square window of cropping configurations.
        batch: Images in a batch.
        channels: Image channels.
        classes: Output channels, background included.
        device: `cpu`, `cuda` or `mps`.
        threads: Processor threads of torch.
        precision: `float32`, or the type of autocast, `bf16` or `fp16`.
        rounds: Timed rounds; in each, every network makes one forward pass and one training step.
        compile: Whether to compile the networks.
        memory: Whether to measure the peak memory.
        seed: Seed of weights and images.
    """

    patch: tuple[int, int] = (256, 224)
    window: int = 128
    batch: int = 2
    channels: int = 1
    classes: int = 4
    device: str = "cpu"
    threads: int = 1
    precision: str = "float32"
    rounds: int = 5
    compile: bool = False
    memory: bool = True
    seed: int = 0


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network to measure.

    Attributes:
        trainer: Name in the registry, or `REFERENCE`.
        configuration: Configuration of the trainer.
        channels: Channels of its input.
        size: Height and width of its input in pixels.
    """

    trainer: str
    configuration: str
    channels: int
    size: tuple[int, int]

    @property
    def label(self) -> str:
        """Name for tables and messages."""
        return f"{self.trainer} {self.configuration}"

    @property
    def reference(self) -> MeasuredNetwork:
        """nnU-Net's 2d network for the same input."""
        return MeasuredNetwork(REFERENCE, "2d", self.channels, self.size)


def slice_trainers() -> dict[str, list[str]]:
    """Trainers with those of their configurations whose networks take slices."""
    slices = {}
    for name, facts in TRAINERS.items():
        if not facts.is_for_volumes:
            slices[name] = [one.name for one in facts.configurations if isinstance(one, _OF_SLICES)]
    return {name: entries for name, entries in slices.items() if entries}


def choose(trainers: Sequence[str] | None, configurations: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the pairs of trainer and configuration to measure, in the order of the registry; those of slices alone.

    Args:
        trainers: Names in the registry; None takes all.
        configurations: Names of configurations, each of at least one of the trainers; None takes all.

    Raises:
        UserError: If a name is unknown.
    """
    measurable = slice_trainers()
    trainers = tuple(measurable) if trainers is None else trainers
    _refuse_unknown("trainer", trainers, tuple(measurable))
    known = [(name, entry) for name in measurable if name in trainers for entry in measurable[name]]
    if configurations is None:
        return known
    _refuse_unknown("configuration", configurations, tuple(dict.fromkeys(entry for _, entry in known)))
    return [(name, entry) for name, entry in known if entry in configurations]


def _refuse_unknown(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"unknown {kind} {', '.join(map(repr, unknown))}; choose from {', '.join(known)}.")
