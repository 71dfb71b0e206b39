"""Results that are there already: refused, kept or replaced, and what an interrupted run left behind."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.inference.results import ENDING, PredictOptions, Result, done
from nnunet_cardiac.inference.sources import Source


def output_files(output: Path, name: str) -> list[Path]:
    """Files that a series can have, in the order in which they are written; the JSON file is the last."""
    return [output / f"{name}{end}" for end in (ENDING, ".dcm", "_ED.dcm", "_ES.dcm", ".json")]


def refuse_existing(output: Path, sources: Sequence[Source]) -> None:
    """Refuse before anything is computed, as far as names are known: a study's series are named when it is read.

    Raises:
        UserError: If there is a result of one of the cases.
    """
    names = [source.name for source in sources]
    found = [name for name in names if any((output / f"{name}{end}").exists() for end in (ENDING, ".json"))]
    found += sorted({name for source in sources if source.is_dicom for name in _of_study(output, source)})
    if found:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise UserError(
            f"{output}: results of {len(found)} cases exist ({shown}). Add --resume to keep them and segment the rest, "
            "--overwrite to replace them, or choose another folder."
        )


def finished(name: str, model: dict[str, Any], options: PredictOptions) -> Result | None:
    """Return the result of a finished series, or None if it has to be segmented.

    Raises:
        UserError: If there is a result that may not be replaced, or one of another model.
    """
    path, record = options.output / f"{name}{ENDING}", options.output / f"{name}.json"
    found = {file.name for file in (path, record) if file.exists()}
    if options.before is not None and not found & options.before:
        # Of an attempt in this run that was cut short: perhaps after everything was written.
        content = _read_record(record) if len(found) == 2 else None
        return done(content) if content is not None and content["model"] == model else None
    if options.existing == "overwrite" or not found:
        return None
    if options.existing == "refuse":
        raise UserError(f"{path}: exists; add --resume to keep it or --overwrite to replace it.")
    content = _read_record(record) if len(found) == 2 else None
    if content is None:
        return None  # the JSON file is written last, so this one was interrupted
    if content["model"] != model:
        raise UserError(
            f"{record}: made by another model or with other options; use another folder, or --overwrite to replace it."
        )
    return Result(name, "skipped", sidecar=content)


def remove_parts(output: Path, name: str) -> None:
    """Remove the temporary files of a series that a killed run left."""
    for file in output_files(output, name):
        for stale in output.glob(f".{glob.escape(file.name)}.*.part"):
            stale.unlink(missing_ok=True)


def remove_partial(source: Source, options: PredictOptions, before: frozenset[str]) -> None:
    """Remove what is incomplete of a case that will not be tried again.

    Args:
        source: The case.
        options: What the user asked for.
        before: Names of the files that were in the folder before the run.
    """
    names = [source.name]
    if source.is_dicom:
        names += _of_study(options.output, source)
        for stale in options.output.glob(f".{glob.escape(source.name)}_series*.part"):
            stale.unlink(missing_ok=True)
    for name in names:
        remove_parts(options.output, name)
        *files, record = output_files(options.output, name)
        if not record.exists():
            for file in files:
                # What was there stays, unless this run had begun to replace it: then its JSON file went first.
                if file.name not in before or (options.existing == "overwrite" and record.name in before):
                    file.unlink(missing_ok=True)


def _of_study(output: Path, source: Source) -> list[str]:
    files = output.glob(f"{glob.escape(source.name)}_series*{ENDING}")
    return sorted(file.name.removesuffix(ENDING) for file in files)


def _read_record(record: Path) -> dict[str, Any] | None:
    """Content of a JSON file as this program writes it, or None if it is anything else."""
    try:
        content = read_json(record)
        return content if {"name", "model", "seconds"} <= content.keys() else None
    except (ValueError, AttributeError):
        return None
