"""What is unusual in a raw data set but allowed: notes, not problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nnunet_cardiac.images.image_file import Header

#: The networks of this package halve a slice four times. nnU-Net pads smaller slices, which costs time, not accuracy.
DIVISOR = 16


@dataclass(frozen=True)
class CheckedCase:
    """What was seen of one case, in the axis order of nnU-Net.

    Attributes:
        name: Identifier.
        shape: Voxels along z, y, x; a 2D file has one slice.
        spacing: Voxel size along z, y, x in mm; a 2D file has none along z, which is given as 1.
        values: Distinct values of the label map.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    values: frozenset[float]

    @classmethod
    def of(cls, name: str, header: Header, values: frozenset[float]) -> CheckedCase:
        """Turn a header (x, y[, z]) round."""
        x, y, z = (*header.size, 1)[:3]
        spacing_x, spacing_y, spacing_z = (*header.spacing, 1.0)[:3]
        return cls(name, (z, y, x), (spacing_z, spacing_y, spacing_x), values)


def notes_of(cases: Sequence[CheckedCase], anatomies: Mapping[str, int], ignore: int | None = None) -> Iterator[str]:
    """Yield one sentence for each kind of peculiarity, with the number of cases and the first of them."""
    kinds: list[tuple[Callable[[CheckedCase], bool], str]] = [
        (lambda case: case.shape[0] == 1, "one slice only; right for long-axis views, and nothing for a 3D network"),
        (lambda case: min(case.shape[1:]) < DIVISOR, f"slices smaller than {DIVISOR} voxels; nnU-Net pads them"),
        (lambda case: case.values <= {0}, "an empty label file; it teaches background only"),
        (lambda case: ignore in case.values, "voxels without a reference (ignore label); loss and metrics skip them"),
        (lambda case: case.values == {ignore}, "no annotated voxel; nothing can be learned or measured there"),
    ]
    for applies, sentence in kinds:
        names = [case.name for case in cases if applies(case)]
        if names:
            yield f"{len(names)} of {len(cases)} cases (first {names[0]}): {sentence}."
    for anatomy, value in anatomies.items():
        if not any(value in case.values for case in cases):
            yield f"{anatomy} (label {value}) occurs in no label file; no network can learn it."
