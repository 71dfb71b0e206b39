"""The table of indices while a run goes on: whole after each case, so that a run that ends early leaves it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_cardiac.inference.indices import Row, indices, write_table
from nnunet_cardiac.inference.results import Result

logger = logging.getLogger(__name__)

#: Entries of a JSON file that the table is made of.
_NEEDED = {"name", "input", "phases", "volumes_ml"}

#: Writing takes at most this part of the time, however many cases there are.
_SHARE = 0.05


class RunningTable:
    """Writes the table when a case ends.

    Args:
        path: Of the table.
        before: JSON contents of results that a resumed run will come across.
    """

    def __init__(self, path: Path, before: Iterable[Mapping[str, Any]] = ()) -> None:
        self._path = path
        self._records = {record["name"]: record for record in before}
        self._not_before = 0.0
        self._complained = False

    def add(self, result: Result) -> None:
        """Take what became of a series; a disk that is full now may have room at the end."""
        if result.sidecar is None:
            self._records.pop(result.name, None)
        else:
            self._records[result.name] = result.sidecar
        start = time.monotonic()
        if start < self._not_before:
            return
        try:
            write_table(self._path, _rows(self._records.values()))
        except OSError as error:
            if not self._complained:
                logger.warning("%s: cannot be written now: %s", self._path, error.strerror or error)
            self._complained = True
        end = time.monotonic()
        self._not_before = end + (end - start) / _SHARE

    def finish(self, results: Sequence[Result]) -> list[Row]:
        """Write the table of all results and return its rows."""
        rows = _rows(result.sidecar for result in results if result.sidecar is not None)
        write_table(self._path, rows)
        return rows


def _rows(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    return indices(record for record in records if record.keys() >= _NEEDED)
