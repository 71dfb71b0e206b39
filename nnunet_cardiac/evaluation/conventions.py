"""Numbering of the structures: the commonest silent error between data sets.

ACDC counts RV, MYO, LV and M&Ms LV, MYO, RV. Mixed, left and right are exchanged and every file still looks right.
Names in `dataset.json` tell where they are there; the label maps themselves tell always: the myocardium surrounds the
left cavity, and a prediction overlaps with the structure it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError

#: Known orders, structures from label value 1 on.
ORDERS: dict[str, tuple[str, ...]] = {
    "ACDC": ("RV", "MYO", "LV"),
    "M&Ms": ("LV", "MYO", "RV"),
    "CorSeg": ("MYO", "LV", "RV"),
}
#: By how much another order has to be better, in mean Dice and in the share of the cavity's outline: far more than
#: segmentations differ, far less than exchanged structures do.
_CLEARLY = 0.2
#: Mean Dice from which on another order explains the predictions; below, they are poor in every order.
_FITS = 0.5


def describe_order(labels: Mapping[str, int]) -> str:
    """Name an order, such as `ACDC order (1 RV, 2 MYO, 3 LV)`."""
    ordered = sorted((value, name) for name, value in labels.items() if value != 0)
    listed = ", ".join(f"{value} {name}" for value, name in ordered)
    known = next((k for k, order in ORDERS.items() if tuple(name for _, name in ordered) == order), None)
    return f"{known} order ({listed})" if known else f"({listed})"


def check_same_order(where: tuple[str, str], labels: tuple[Mapping[str, int], Mapping[str, int]]) -> None:
    """Compare what two `dataset.json` say of structures that both name.

    Args:
        where: Names of reference and prediction for the message.
        labels: Their structures.

    Raises:
        UserError: If a structure has two numbers.
    """
    first, second = ({name: value for name, value in side.items() if value != 0} for side in labels)
    if any(first[name] != second[name] for name in first.keys() & second.keys()):
        raise UserError(
            f"{where[1]} numbers the structures in {describe_order(second)}, but {where[0]} in "
            f"{describe_order(first)}. "
            "Add --map-labels to translate the predictions by name, or give folders of one convention."
        )


def check_overlap(where: str, confusion: npt.NDArray[np.integer], labels: Mapping[str, int]) -> None:
    """Look for an exchange of labels between references and predictions.

    Args:
        where: Folder of the predictions for the message.
        confusion: Voxels with reference value i and predicted value j, summed over all cases, (K, K).
        labels: Structure -> label value, without the background; at most 6, or nothing is checked.

    Raises:
        UserError: If the predictions fit the references far better with other numbers.
    """
    values = list(labels.values())
    if not 2 <= len(values) <= 6:
        return
    totals = confusion.sum(axis=1)[:, None] + confusion.sum(axis=0)[None]
    overlap = 2 * confusion / np.maximum(totals, 1)
    best = max(permutations(values), key=lambda order: _mean(overlap, values, order))
    if _mean(overlap, values, best) > max(_FITS, _mean(overlap, values, values) + _CLEARLY):
        meant = dict(zip(labels, best, strict=True))
        given = " ".join(f"{name}={value}" for name, value in meant.items())
        raise UserError(
            f"{where}: the predictions are numbered in {describe_order(meant)}, the references in "
            f"{describe_order(labels)}: read that way the mean Dice over all cases is "
            f"{_mean(overlap, values, best):.2f} instead of "
            f"{_mean(overlap, values, values):.2f}. Name the predictions' own numbers: "
            f"--prediction-labels {given}"
        )


def check_anatomy(where: str, contact: npt.NDArray[np.integer], labels: Mapping[str, int]) -> None:
    """Check that the myocardium surrounds the left cavity.

    Args:
        where: Folder for the message.
        contact: Pixel edges between labels, summed over all cases (`plausibility.contacts`).
        labels: Structure -> label value; nothing is checked unless LV and MYO are among them.

    Raises:
        UserError: If some other structure is clearly better surrounded by another.
    """
    if not {"LV", "MYO"} <= labels.keys():
        return
    names = [name for name in ("LV", "MYO", "RV") if name in labels]
    share = contact / np.maximum(contact.sum(axis=1, keepdims=True), 1)
    enclosed = {(cavity, wall): share[labels[cavity], labels[wall]] for cavity, wall in permutations(names, 2)}
    cavity, wall = max(enclosed, key=lambda pair: enclosed[pair])
    if enclosed[cavity, wall] > enclosed["LV", "MYO"] + _CLEARLY:
        rest = [name for name in names if name not in (cavity, wall)]
        values = [labels[cavity], labels[wall], *(labels[name] for name in rest)]
        meant = dict(zip(("LV", "MYO", "RV"), values, strict=False))
        raise UserError(
            f"{where}: read in {describe_order(labels)}, {100 * enclosed['LV', 'MYO']:.0f} % of the outline of LV "
            f"touch MYO, but {100 * enclosed[cavity, wall]:.0f} % of that of {cavity} touch {wall}. The files look "
            f"like {describe_order(meant)}; correct dataset.json or --labels (--no-order-check skips this)."
        )


def _mean(overlap: npt.NDArray[np.floating], values: Sequence[int], order: Sequence[int]) -> float:
    return float(np.mean([overlap[value, other] for value, other in zip(values, order, strict=True)]))
