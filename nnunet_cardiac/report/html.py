"""The few HTML elements a result page is made of. Everything that comes from outside is escaped here."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nnunet_cardiac.report.style import CSS

NOT_AVAILABLE = "–"


@dataclass(frozen=True)
class Markup:
    """Finished HTML, as opposed to text that has yet to be escaped."""

    html: str


def text(value: str | Markup) -> str:
    """Escape text; leave finished markup alone."""
    return value.html if isinstance(value, Markup) else escape(value)


def prose(value: str) -> str:
    """Escape text and set what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(value))


def number(value: float, digits: int, signed: bool = False) -> str:
    """Format a number with a fixed count of decimals and a true minus sign; a dash for NaN."""
    if math.isnan(value):
        return NOT_AVAILABLE
    rounded = round(value, digits) + 0.0  # no negative zero
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Format seconds as `0.4 s`, `42 s`, `3 min 05 s` or `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def css_class(name: str) -> str:
    """Class attribute with its leading blank, or nothing."""
    return f' class="{name}"' if name else ""


def row(cells: Iterable[str | Markup], headings: int = 1, css: str = "") -> str:
    """A table row whose first `headings` cells are row headings and whose other cells are numbers."""
    parts = [
        f'<th scope="row">{text(cell)}</th>' if i < headings else f"<td>{text(cell)}</td>"
        for i, cell in enumerate(cells)
    ]
    return f"<tr{css_class(css)}>{''.join(parts)}</tr>"


def table(caption: str, head: str, bodies: Sequence[Sequence[str]], foot: Sequence[str] = (), css: str = "") -> str:
    """A table that scrolls sideways on narrow screens.

    Args:
        caption: Text above the table; may hold backticks.
        head: Rows of the head.
        bodies: Groups of rows, divided by a rule.
        foot: Rows of the foot.
        css: Class of the table.

    Returns:
        HTML.
    """
    groups = "".join(f"<tbody>{''.join(rows)}</tbody>" for rows in bodies)
    foot_html = f"<tfoot>{''.join(foot)}</tfoot>" if foot else ""
    return (
        f'<div class="scroll"><table{css_class(css)}><caption>{prose(caption)}</caption>'
        f"<thead>{head}</thead>{groups}{foot_html}</table></div>"
    )


def head_cells(names: Iterable[str]) -> str:
    """Column headings."""
    return "".join(f'<th scope="col">{escape(name)}</th>' for name in names)


def png_image(data: bytes, alternative: str, css: str = "") -> str:
    """An image that is part of the page.

    Args:
        data: Content of a PNG file.
        alternative: What it shows, for readers who do not see it.
        css: Class of the scrolling frame.

    Returns:
        HTML.
    """
    source = base64.b64encode(data).decode("ascii")
    return (
        f'<div class="scroll {css}"><img alt="{escape(alternative, quote=True)}" src="data:image/png;base64,{source}">'
        "</div>"
    )


def svg_image(data: bytes, alternative: str, css: str = "plot wide") -> str:
    """An SVG that is part of the page; arguments as :func:`png_image`."""
    source = base64.b64encode(data).decode("ascii")
    return (
        f'<div class="scroll {css}"><img alt="{escape(alternative, quote=True)}" '
        f'src="data:image/svg+xml;base64,{source}"></div>'
    )


def section(identifier: str, heading: str, *parts: str) -> str:
    """A section with its heading, or nothing if all its parts are empty."""
    body = "\n".join(part for part in parts if part)
    if not body:
        return ""
    return (
        f'<section aria-labelledby="{identifier}">\n<h2 id="{identifier}">{escape(heading)}</h2>\n{body}\n</section>\n'
    )


def document(title: str, body: str) -> str:
    """A complete HTML document with the style sheet in it."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
