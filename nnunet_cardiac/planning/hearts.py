"""Sizes of the hearts and images of a preprocessed data set, from which windows and patches follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from tqdm import tqdm

from nnunet_cardiac.cascade.roi import RegionRule, find_region
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow.folders import dataset_number

#: Room in the inference patch for images larger than any of the training set.
_ROOM, _LEAST_SLICES = 1.25, 24

#: The window holds the enlarged box of this share of the training cases; larger hearts get several windows.
_COVERED_PERCENT = 95

#: Images longer than this many times the median are left out where a size has to suit all.
_OUTLIER = 1.5


@dataclass(frozen=True)
class HeartGeometry:
    """Sizes of a preprocessed data set, in voxels of the working grid.

    Attributes:
        boxes: Sides (y, x) of the enlarged in-plane box of the heart of each case.
        shapes: Image shape (z, y, x) of each case.
    """

    boxes: list[tuple[int, int]]
    shapes: list[tuple[int, int, int]]

    def window(self, multiple: int = 16) -> tuple[int, int]:
        """Square window, a multiple of `multiple`, that holds the box of 95 percent of the cases."""
        side = float(np.percentile([max(box) for box in self.boxes], _COVERED_PERCENT))
        return (math.ceil(side / multiple) * multiple,) * 2

    def inference_patch(self, room: float = _ROOM, multiple: int = 32) -> list[int]:
        """Patch (z, y, x) that covers every stack of the data set, and larger unseen ones, in one tile.

        What is padded costs nothing where a network works on the window only.

        Args:
            room: Factor on the largest image in-plane.
            multiple: What its sides are multiples of.
        """
        depth, height, width = (max(axis) for axis in zip(*self.shapes, strict=True))
        in_plane = (math.ceil(n * room / multiple) * multiple for n in (height, width))
        return [max(math.ceil(depth * _ROOM), _LEAST_SLICES), *in_plane]

    def whole_slice_patch(self, multiple: int = 32) -> list[int]:
        """Patch (z, y, x) that holds whole slices, for networks that see an image in a frame of fixed size.

        One image of an unusual size must not make the heart small in all others: images with a side above 1.5 times
        the median do not count, and are shrunk into the patch as a whole.
        """
        sides = np.array(self.shapes)[:, 1:]
        usual = sides[(sides <= _OUTLIER * np.median(sides, axis=0)).all(1)]
        depth = max(math.ceil(max(shape[0] for shape in self.shapes) * _ROOM), _LEAST_SLICES)
        return [depth, *(math.ceil(n / multiple) * multiple for n in usual.max(0).tolist())]


def measure_hearts(
    folder: Path | str,
    margin: int,
    progress: bool = True,
    centre_labels: Sequence[int] | None = None,
    ignore: int | None = None,
) -> HeartGeometry:
    """Measure the hearts of a preprocessed data set.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        margin: Safety margin in pixels per side, as in :class:`RegionRule`.
        progress: Whether to show a progress bar.
        centre_labels: Labels on whose box the window will be centred; the boxes reported then have that centre and
            hold all labels. None means all labels.
        ignore: Value of pixels without a reference, which are no heart.

    Returns:
        Boxes and shapes; cases without any label have a shape but no box.

    Raises:
        UserError: If the folder is missing or no case has a label.
    """
    boxes, shapes = [], []
    for labels in reference_labels(folder, "2d", progress, ignore):
        shapes.append(tuple(labels.shape))
        centre = labels > 0 if centre_labels is None else np.isin(labels, centre_labels)
        if centre.any():
            boxes.append(centred_box(labels > 0, centre, margin))
    require_hearts(folder, boxes, shapes)
    return HeartGeometry(boxes, shapes)


def reference_labels(
    folder: Path | str, configuration: str, progress: bool, ignore: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the reference labels (Z, Y, X) of a preprocessed data set, case by case.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        configuration: What it was preprocessed for, for the message.
        progress: Whether to show a progress bar.
        ignore: Value of pixels without a reference; they come out as background.

    Raises:
        UserError: If the folder is missing or empty.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(
            f"{folder}: no preprocessed data. Preprocess first: "
            f"nnUNetv2_preprocess -d {dataset_number(folder.parent)} -c {configuration} "
            f"-plans_name {folder.name.removesuffix(f'_{configuration}')}"  # of which nnU-Net makes the folder's name
        )
    dataset = infer_dataset_class(str(folder))(str(folder))
    for identifier in tqdm(dataset.identifiers, desc="measuring hearts", disable=not progress):
        labels = np.asarray(dataset.load_case(identifier)[1][:])[0]
        yield labels if ignore is None else np.where(labels == ignore, 0, labels)


def require_hearts(folder: Path | str, boxes: Sequence[Any], shapes: Sequence[Any]) -> None:
    """Refuse a data set without any labelled voxel.

    Raises:
        UserError: If there are no boxes.
    """
    if not boxes:
        raise UserError(f"{folder}: none of {len(shapes)} cases has a labelled voxel; check labelsTr.")


def centred_box(mask: np.ndarray, centre: np.ndarray, margin: int) -> tuple[int, int]:
    """Size of the in-plane box that holds a heart and is centred on a part of it.

    Args:
        mask: Whole heart (Z, Y, X); the box holds its largest component with the margin.
        centre: Part whose own enlarged box gives the centre.
        margin: Pixels on each side, clipped at the border of the image.

    Returns:
        Sides (y, x) in pixels.
    """
    box, middle = (find_region(m, RegionRule((16, 16), margin=margin)).box for m in (mask, centre))
    rows, columns = (
        max(first + last - 2 * start, 2 * stop - first - last)
        for start, stop, first, last in zip(box.start, box.stop, middle.start, middle.stop, strict=True)
    )
    return rows, columns
