"""The learning curves of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.report.curves import curve_figure, read_training_log
from nnunet_cardiac.report.formats import duration, number
from nnunet_cardiac.report.parts import Picture, Section
from nnunet_cardiac.report.plots import svg_bytes


def training_section(trainings: Mapping[str, Path], labels: Sequence[str]) -> Section:
    """Loss and pseudo Dice by epoch.

    Args:
        trainings: Name -> fold folder that nnU-Net trained into.
        labels: Names of the classes, background included; left out where their number does not fit.

    Raises:
        UserError: If a folder holds no log of a training.
    """
    structures = [name for name in labels if name != "background"]
    return Section("training", "Training", [_curve(name, folder, structures) for name, folder in trainings.items()])


def _curve(name: str, folder: Path, structures: Sequence[str]) -> Picture:
    curve = read_training_log(folder)
    total, mean = float(curve.seconds.sum()), float(curve.seconds.mean())
    return Picture(
        data=svg_bytes(curve_figure(curve, structures)),
        alternative=f"Loss and pseudo Dice by epoch, {name}",
        caption=f"{len(curve.epoch)} epochs, {duration(total)}, {number(mean, 1)} s per epoch",
        name=name,
    )
