"""Figures as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from nnunet_cardiac.files import replacing
from nnunet_cardiac.report.overlay import overlay_figure
from nnunet_cardiac.report.overlay_case import OverlayCase

DPI = 160


def png_bytes(figure: Figure, dpi: int = DPI) -> bytes:
    """Render a figure as PNG with at most 256 colours.

    Greys and a few hues are all there is in these figures, and a palette makes the file less than half as large.

    Args:
        figure: Figure to draw.
        dpi: Pixels for each inch.

    Returns:
        Content of the PNG file.
    """
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi)
    packed = io.BytesIO()
    palette = Image.open(raw).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(packed, format="png", optimize=True)
    return packed.getvalue()


def write_overlay_figure(path: Path, cases: Sequence[OverlayCase], *, max_slices: int = 6, dpi: int = DPI) -> None:
    """Write one PNG with cases below each other: reference, then each stage, slices from base to apex.

    Args:
        path: File to write, atomically.
        cases: Cases in the order to show.
        max_slices: Most slices in a row.
        dpi: Pixels for each inch.

    Raises:
        ValueError: If `cases` is empty or `max_slices` below 1.
    """
    picture = png_bytes(overlay_figure(cases, max_slices=max_slices), dpi)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(picture)
