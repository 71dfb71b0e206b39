"""A short-axis cine series of single-frame DICOM files, addressed by instance number.

Read with SimpleITK, which nnU-Net brings. Contours of old challenges name an instance and nothing else, so the number
is what everything hangs on here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.checks.image_file import explained
from nnunet_cardiac.errors import UserError

_TAGS = {
    "series": "0020|000e",
    "description": "0008|103e",
    "number": "0020|0013",
    "position": "0020|0032",
    "orientation": "0020|0037",
    "spacing": "0028|0030",
    "thickness": "0018|0050",
}
#: Positions along the normal that differ by less are one slice.
_SAME_PLACE_MM = 0.1


@dataclass(frozen=True)
class Instance:
    """One image file.

    Attributes:
        path: The file.
        series: Identifier of its series.
        description: Description of the series.
        number: Instance number.
        position: Centre of the first pixel, mm.
        orientation: Directions of the x and the y index, shape (2, 3).
        spacing_mm: Pixel size (x, y).
        thickness_mm: Slice thickness.
        shape: Pixels (y, x).
    """

    path: Path
    series: str
    description: str
    number: int
    position: np.ndarray
    orientation: np.ndarray
    spacing_mm: tuple[float, float]
    thickness_mm: float
    shape: tuple[int, int]


@dataclass(frozen=True)
class CineStack:
    """Slices of one series, each with the same number of frames.

    Attributes:
        slices: For each slice, in the order of the normal, its frames in the order of their instance numbers.
        steps_mm: Distances of neighbouring slices.
    """

    slices: tuple[tuple[Instance, ...], ...]
    steps_mm: tuple[float, ...]

    @property
    def frames(self) -> int:
        """Frames of the cycle."""
        return len(self.slices[0])

    def places(self) -> dict[int, tuple[int, int]]:
        """Return instance number -> slice and frame, both from 0."""
        return {image.number: (z, t) for z, images in enumerate(self.slices) for t, image in enumerate(images)}

    def image(self, frame: int, first: int = 0, last: int | None = None) -> sitk.Image:
        """Read one frame of the slices `first` to `last` (excluded)."""
        column = [images[frame] for images in self.slices[first:last]]
        image = sitk.GetImageFromArray(np.stack([_pixels(instance.path) for instance in column]))
        x, y = column[0].orientation
        image.SetSpacing((*column[0].spacing_mm, self.slice_distance_mm()))
        image.SetOrigin(column[0].position.tolist())
        image.SetDirection(np.column_stack([x, y, np.cross(x, y)]).ravel().tolist())
        return image

    def slice_distance_mm(self) -> float:
        """Return the usual distance of slices; the thickness if there is one slice only."""
        return float(np.median(self.steps_mm)) if self.steps_mm else self.slices[0][0].thickness_mm


def read_instances(paths: Sequence[Path]) -> list[Instance]:
    """Read the headers of DICOM images; files without an image plane, such as reports, are left out.

    Raises:
        UserError: If a file cannot be read.
    """
    found = []
    for path in paths:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        with explained(path):
            reader.ReadImageInformation()
        text = {name: reader.GetMetaData(tag).strip() for name, tag in _TAGS.items() if reader.HasMetaDataKey(tag)}
        if {"series", "number", "position", "orientation", "spacing"} <= set(text):
            row, column = _numbers(text["spacing"])  # DICOM: distance of rows first
            found.append(
                Instance(
                    path,
                    text["series"],
                    text.get("description", ""),
                    int(text["number"]),
                    np.array(_numbers(text["position"])),
                    np.reshape(_numbers(text["orientation"]), (2, 3)),
                    (column, row),
                    float(text.get("thickness") or 1.0),
                    reader.GetSize()[1::-1],
                )
            )
    return found


def find_cine(instances: Sequence[Instance], numbers: set[int], folder: Path) -> CineStack:
    """Find the short-axis cine series that has certain instances.

    Args:
        instances: All images of a patient.
        numbers: Instance numbers that it has to have.
        folder: For the message.

    Raises:
        UserError: If no series, or more than one, fits.
    """
    by_series = _grouped(instances, lambda image: image.series)
    if all(len(images) == 1 for images in by_series.values()):  # some tools give every file a series of its own
        by_series = _grouped(instances, lambda image: f"{image.path.parent}/{image.path.name.rpartition('-')[0]}")
    stacks = {key: stack for key, images in by_series.items() if (stack := stack_of(images, numbers)) is not None}
    fitting = [key for key, stack in stacks.items() if numbers <= set(stack.places())]
    named = [key for key in fitting if "SAX" in by_series[key][0].description.upper().replace(" ", "")]
    chosen = named if len(fitting) > 1 and named else fitting
    if len(chosen) != 1:
        shown = "; ".join(_describe(images) for images in by_series.values()) or "no image"
        raise UserError(
            f"{folder}: {len(chosen)} series fit the contours, which need a cine stack with the instances "
            f"{min(numbers)} to {max(numbers)}; expected one. Found {shown}. Remove what is not short axis, or leave "
            "the patient out with --skip."
        )
    return stacks[chosen[0]]


def _grouped(instances: Sequence[Instance], key: Callable[[Instance], str]) -> dict[str, list[Instance]]:
    groups: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        groups[key(instance)].append(instance)
    return groups


def stack_of(images: Sequence[Instance], numbers: set[int]) -> CineStack | None:
    """Sort a series into slices and frames; None if it is no cine stack.

    A slice that was taken twice has a multiple of the others' frames. The take that holds most of `numbers` counts, or
    the last one, as on the scanner.
    """
    normal = np.cross(*images[0].orientation)
    if len({image.number for image in images}) < len(images):
        return None
    if any(not np.allclose(image.orientation, images[0].orientation, atol=1e-3) for image in images):
        return None
    by_place: dict[int, list[Instance]] = defaultdict(list)
    for image in images:
        by_place[round(float(image.position @ normal) / _SAME_PLACE_MM)].append(image)
    counts = [len(column) for column in by_place.values()]
    frames = max(set(counts), key=counts.count)
    if frames < 2 or any(count % frames for count in counts):
        return None
    places = sorted(by_place)
    slices = [_best_take(by_place[place], frames, numbers) for place in places]
    heights = [float(column[0].position @ normal) for column in slices]
    return CineStack(tuple(map(tuple, slices)), tuple(float(step) for step in np.diff(heights)))


def _best_take(column: Sequence[Instance], frames: int, numbers: set[int]) -> list[Instance]:
    ordered = sorted(column, key=lambda image: image.number)
    takes = [ordered[start : start + frames] for start in range(0, len(ordered), frames)]
    return max(reversed(takes), key=lambda take: sum(image.number in numbers for image in take))


def _pixels(path: Path) -> np.ndarray:
    with explained(path):
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    array = sitk.GetArrayFromImage(image)
    return array[0] if array.ndim == 3 else array


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split("\\")]


def _describe(images: Sequence[Instance]) -> str:
    numbers = [image.number for image in images]
    places = len({tuple(image.position.round(1)) for image in images})
    name = images[0].description or images[0].path.parent.name
    return f"{name!r} ({len(images)} images at {places} places, instances {min(numbers)} to {max(numbers)})"
