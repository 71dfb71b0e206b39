"""Tables as they come: comma, semicolon or tab, with or without a byte-order mark, any case of the column names."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from nnunet_cardiac.errors import UserError


def find_table(source: Path, pattern: str, column: str) -> Path | None:
    """Return the first CSV file, up to two levels down, whose name fits and whose header has the column."""
    for depth in ("", "*/", "*/*/"):
        for path in sorted(source.glob(depth + pattern)):
            if column.lower() in path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0].lower():
                return path
    return None


def read_table(path: Path, required: Iterable[str]) -> list[dict[str, str]]:
    """Read a CSV file as text; numbers with leading zeros stay what they are.

    Args:
        path: The file.
        required: Columns that must be there; they are found without regard to case.

    Returns:
        One dictionary a row that is not empty. Required columns have the names asked for, others their own.

    Raises:
        UserError: If the file is missing, empty, or lacks a column.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found; expected a CSV file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="cp1252")
    lines = text.splitlines()
    if not lines:
        raise UserError(f"{path}: empty; expected a header line with {', '.join(required)}.")
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    spelling = {name.lower(): name for name in required}
    missing = [name for lower, name in spelling.items() if lower not in {h.lower() for h in header}]
    if missing:
        raise UserError(f"{path}: columns {', '.join(header)}; expected {', '.join(missing)} too.")
    columns = [spelling.get(name.lower(), name) for name in header]
    rows = ([cell.strip() for cell in row] for row in reader)
    return [dict(zip(columns, row, strict=False)) for row in rows if any(row)]


def whole_number(path: Path, row: dict[str, str], column: str) -> int:
    """Return a cell as a whole number; tables that went through a spreadsheet say `12.0`.

    Raises:
        UserError: If it is none.
    """
    text = row.get(column, "")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise UserError(f"{path}: column {column} holds {text!r} in the row {row}; expected a whole number.")
    return int(number)
