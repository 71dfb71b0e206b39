"""What a page is made of, as plain data. `templates/parts.html.j2` has a macro for each kind of part."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Row:
    """A row of a table: its first `headings` cells are row headings, the others are numbers."""

    cells: Sequence[str]
    headings: int = 1
    css: str = ""


@dataclass(frozen=True)
class Table:
    """A table that scrolls sideways on narrow screens.

    Attributes:
        caption: Text below the table.
        columns: Column headings.
        bodies: Groups of rows, divided by a rule.
        spans: Heading above columns -> how many of them, from the left; an empty heading leaves them bare.
        css: Class of the table.
    """

    macro: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    bodies: Sequence[Sequence[Row]]
    spans: Mapping[str, int] = field(default_factory=dict)
    css: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture that is part of the page.

    Attributes:
        data: Content of a PNG or SVG file.
        alternative: What it shows, for readers who do not see it.
        caption: Text below, or above if there is a `name`.
        name: Of the case or training that is shown.
        badge: Why it is shown.
        css: Class of the scrolling frame.
    """

    macro: ClassVar[str] = "picture"
    data: bytes
    alternative: str
    caption: str
    name: str = ""
    badge: str = ""
    css: str = "plot"

    @property
    def source(self) -> str:
        """The file as a `data:` address."""
        kind = "png" if self.data.startswith(b"\x89PNG") else "svg+xml"
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    macro: ClassVar[str] = "paragraph"
    text: str
    css: str = ""


@dataclass(frozen=True)
class Verbatim:
    """Lines shown as they are, such as commands."""

    macro: ClassVar[str] = "verbatim"
    text: str


@dataclass(frozen=True)
class Legend:
    """Structure -> colour, above pictures with outlines."""

    macro: ClassVar[str] = "legend"
    colours: Mapping[str, str]


Part = Table | Picture | Paragraph | Verbatim | Legend


@dataclass(frozen=True)
class Section:
    """Parts under a heading; a section without parts is left out of the page.

    Attributes:
        key: Identifier within the page.
        heading: Its title.
        parts: Its content from top to bottom.
    """

    key: str
    heading: str
    parts: Sequence[Part]
