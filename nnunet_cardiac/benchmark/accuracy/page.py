"""Tables in a page: two comments mark where they go, and their name says which tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import replacing

#: What a page can hold: one table of all rows, or every table.
SUMMARY, RESULTS = "summary", "results"


def marks(part: str) -> tuple[str, str]:
    """Return the lines of a page between which a part goes."""
    return f"<!-- {part}: begin -->", f"<!-- {part}: end -->"


def replace_tables(page: Path, parts: Mapping[str, str]) -> None:
    """Put the tables into a page, which is replaced as a whole.

    Args:
        page: A text file with the marks of one part or of several.
        parts: Name of each part -> its tables.

    Raises:
        UserError: If the page is missing or has the marks of no part.
    """
    if not page.is_file():
        begin, end = marks(SUMMARY)
        raise UserError(f"{page}: no such file; expected a page with the lines {begin} and {end}.")
    text = old = page.read_text(encoding="utf-8")
    found = False
    for part, tables in parts.items():
        begin, end = marks(part)
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if found_begin and found_end:
            found, text = True, f"{before}{begin}\n\n{tables}\n\n{end}{after}"
    if not found:
        shown = ", or ".join(" and ".join(marks(part)) for part in parts)
        raise UserError(f"{page}: nothing says where the tables go. Add the two lines {shown}.")
    if text != old:
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")


def between_marks(page: Path, part: str) -> str:
    """Return what a page holds of a part, without the marks."""
    begin, end = marks(part)
    return page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip()
