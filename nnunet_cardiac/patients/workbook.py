"""Sheets of an Excel workbook as rows of text, as the sheet shows them."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from nnunet_cardiac.errors import UserError

WORKBOOK_ENDINGS = (".xlsx", ".xlsm")
_PADDED = re.compile("0+")


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook by its content, whatever it is called."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_sheets(path: Path) -> Iterator[list[list[str]]]:
    """Yield each sheet of a workbook that holds anything.

    Args:
        path: The file.

    Yields:
        Its rows. Whole numbers have no decimals, dates are written as 2020-01-31, and a number
        that the sheet shows with leading zeros keeps them.

    Raises:
        UserError: If the file cannot be read, or a formula has no stored value.
    """
    try:
        values, formulas = (_load(path, data_only) for data_only in (True, False))
        for shown, written in zip(values.worksheets, formulas.worksheets, strict=True):
            rows = list(_rows(path, shown, written))
            if any(any(row) for row in rows):
                yield rows
    except UserError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError) as error:
        raise _unreadable(path, error) from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ParseError, NotImplementedError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: cannot be read as an Excel workbook ({type(error).__name__}: {ascii(str(error))[:120]}). Open it in "
        "Excel, without a password, and save it again as .xlsx or as `CSV UTF-8`."
    )


def _load(path: Path, data_only: bool) -> Any:
    # openpyxl takes a tenth of a second to import, and most tables are CSV.
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats and menus that are not read
        # Its content, because openpyxl judges a file by its ending and keeps it open.
        return load_workbook(BytesIO(path.read_bytes()), read_only=True, data_only=data_only)


def _rows(path: Path, shown: Any, written: Any) -> Iterator[list[str]]:
    for sheet in (shown, written):
        sheet.reset_dimensions()  # some programs write a size that is too small
    for values, formulas in zip(shown.iter_rows(), written.iter_rows(), strict=True):
        for value, formula in zip(values, formulas, strict=True):
            if value.value is None and formula.data_type == "f":
                raise UserError(
                    f"{path}: cell {formula.coordinate} of sheet {shown.title} holds a formula without a stored value. "
                    "Open the file in Excel and save it, or write the value into the cell."
                )
        yield [_text(cell) for cell in values]


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        whole_day = value.time() == datetime.time()
        return value.date().isoformat() if whole_day else value.isoformat(" ")
    if isinstance(value, int | float):
        return _number(value, cell.number_format)
    return str(value).strip()


def _number(value: float, number_format: str | None) -> str:
    text = f"{value:.15g}"  # the digits of Excel: 0.1 + 0.2 is 0.3
    if float(value).is_integer():
        text = str(int(value))
        if value >= 0 and _PADDED.fullmatch(number_format or ""):
            text = text.zfill(len(number_format or ""))
    return text
