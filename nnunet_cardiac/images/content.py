"""What an image shows, however it is stored: finds volumes that were taken from the same picture.

A print of a volume is a set of numbers, one for each constellation of bright points in a plane. A point is a pixel that
is brighter than all others around it. A constellation is four points that lie close together; its number follows from
their distances, in the order of their brightness. So a print stays as it is, or loses numbers and gains none, where

- rows, columns and slices are flipped or exchanged, because distances stay,
- intensities are rescaled, because the order of brightness stays; where they are rounded, points vanish,
- slices or the border are cut off, because the rest keeps its constellations.

Of two such volumes, the smaller print is a part of the larger one. Measured on 248 volumes of four sources (ACDC, M&Ms,
Sunnybrook, LASC): all of the smaller print is found after any of these changes, 46 % at least after a bias field of
40 %, 16 % at least with noise of 0.5 % of the 99th percentile. Two patients share at most 1 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Print = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Scale:
    """What is a point, and what a constellation.

    Attributes:
        radius: A point is the brightest pixel of the square of this many pixels around it, to each side.
        reach: The three others of a constellation are at most this many pixels away from its brightest point.
        shortest: Planes with a shorter side have no constellations of this scale.
        longest: Nor have planes whose shorter side is longer.
        second: Its numbers are those from 2 ** 63 on, so that prints of each scale are compared by themselves.
    """

    radius: int
    reach: float
    shortest: int
    longest: float
    second: bool


#: Small images have too few points of the first scale; the second would tell large ones less well apart.
_SCALES = (_Scale(4, 20.0, 12, float("inf"), False), _Scale(3, 14.0, 20, 64, True))

#: Volumes with more constellations keep those of the smallest numbers, which are a fair sample of any picture.
LARGEST_PRINT = 2**16

#: Two volumes are of one picture if they share this part of the smaller print, and this many numbers.
LEAST_SHARE, LEAST_SHARED = 0.1, 4

#: In how many volumes to the next in the list a number is followed; chains of copies stay connected.
_FOLLOWED = 16

_SECOND = np.uint64(2**63)
_MULTIPLIER, _START = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class Repeated:
    """Two volumes of one picture.

    Attributes:
        first: Name of one.
        second: Name of the other.
        share: Part of the smaller print that both have.
    """

    first: str
    second: str
    share: float


def content_print(voxels: npt.NDArray[Any]) -> Print:
    """Return the print of a volume.

    Args:
        voxels: Two or three axes in any order. Constellations are looked for in the planes across each axis, because
            a header may not tell which axis the slices lie along; planes that are narrower than a point's
            surroundings, as across the rows of a short stack, have none.

    Returns:
        Distinct numbers, ascending; empty if the image has too few bright points, as a constant one.
    """
    volume = np.atleast_3d(np.asarray(voxels))
    if volume.dtype.kind in "fc" and not np.isfinite(volume).all():
        volume = np.nan_to_num(volume, nan=0.0, posinf=0.0, neginf=0.0)
    found = [n for axis in range(3) for scale in _SCALES for n in _numbers_of(np.moveaxis(volume, axis, 0), scale)]
    numbers = np.unique(np.concatenate([np.empty(0, np.uint64), *found]))
    return np.concatenate([own[:LARGEST_PRINT] for own in _by_scale(numbers)])


def find_repeated(prints: Mapping[str, Print], owners: Mapping[str, str] | None = None) -> list[Repeated]:
    """Find the volumes that were taken from the same picture.

    Of more than two such volumes not every pair is listed, but they are connected by those that are.

    Args:
        prints: Name of a volume -> print.
        owners: Name -> patient; pairs of one patient are left out.
    """
    names = sorted(prints)
    shares: dict[tuple[str, str], float] = {}
    for of_scale in zip(*(_by_scale(prints[name]) for name in names), strict=True):
        for i, j, common in _in_common(of_scale):
            pair = names[i], names[j]
            if owners is None or owners[pair[0]] != owners[pair[1]]:
                share = common / min(_sizes(of_scale[i], of_scale[j]))
                shares[pair] = max(share, shares.get(pair, 0.0))
    return [Repeated(*pair, share) for pair, share in sorted(shares.items()) if share >= LEAST_SHARE]


def _by_scale(own: Print) -> tuple[Print, Print]:
    first = int(np.searchsorted(own, _SECOND))
    return own[:first], own[first:]


def _in_common(prints: Sequence[Print]) -> Iterator[tuple[int, int, int]]:
    """Yield the pairs that have at least `LEAST_SHARED` numbers in common, and how many."""
    numbers = np.concatenate([np.empty(0, np.uint64), *prints])
    owner = np.repeat(np.arange(len(prints)), [len(own) for own in prints])
    order = np.argsort(numbers, kind="stable")  # so that the owners of a number ascend
    numbers, owner = numbers[order], owner[order]
    common = [np.empty(0, np.int64)]
    for step in range(1, _FOLLOWED + 1):
        same = np.flatnonzero(numbers[step:] == numbers[:-step])
        if not len(same):
            break
        common.append(owner[same] * len(prints) + owner[same + step])
    pairs, counts = np.unique(np.concatenate(common), return_counts=True)
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        if count >= LEAST_SHARED:
            yield (*divmod(pair, len(prints)), count)


def _sizes(first: Print, second: Print) -> tuple[int, int]:
    """Return how many numbers of two prints are in the range that both cover."""
    limit = min(own[-1] if len(own) >= LARGEST_PRINT else np.uint64(2**64 - 1) for own in (first, second))
    return int(np.searchsorted(first, limit, "right")), int(np.searchsorted(second, limit, "right"))


def _numbers_of(planes: npt.NDArray[Any], scale: _Scale) -> Iterator[Print]:
    """Yield the numbers of all constellations in the planes across the first axis."""
    if not scale.shortest <= min(planes.shape[1:]) <= scale.longest:
        return
    points, rank = _bright_points(planes, scale.radius)
    if len(points) < 4:
        return
    apart = points * np.array([2.0 * scale.reach, 1.0, 1.0])  # points of different planes are never near
    near = cKDTree(apart).query_pairs(scale.reach, output_type="ndarray")
    near = near[rank[near[:, 0]] != rank[near[:, 1]]]
    swapped = rank[near[:, 0]] < rank[near[:, 1]]
    near[swapped] = near[swapped][:, ::-1]
    top, other = near[np.lexsort((-rank[near[:, 1]], near[:, 0]))].T
    brightness, row, column = rank[other], points[other, 1], points[other, 2]
    to_top = (points[top, 1] - row) ** 2 + (points[top, 2] - column) ** 2
    for second, third, fourth in _quads(top, brightness):
        between = ((second, third), (second, fourth), (third, fourth))
        yield _hashed(
            [to_top[second], to_top[third], to_top[fourth]]
            + [(row[a] - row[b]) ** 2 + (column[a] - column[b]) ** 2 for a, b in between],
            scale.second,
        )


def _bright_points(planes: npt.NDArray[Any], radius: int) -> tuple[Indices, Indices]:
    """Return the places (plane, row, column) of the points, and their ranks by brightness; equal ones rank alike."""
    width, inside = 2 * radius + 1, slice(radius, -radius)
    planes = np.ascontiguousarray(planes)
    highest = _highest(_highest(planes, 2, width), 1, width)
    core = planes[:, inside, inside]
    peaks = core == highest
    # Higher than the neighbours to its sides: this keeps large areas of one value out of the last step.
    rows, columns = planes[:, radius - 1 : 1 - radius, inside], planes[:, inside, radius - 1 : 1 - radius]
    for lower in (rows[:, :-2], rows[:, 2:], columns[:, :, :-2], columns[:, :, 2:]):
        peaks &= core > lower
    plane, row, column = np.nonzero(peaks)
    around = np.lib.stride_tricks.sliding_window_view(planes, (width, width), axis=(1, 2))[plane, row, column]
    values = core[plane, row, column]
    alone = (around == values[:, None, None]).sum(axis=(1, 2)) == 1
    _, rank = np.unique(values[alone], return_inverse=True)
    return np.stack([plane, row, column], axis=1)[alone], rank


def _highest(planes: npt.NDArray[Any], axis: int, width: int) -> npt.NDArray[Any]:
    """Return the largest value of every run of `width` pixels; runs double, which is faster than SciPy's filter."""
    run = 1
    planes = np.moveaxis(planes, axis, 0)
    while run < width:
        step = min(run, width - run)
        planes = np.maximum(planes[:-step], planes[step:])
        run += step
    return np.moveaxis(planes, 0, axis)


