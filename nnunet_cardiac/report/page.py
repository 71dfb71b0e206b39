"""The page of an evaluation: one HTML file without network, script or other files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from nnunet_cardiac.evaluation.results import Results
from nnunet_cardiac.files import replacing
from nnunet_cardiac.report import header
from nnunet_cardiac.report.definitions import DEFINITIONS
from nnunet_cardiac.report.overlay_case import OverlayCase
from nnunet_cardiac.report.parts import Paragraph, Section, Verbatim
from nnunet_cardiac.report.sections import evaluation_sections
from nnunet_cardiac.report.training import training_section

#: Everything that a template is given is escaped.
_TEMPLATES = Environment(
    loader=PackageLoader("nnunet_cardiac.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGE = _TEMPLATES.get_template("page.html.j2")


@dataclass(frozen=True)
class Additions:
    """What a page shows beside the evaluation.

    Attributes:
        note: Paragraph below the title.
        trainings: Name -> fold folder with the log of a training.
        texts: Heading -> text that is shown as it is, such as commands.
    """

    note: str = ""
    trainings: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def write_page(
    path: Path,
    results: Results,
    overlays: Mapping[str, OverlayCase],
    title: str = "Evaluation",
    additions: Additions | None = None,
) -> None:
    """Write the page atomically: an old page stays until the new one is complete.

    Args:
        path: HTML file to write.
        results: Of :func:`nnunet_cardiac.evaluation.results.read_results`.
        overlays: Badge -> case to draw.
        title: Heading.
        additions: What else to show.

    Raises:
        UserError: If the folder of a training holds no log.
    """
    html = page_html(results, overlays, title, additions or Additions())
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def page_html(results: Results, overlays: Mapping[str, OverlayCase], title: str, additions: Additions) -> str:
    """Build the page; arguments as :func:`write_page`."""
    training = training_section(additions.trainings, list(results.facts["labels"]))  # first: it may find no log
    sections = [
        *evaluation_sections(results, overlays),
        training,
        *(Section(f"text{k}", name, [Verbatim(text)]) for k, (name, text) in enumerate(additions.texts.items())),
        Section("definitions", "How this was measured", [Paragraph(text) for text in DEFINITIONS]),
    ]
    return _PAGE.render(
        title=title,
        opening=[*([additions.note] if additions.note else []), *header.words(results)],
        tiles=header.tiles(results),
        sections=sections,
        versions=results.facts["versions"],
    )
