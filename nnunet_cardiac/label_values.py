"""What the values of a label map mean: background, structures, and pixels without a reference.

nnU-Net leaves the pixels of the label named `ignore` out of loss and metrics. It must have the highest value, so that
`labels > 0` counts it as a structure; `structure_mask` does not. Nothing here imports numpy: the functions take arrays
and tensors of any library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnunet_cardiac.errors import UserError

#: Name that nnU-Net gives to pixels without a reference in `dataset.json`.
IGNORE = "ignore"


def ignore_label(labels: Mapping[str, Any]) -> int | None:
    """Value of pixels without a reference, or None if a data set has no such value.

    Args:
        labels: The `labels` entry of a `dataset.json`, name -> value.
    """
    return labels.get(IGNORE)


def structure_values(labels: Mapping[str, Any]) -> dict[str, int]:
    """Name -> value of the structures alone: without the background and without the ignore label.

    Args:
        labels: The `labels` entry of a `dataset.json`, name -> value.
    """
    return {name: value for name, value in labels.items() if value != 0 and name != IGNORE}


def structure_mask(label_map: Any, ignore: int | None) -> Any:
    """Where a label map (array or tensor of any shape) holds a structure: boolean, of the same shape.

    Args:
        label_map: Values; 0 is background, and what nnU-Net marks with a negative value is outside the image.
        ignore: Of `ignore_label`.
    """
    mask = label_map > 0
    return mask if ignore is None else mask & (label_map != ignore)


def ignored_mask(label_map: Any, ignore: int | None) -> Any:
    """Where a label map (array or tensor of any shape) has no reference: boolean, of the same shape.

    Args:
        label_map: Values.
        ignore: Of `ignore_label`; with None the mask is False everywhere.
    """
    return label_map != label_map if ignore is None else label_map == ignore


def refuse_regions(labels: Mapping[str, Any], where: str) -> None:
    """Refuse labels that are no single numbers, such as nnU-Net's region labels.

    Args:
        labels: The `labels` entry of a `dataset.json`, name -> value.
        where: File or option, for the message.

    Raises:
        UserError: If a value is no whole number.
    """
    wrong = {name: value for name, value in labels.items() if not isinstance(value, int) or isinstance(value, bool)}
    if wrong:
        name, value = next(iter(wrong.items()))
        raise UserError(
            f"{where}: label {name!r} is {value!r}; expected one whole number for each structure. Region labels (lists "
            "of values with regions_class_order) are not supported, because every network here decides for one "
            "structure a pixel. Give each structure a number of its own, or train one of nnU-Net's own trainers."
        )


def check_ignore_is_highest(labels: Mapping[str, Any], where: str) -> None:
    """Refuse an ignore label that nnU-Net would refuse without a word on the file.

    Args:
        labels: The `labels` entry of a `dataset.json`, name -> whole number.
        where: File, for the message.

    Raises:
        UserError: If another label has a higher value.
    """
    highest = max(labels.values(), default=0)
    if ignore_label(labels) not in (None, highest):
        raise UserError(
            f"{where}: the label {IGNORE!r} is {labels[IGNORE]}, and the highest value is {highest}; nnU-Net needs "
            f"{IGNORE!r} to be the highest. Renumber the label files and dataset.json."
        )
