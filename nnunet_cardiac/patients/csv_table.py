"""Tables as they come: CSV of any separator and encoding that is certain, or Excel; any case of the column names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.table_text import decode_table
from nnunet_cardiac.patients.workbook import WORKBOOK_ENDINGS, is_workbook, read_sheets

#: Endings of tables, in the order in which they are looked for.
TABLE_ENDINGS = (".csv", *WORKBOOK_ENDINGS)
_SEPARATORS = ",;\t"
#: First line by which Excel is told the separator.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", re.IGNORECASE)

Rows = Sequence[Sequence[str]]


def find_table(source: Path, pattern: str, column: str) -> Path | None:
    """Return the first table, up to two levels down, whose name fits and whose header has the column.

    Args:
        source: Folder to search.
        pattern: Of the name, ending in `.csv`; Excel files of such a name are found, too.
        column: Name in the header, in any case.
    """
    patterns = [pattern.removesuffix(".csv") + ending for ending in TABLE_ENDINGS]
    for depth in ("", "*/", "*/*/"):
        for path in chain.from_iterable(sorted(source.glob(depth + each)) for each in patterns):
            if not path.name.startswith(("._", "~$")) and path.is_file() and _may_have(path, column):
                return path
    return None


def read_table(path: Path, required: Iterable[str], one_of: Iterable[str] = ()) -> list[dict[str, str]]:
    """Read a table as text; numbers with leading zeros stay what they are.

    Args:
        path: CSV with comma, semicolon or tab, or an Excel workbook.
        required: Columns that must be there; they are found without regard to case.
        one_of: Columns by one of which the sheet of a workbook is found, where it has several.

    Returns:
        One dictionary a row that is not empty. Required columns have the names asked for, others their own.

    Raises:
        UserError: If the file is missing, empty, of no certain encoding, or lacks a column; if a row has more cells
            than the header, or two columns of one name differ.
    """
    required = tuple(required)
    if not path.is_file():
        raise UserError(f"{path}: not found; expected a CSV or Excel file.")
    header, rows = _chosen(path, required, tuple(one_of))
    spelling = {name.lower(): name for name in required}
    columns = [spelling.get(name.lower(), name) for name in header]
    for number, row in enumerate(rows, 1):
        if any(row[len(header) :]):
            raise UserError(
                f"{path}: row {number} below the header has {len(row)} cells, and the header {len(header)}: "
                f"{', '.join(row)[:120]}. Put text with a separator, such as a decimal comma, into quotes."
            )
    _refuse_contradictions(path, columns, rows)
    return [_named(columns, row) for row in rows]


def whole_number(path: Path, row: dict[str, str], column: str) -> int:
    """Return a cell as a whole number; tables that went through a spreadsheet say `12.0`.

    Raises:
        UserError: If it is none.
    """
    text = row.get(column, "")
    value = number(text)
    if value is None or not value.is_integer():
        raise UserError(f"{path}: column {column} holds {text!r} in the row {row}; expected a whole number.")
    return int(value)


def number(text: str) -> float | None:
    """Return the number that a cell says, with a decimal point or comma; None if it says none.

    `1,234` is a little more than one: a separator of thousands is not known.
    """
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def has_columns(path: Path, *columns: str) -> bool:
    """Whether the header of a table has all these columns, in any case; not if it cannot be read."""
    try:
        header, _ = _chosen(path, (), columns)
    except UserError:
        return False
    return set(columns) <= {name.lower() for name in header}


def _may_have(path: Path, column: str) -> bool:
    """Whether a table has a column, or may have it, but cannot be read: whoever reads it then says why."""
    try:
        header, _ = _chosen(path, (), (column,))
    except UserError:
        return column.lower().encode() in path.read_bytes().lower()
    return column.lower() in {name.lower() for name in header}


def _chosen(path: Path, required: Sequence[str], one_of: Sequence[str]) -> tuple[list[str], Rows]:
    """Header and rows of a table; of a workbook those of the first sheet that has the columns."""
    tables = _workbook(path) if is_workbook(path) else [_text_table(path)]
    if not tables:
        raise UserError(f"{path}: empty; expected a header line{_with(required)}.")
    wanted, any_of = {name.lower() for name in required}, {name.lower() for name in one_of}
    for header, rows in tables:
        found = {name.lower() for name in header}
        if wanted <= found and (not any_of or any_of & found):
            return header, rows
    header, rows = tables[0]
    missing = [name for name in required if name.lower() not in {h.lower() for h in header}]
    if missing:
        more = f" (first of {len(tables)} sheets)" if len(tables) > 1 else ""
        raise UserError(f"{path}: columns {', '.join(header)}{more}; expected {', '.join(missing)} too.")
    return header, rows


def _with(required: Sequence[str]) -> str:
    return f" with {', '.join(required)}" if required else ""


def _workbook(path: Path) -> list[tuple[list[str], Rows]]:
    tables = []
    for rows in read_sheets(path):
        header, others = _split(path, rows)
        # What is beside the table, such as a remark, shifts nothing.
        tables.append((header + [""] * (max(map(len, others), default=0) - len(header)), others))
    return tables


def _text_table(path: Path) -> tuple[list[str], Rows]:
    text = decode_table(path, path.read_bytes()).lstrip("\r\n")
    if not text.strip():
        raise UserError(f"{path}: empty; expected a header line, and a row for each entry.")
    first, rest = text.partition("\n")[::2]
    named = _SEPARATOR_LINE.fullmatch(first.rstrip("\r"))
    if named:
        text = rest
    lines = io.StringIO(text, newline="")
    delimiter = named[1] if named else _separator(text)
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{path}: cannot be read as CSV ({error}); is a quotation mark left open? Correct it, or save it again."
        ) from error
    return _split(path, rows)


def _split(path: Path, rows: Rows) -> tuple[list[str], Rows]:
    """Header and rows, without those that are empty."""
    filled = [[cell.strip() for cell in row] for row in rows]
    filled = [row for row in filled if any(row)]
    if not filled:
        raise UserError(f"{path}: empty; expected a header line, and a row for each entry.")
    return filled[0], filled[1:]


def _separator(text: str) -> str:
    """What separates the names of the header, which may be in quotes."""
    header = re.sub(r'"[^"]*"', "", text).lstrip().partition("\n")[0]
    return max(_SEPARATORS, key=header.count)


def _named(columns: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """The cells by column; of two columns of one name the one that says something."""
    found = dict.fromkeys(columns, "")  # spreadsheets leave out empty cells at the end of a row
    for column, cell in zip(columns, row, strict=False):
        found[column] = found[column] or cell
    return found


def _refuse_contradictions(path: Path, columns: Sequence[str], rows: Rows) -> None:
    for name in dict.fromkeys(name for name in columns if name):
        places = [place for place, other in enumerate(columns) if other.lower() == name.lower()]
        for row in rows if len(places) > 1 else ():
            said = {row[place] for place in places if place < len(row)} - {""}
            if len(said) > 1:
                raise UserError(
                    f"{path}: {len(places)} columns are called {name}, and a row has {' and '.join(sorted(said))} in "
                    "them; expected one. Rename or remove the others."
                )