def _quads(top: Indices, brightness: Indices) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Yield constellations as three rows of a list of pairs that have their brightest point in common.

    Args:
        top: The brighter point of each pair, equal ones side by side.
        brightness: Rank of the darker one, descending beside each `top`; no two of a constellation are equal.
    """
    second = np.arange(len(top))
    pairs = [np.stack([second[chosen], end]) for chosen, end in _darker(second, top, brightness)]
    if pairs:
        second, third = np.concatenate(pairs, axis=1)
        for chosen, fourth in _darker(third, top, brightness):
            yield second[chosen], third[chosen], fourth


def _darker(rows: Indices, top: Indices, brightness: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield places in `rows`, and for each a later row with the same `top` and less brightness; every such row once."""
    chosen = np.arange(len(rows))
    for step in range(1, len(top)):
        chosen = chosen[rows[chosen] + step < len(top)]
        chosen = chosen[top[rows[chosen] + step] == top[rows[chosen]]]
        if not len(chosen):
            return
        darker = chosen[brightness[rows[chosen] + step] < brightness[rows[chosen]]]
        yield darker, rows[darker] + step


def _hashed(columns: list[Indices], second: bool) -> Print:
    """Return one number for each row of columns, the same in every process and version."""
    numbers = np.full(len(columns[0]), _START)
    for column in columns:
        numbers ^= column.astype(np.uint64)
        numbers *= _MULTIPLIER
        numbers ^= numbers >> np.uint64(29)
    return numbers | _SECOND if second else numbers & ~_SECOND
