"""One picture of everything the phantom makes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from nnunet_cardiac.phantom.groups import GROUPS
from nnunet_cardiac.phantom.left_atrium import make_left_atrium
from nnunet_cardiac.phantom.long_axis import make_long_axis
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.short_axis import make_study
from nnunet_cardiac.phantom.styles import STYLES

COLUMNS = 8
#: Field of view of a tile in mm.
FIELD_MM = 215.0


def draw_contact_sheet(path: str | Path, seed: int = 0) -> Path:
    """Draw groups, phases, levels, contrast styles, four-chamber views and a late-enhancement atrium.

    Args:
        path: PNG file to write.
        seed: Seed of the first patient.
    """
    figure = Figure(figsize=(COLUMNS * 1.35, (len(GROUPS) + 2) * 1.46), dpi=96, facecolor="black")
    axes = figure.subplots(len(GROUPS) + 2, COLUMNS)
    for row, (index, group) in zip(axes, enumerate(GROUPS), strict=False):
        _draw_group(row, seed + index, group)
    _draw_views(axes[-2], seed)
    _draw_styles_and_atrium(axes[-1], seed)
    figure.subplots_adjust(0.002, 0.002, 0.998, 0.978, 0.02, 0.12)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial_{path.name}")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L").save(partial, format="PNG", optimize=True)
    os.replace(partial, path)
    return path


def _draw_group(row: Array, seed: int, group: str) -> None:
    """Four levels from base to apex, at end-diastole and then at end-systole."""
    study = make_study(seed, group, style="bssfp", phases_only=True)
    used = np.flatnonzero((study.labels[0] > 0).any(axis=(1, 2)))
    levels = np.linspace(used[-1] + 0.4, used[0] + 1, 4).round().astype(int)
    pixel = study.geometry.spacing_mm[1]
    for phase, name in enumerate(("ED", "ES")):
        for column, level in enumerate(levels):
            title = f"{group} {name}, LVEF {study.left.ef_percent:.0f} %" if column == 0 else ""
            image = study.images[phase]
            level = min(int(level), image.shape[0] - 1)
            _show(row[4 * phase + column], image[level], pixel, title, float(np.percentile(image, 99.4)))


def _draw_views(row: Array, seed: int) -> None:
    """Four-chamber views of four groups, end-diastole and end-systole."""
    for column, group in zip((0, 2, 4, 6), ("NOR", "DCM", "HCM", "RV"), strict=True):
        study = make_long_axis(seed + list(GROUPS).index(group), group, style="bssfp", phases_only=True)
        for phase, name in enumerate(("ED", "ES")):
            image = study.images[phase, 0]
            vmax = float(np.percentile(image, 99.0))
            _show(row[column + phase], image, study.geometry.spacing_mm[1], f"4CH {group} {name}", vmax)


def _draw_styles_and_atrium(row: Array, seed: int) -> None:
    """The contrast styles, the label map, and four levels of a late-enhancement atrium."""
    for axis, style in zip(row, STYLES, strict=False):
        study = make_study(seed + 3, "NOR", style=style, phases_only=True)
        image, level = study.images[0], int(0.6 * study.images.shape[1])
        _show(axis, image[level], study.geometry.spacing_mm[1], f"style {style}", float(np.percentile(image, 99.4)))
    _show(row[3], study.labels[0, level], study.geometry.spacing_mm[1], "labels", 3.0)
    atrium = make_left_atrium(seed, slices=44)
    for axis, level in zip(row[4:], (15, 20, 25, 30), strict=True):
        vmax = float(np.percentile(atrium.image, 99.7))
        _show(axis, atrium.image[level], atrium.geometry.spacing_mm[1], f"LGE atrium, slice {level}", vmax)


def _show(axis: Axes, image: Array, pixel_mm: float, title: str, vmax: float) -> None:
    half = 0.5 * FIELD_MM / pixel_mm
    middle = 0.5 * np.array(image.shape)
    axis.imshow(image, cmap="gray", vmin=0.0, vmax=vmax, interpolation="bilinear")
    axis.set_xlim(max(middle[1] - half, 0), min(middle[1] + half, image.shape[1] - 1))
    axis.set_ylim(min(middle[0] + half, image.shape[0] - 1), max(middle[0] - half, 0))
    axis.set_title(title, color="white", fontsize=5.5, pad=2, loc="left")
    axis.axis("off")
