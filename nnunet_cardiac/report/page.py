"""The result page: one HTML file that opens anywhere, without network, script or other files."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from nnunet_cardiac.evaluation.table import mean_foreground_dice
from nnunet_cardiac.files import replacing
from nnunet_cardiac.report.content import OverlayCase, ResultPage, Stage
from nnunet_cardiac.report.curves import TrainingCurve, curve_figure
from nnunet_cardiac.report.figure import png_bytes
from nnunet_cardiac.report.html import css_class, document, duration, number, png_image, prose, section
from nnunet_cardiac.report.overlay import overlay_figure
from nnunet_cardiac.report.palette import structure_colour
from nnunet_cardiac.report.tables import case_dice, case_table, dice_table, volume_table

#: Six pictures at this resolution, about 0.45 MB each in base64, keep the page below 3 MB.
MAX_OVERLAYS = 6
PAGE_DPI = 120


def write_result_page(path: Path, content: ResultPage) -> None:
    """Write the page.

    Args:
        path: HTML file to write, atomically: an old page stays until the new one is complete.
        content: Everything it shows.

    Raises:
        ValueError: If there is no stage, or the stages hold different cases.
    """
    html = result_page_html(content)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def result_page_html(content: ResultPage) -> str:
    """Build the page.

    Args:
        content: Everything it shows.

    Returns:
        A complete HTML document.

    Raises:
        ValueError: If there is no stage, or the stages hold different cases.
    """
    _check_stages(content.stages)
    body = "".join(
        [
            _header(content),
            section("segmentations", "Segmentations", _overlays(content)),
            section("overlap", "Agreement with the reference", dice_table(content.stages), _every_case(content.stages)),
            section("volumes", "Volumes and function", volume_table(content.stages, content.exact_indices)),
            section("training", "Training", *_curves(content)),
            section("commands", "What was run", _commands(content)),
            section("own-data", "On your own data", _notes(content)),
            _footer(content),
        ]
    )
    return document(content.title, body)


def _check_stages(stages: Sequence[Stage]) -> None:
    if not stages:
        raise ValueError("a result page needs at least one stage, got none.")
    rows = [set(zip(stage.table["case"], stage.table["structure"], strict=True)) for stage in stages]
    for stage, found in zip(stages[1:], rows[1:], strict=True):
        if found != rows[0]:
            different = ", ".join(sorted({case for case, _ in found ^ rows[0]}))
            raise ValueError(
                f"stages {stages[0].name!r} and {stage.name!r} must hold the same cases and structures; "
                f"they differ in {different}."
            )


def _header(content: ResultPage) -> str:
    tiles = [(f"Mean Dice, {stage.name}", number(mean_foreground_dice(stage.table), 3), "") for stage in content.stages]
    tiles.append(("Wall time", duration(content.wall_time_s), ""))
    if content.peak_memory_bytes is not None:
        tiles.append(("Peak memory", f"{content.peak_memory_bytes / 2**30:.1f} GiB", ""))
    tiles.append(("Device", content.device, "words"))
    key = "".join(
        f"<div><dt>{escape(name)}</dt><dd{css_class(css)}>{escape(value)}</dd></div>" for name, value, css in tiles
    )
    summary = "".join(f"<p>{prose(paragraph)}</p>" for paragraph in content.summary)
    return f'<header>\n<h1>{escape(content.title)}</h1>\n{summary}\n<dl class="key">{key}</dl>\n</header>\n'


def _overlays(content: ResultPage) -> str:
    if not content.overlays:
        return ""
    scores = case_dice(content.stages[-1])
    order = _worst_patient_first(content.overlays, scores)
    worst = scores.index[0] if len(scores) else None
    shown = order[:MAX_OVERLAYS]
    left_out = (
        f'<p class="muted">{len(shown)} of {len(order)} cases are drawn, patients with the lowest Dice first.</p>'
        if len(shown) < len(order)
        else ""
    )
    return legend(order) + left_out + "".join(_overlay(overlay, overlay.case == worst) for overlay in shown)


def _worst_patient_first(overlays: Sequence[OverlayCase], scores: pd.Series) -> list[OverlayCase]:
    lowest: dict[str, float] = {}
    for overlay in overlays:
        score = float(scores.get(overlay.case, 1.0))
        lowest[overlay.patient] = min(score, lowest.get(overlay.patient, 1.0))
    return sorted(overlays, key=lambda overlay: (lowest[overlay.patient], overlay.patient, overlay.phase))


def legend(overlays: Sequence[OverlayCase]) -> str:
    """Colours of the structures and the line of the reference."""
    names = dict.fromkeys(name for overlay in overlays for name in overlay.structures)
    items = "".join(
        f'<li><i style="border-color:{structure_colour(name)};background:{structure_colour(name)}33"></i>'
        f"{escape(name)}</li>"
        for name in names
    )
    return f'<ul class="legend">{items}<li><i class="line"></i>outline of the reference</li></ul>'


def _overlay(overlay: OverlayCase, worst: bool) -> str:
    words = " · ".join(escape(word) for word in (overlay.phase, overlay.group) if word)
    badge = '<span class="badge">lowest Dice</span>' if worst else ""
    data = png_bytes(overlay_figure([overlay], headings=False), PAGE_DPI)
    alternative = (
        f"{overlay.case} {overlay.phase}: slices from base to apex with outlines of {', '.join(overlay.structures)}, "
        f"reference and {', '.join(overlay.predictions)}"
    )
    return (
        f"<figure><figcaption><strong>{escape(overlay.case)}</strong> {words}{badge}</figcaption>"
        f"{png_image(data, alternative, 'film')}</figure>"
    )


def _every_case(stages: Sequence[Stage]) -> str:
    phases = stages[0].table.drop_duplicates("case").set_index("case")["phase"].to_dict()
    return f"<details><summary>All {len(phases)} cases</summary>{case_table(stages, phases)}</details>"


def _curves(content: ResultPage) -> list[str]:
    structures = list(dict.fromkeys(content.stages[0].table["structure"]))
    return [_curve(name, curve, structures) for name, curve in content.curves.items()]


def _curve(name: str, curve: TrainingCurve, structures: Sequence[str]) -> str:
    seconds = curve.seconds
    caption = f"{len(seconds)} epochs, {duration(float(seconds.sum()))}, {number(float(seconds.mean()), 1)} s per epoch"
    data = png_bytes(curve_figure(curve, structures), PAGE_DPI)
    picture = png_image(data, f"Loss and pseudo Dice by epoch, {name}", "plot")
    return f"<figure><figcaption><strong>{escape(name)}</strong> {escape(caption)}</figcaption>{picture}</figure>"


def _commands(content: ResultPage) -> str:
    items = "".join(
        f"<li><pre>{escape(run.command)}</pre><span>{escape(duration(run.seconds))}</span></li>"
        for run in content.commands
    )
    return f'<ol class="commands">{items}</ol>' if items else ""


def _notes(content: ResultPage) -> str:
    paragraphs = "".join(f"<p>{prose(note)}</p>" for note in content.notes)
    commands = escape("\n".join(content.own_data_commands))
    return paragraphs + (f"<pre>{commands}</pre>" if commands else "")


def _footer(content: ResultPage) -> str:
    versions = " · ".join(f"{escape(name)} {escape(version)}" for name, version in content.versions.items())
    return f"<footer>{versions}</footer>\n" if versions else ""
