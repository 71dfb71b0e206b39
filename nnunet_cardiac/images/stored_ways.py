"""How the images of a data set are stored: in one way or in several, and whether their headers can be true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import (
    IDENTITY,
    Way,
    canonical_way,
    directions,
    parallel_to_body,
    says_how_it_lies,
    slice_axis,
)

#: Slices of a short-axis stack are at least so many times as thick as its pixels are wide, and fewer than this number.
_THICK, _FEW = 3.0, 30

_CONVERT = "nnunet_cardiac convert generic writes every image and label in one way"


@dataclass(frozen=True)
class StoredWays:
    """How a list of images is stored.

    Attributes:
        names: `Way.code` of :func:`nnunet_cardiac.images.orientation.canonical_way` -> images, the most frequent way
            first; without the images whose file does not say how it lies.
        without_direction: Those images.
        lost: Whether all headers lie parallel to the axes of the body, although the voxels are those of short-axis
            stacks, which are oblique: a program lost the directions.
    """

    names: Mapping[str, tuple[str, ...]]
    without_direction: tuple[str, ...]
    lost: bool

    @property
    def total(self) -> int:
        """Number of images."""
        return sum(self.counts.values()) + len(self.without_direction)

    @property
    def counts(self) -> dict[str, int]:
        """`Way.code` -> number of images, the most frequent way first."""
        return {code: len(images) for code, images in self.names.items()}

    @property
    def usual(self) -> Way | None:
        """The way of most images, as :func:`canonical_way` gives it; None if most do not say how they lie."""
        code, images = next(iter(self.names.items()), ("", ()))
        return Way.of(code) if len(images) > len(self.without_direction) else None

    @property
    def one_way(self) -> bool:
        """Whether all images are known to be stored in one way."""
        return len(self.names) == 1 and not self.without_direction

    def sentences(self, subject: str = "training images") -> Iterator[str]:
        """Yield what a person should know before training, a paragraph a fact; nothing for images stored in one way.

        Args:
            subject: What the images are, in the plural.
        """
        nothing_known = self.without_direction and not self.names
        if len(self.names) > 1:
            shown = "; ".join(
                f"{len(images)} {_name_of(code)} (first {images[0]})" for code, images in self.names.items()
            )
            yield (
                f"The {subject} are stored in {len(self.names)} ways: {shown}. (The letters are the file's axes that "
                "run where x, y and z of a canonical image do.) nnU-Net ignores the directions in the headers and "
                f"learns flipped or turned hearts. {_CONVERT}."
            )
        if nothing_known:
            yield (
                f"None of the {self.total} {subject} says how it lies in the patient, so that nobody can tell whether "
                "they are all stored in one way. They are taken as stored, and images to predict have to be stored in "
                "the same way. If the original files have directions, convert those: nnunet_cardiac convert generic."
            )
        elif self.without_direction:
            yield (
                f"{len(self.without_direction)} of {self.total} {subject} (first {self.without_direction[0]}) do not "
                "say how they lie in the patient; they are taken as stored, and may lie in another way than the rest. "
                "If their original files have directions, convert those: nnunet_cardiac convert generic."
            )
        if self.lost:
            yield (
                f"All headers of the {subject} lie parallel to the axes of the body, but the voxels are those of "
                "short-axis stacks, which are oblique: a program lost the directions, as in the archive of ACDC. It "
                "cannot be known how the images lie; their headers are taken as they are. If the original files have "
                "directions, convert those: nnunet_cardiac convert generic. There is nothing to do if the stacks are "
                "axial."
            )


def stored_ways(headers: Mapping[str, Header]) -> StoredWays:
    """Find how images are stored.

    Args:
        headers: Name -> header of its image.
    """
    names: dict[str, list[str]] = {}
    without = [name for name, header in headers.items() if not says_how_it_lies(header)]
    for name, header in headers.items():
        if says_how_it_lies(header):
            names.setdefault(canonical_way(header).code, []).append(name)
    ordered = sorted(names.items(), key=lambda item: -len(item[1]))  # stable: the first found of equally frequent ones
    known = [header for header in headers.values() if says_how_it_lies(header)]
    return StoredWays({code: tuple(images) for code, images in ordered}, tuple(without), looks_lost(known))


def looks_lost(headers: Sequence[Header]) -> bool:
    """Whether headers of short-axis stacks all lie parallel to the axes of the body.

    Args:
        headers: Of files that say how they lie. Where one is oblique, the others may be true as well.
    """
    parallel = all(parallel_to_body(directions(header)) for header in headers)
    return parallel and sum(map(_few_thick_slices, headers)) > len(headers) / 2


def _few_thick_slices(header: Header) -> bool:
    """Whether the voxels may be those of a short-axis stack."""
    across = slice_axis(header.size, header.spacing, directions(header))
    in_plane = max(mm for axis, mm in enumerate(header.spacing[:3]) if axis != across)
    return 1 < header.size[across] < _FEW and header.spacing[across] >= _THICK * in_plane


def _name_of(code: str) -> str:
    return f"{code}, which is canonical," if code == IDENTITY.code else code
