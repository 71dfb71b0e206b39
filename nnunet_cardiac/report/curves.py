"""Training curves from the log files that nnU-Net 2.8 writes beside its checkpoints.

The text log is read because the checkpoint, the only other record of these numbers, takes torch to unpickle and is
written every 50 epochs only. A resumed training leaves several logs; the later one wins where epochs repeat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.report.palette import INK, STRUCTURE_COLOURS

_NUMBER = r"nan|[-+]?inf|[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?"
_LINE = re.compile(r":\d\d(?:\.\d+)?: (?P<text>.*?)\s*$")
_FIELDS = {
    "epoch": re.compile(r"Epoch (\d+)"),
    "train_loss": re.compile(rf"train_loss ({_NUMBER})"),
    "val_loss": re.compile(rf"val_loss ({_NUMBER})"),
    "pseudo_dice": re.compile(r"Pseudo dice \[(.*)\]"),
    "seconds": re.compile(rf"Epoch time: ({_NUMBER}) s"),
}
#: NumPy 2 prints list entries as `np.float64(0.9)`, NumPy 1 as `0.9`.
_DICE_ENTRY = re.compile(rf"(?:^|[ (])({_NUMBER})(?=[),]|$)")


@dataclass(frozen=True)
class TrainingCurve:
    """Numbers of E complete epochs and K foreground classes.

    Attributes:
        epoch: Epoch numbers from 0 (E,).
        train_loss: Mean training loss (E,).
        val_loss: Mean validation loss (E,).
        pseudo_dice: Dice over the voxels of the validation batches (E, K); not the Dice of whole cases.
        seconds: Duration of each epoch (E,).
    """

    epoch: npt.NDArray[np.int64]
    train_loss: npt.NDArray[np.float64]
    val_loss: npt.NDArray[np.float64]
    pseudo_dice: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]


def read_training_log(folder: Path) -> TrainingCurve:
    """Read all `training_log_*.txt` of a fold.

    Args:
        folder: Fold folder of a trained model, for example `.../nnUNetTrainer__nnUNetPlans__2d/fold_0`.

    Returns:
        One entry for each complete epoch, in order. An epoch that was interrupted is left out.

    Raises:
        UserError: If there is no log or no complete epoch in it.
    """
    logs = sorted(Path(folder).glob("training_log_*.txt"), key=_started)
    if not logs:
        raise UserError(f"{folder}: no training_log_*.txt; expected the fold folder of a model trained by nnU-Net.")
    epochs: dict[int, dict[str, str]] = {}
    for log in logs:
        for record in _records(log.read_text(encoding="utf-8", errors="replace")):
            epochs[int(record["epoch"])] = record
    if not epochs:
        raise UserError(f"{folder}: {logs[-1].name} holds no complete epoch; let the training run for at least one.")
    records = [epochs[number] for number in sorted(epochs)]
    return TrainingCurve(
        epoch=np.array(sorted(epochs)),
        train_loss=_column(records, "train_loss"),
        val_loss=_column(records, "val_loss"),
        pseudo_dice=np.array([[float(d) for d in _DICE_ENTRY.findall(r["pseudo_dice"])] for r in records]),
        seconds=_column(records, "seconds"),
    )


def curve_figure(curve: TrainingCurve, structures: Sequence[str] = ()) -> Figure:
    """Plot losses and pseudo Dice side by side.

    Args:
        curve: Numbers to plot.
        structures: Names of the K classes in the order of their values; numbered if they do not fit.

    Returns:
        Figure of 9 × 2.6 inches on white.
    """
    classes = curve.pseudo_dice.shape[1]
    names = list(structures) if len(structures) == classes else [f"class {k + 1}" for k in range(classes)]
    figure = Figure(figsize=(9.0, 2.6), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    marker = "o" if len(curve.epoch) == 1 else None  # a line through one epoch shows nothing
    left.plot(curve.epoch, curve.train_loss, color=INK, marker=marker, label="training")
    left.plot(curve.epoch, curve.val_loss, color=INK, marker=marker, linestyle="--", label="validation")
    for k, name in enumerate(names):
        colour = STRUCTURE_COLOURS.get(name)
        right.plot(curve.epoch, curve.pseudo_dice[:, k], color=colour, marker=marker, label=name)
    right.set_ylim(0, 1)
    _finish(left, "Loss")
    _finish(right, "Pseudo Dice (validation batches)")
    return figure


def _started(log: Path) -> tuple[int, ...]:
    # the month and day in the file name are not padded with zeros, so the names do not sort by time
    return tuple(int(number) for number in re.findall(r"\d+", log.stem))


def _records(text: str) -> list[dict[str, str]]:
    complete: list[dict[str, str]] = []
    current: dict[str, str] = {}
    for line in text.splitlines():
        message = _LINE.search(line)
        for name, pattern in _FIELDS.items():
            if message and (match := pattern.fullmatch(message["text"])):
                current = {name: match[1]} if name == "epoch" else {**current, name: match[1]}
                if len(current) == len(_FIELDS):
                    complete.append(current)
    return complete


def _column(records: Sequence[dict[str, str]], name: str) -> npt.NDArray[np.float64]:
    return np.array([float(record[name]) for record in records])


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel("epoch", fontsize=9, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
