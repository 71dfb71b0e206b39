"""Files that are there already: inputs and the user's own are never touched; results are refused, kept or replaced."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.orientation import IDENTITY
from nnunet_cardiac.inference.own_files import ENDING, OBJECT_ENDINGS, is_interrupted, is_own, is_own_table, read_record
from nnunet_cardiac.inference.results import PredictOptions, Result, done
from nnunet_cardiac.inference.sources import Source

#: What follows the name of a study with several series, or of a folder with several studies.
_SEVERAL = ("series", "study")


def output_files(output: Path, name: str) -> list[Path]:
    """Files that a series can have, in the order in which they are written; the JSON file is the last."""
    return [output / f"{name}{end}" for end in (ENDING, *OBJECT_ENDINGS, ".json")]


def refuse_existing(sources: Sequence[Source], options: PredictOptions) -> None:
    """Refuse before anything is computed, as far as names are known: a study's series are named when it is read.

    Raises:
        UserError: If an output would replace an input or a file that this program did not write; or if there is a
            result of one of the cases, which the user does not want replaced.
    """
    output = options.output
    names = [source.name for source in sources]
    # Whether a study needs its pseudonym is known when it is read.
    possible = [*names, *(source.pseudonym for source in sources if source.pseudonym)]
    kept = [file for name in possible for file in _not_ours(name, options)]
    inputs = [file for file in kept if _is_input(file, options)]
    if inputs:
        raise UserError(f"{output}: {_shown(inputs)} would replace an input. Choose another folder with -o.")
    if kept:
        raise UserError(
            f"{output}: {_shown(kept)} exists and was not written by this program, so it is kept. Move it away, or "
            "choose another folder with -o."
        )
    if options.existing != "refuse":
        return
    found = [name for name in names if any((output / f"{name}{end}").exists() for end in (ENDING, ".json"))]
    found += sorted({name for source in sources if source.is_dicom for name in _of_study(output, source)})
    if found:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise UserError(
            f"{output}: results of {len(found)} cases exist ({shown}). Add --resume to keep them and segment the rest, "
            "--overwrite to replace them, or choose another folder."
        )


def refuse_foreign_table(path: Path, columns: Sequence[str]) -> None:
    """Refuse to replace a table that this program did not write.

    Raises:
        UserError: If there is such a file.
    """
    if os.path.lexists(path) and not is_own_table(path, columns):
        raise UserError(
            f"{path}: exists and is no table of this program, so it is kept. Move it away, or choose another folder "
            "with -o."
        )


def finished(
    name: str, model: dict[str, Any], options: PredictOptions, voxels: dict[str, Any] | None = None
) -> Result | None:
    """Return the result of a finished series, or None if it has to be segmented.

    Args:
        name: Name of the outputs.
        model: What decides the label map, apart from the image.
        options: What the user asked for.
        voxels: Entries of the JSON file that say which image it was; None takes any.

    Raises:
        UserError: If there is something that may not be replaced, or a result of another model or image.
    """
    path, record = options.output / f"{name}{ENDING}", options.output / f"{name}.json"
    found = {file.name for file in (path, record) if file.exists()}
    if options.before is not None and not found & options.before:
        # Of an attempt in this run that was cut short: perhaps after everything was written.
        content = read_record(record) if len(found) == 2 else None
        return done(content) if content is not None and content["model"] == model else None
    for file in _not_ours(name, options):
        reason = "is an input" if _is_input(file, options) else "exists and was not written by this program"
        raise UserError(f"{file}: {reason}, so it is kept. Choose another folder with -o.")
    if options.existing == "overwrite" or not found:
        return None
    if options.existing == "refuse":
        raise UserError(f"{path}: exists; add --resume to keep it or --overwrite to replace it.")
    content = read_record(record) if len(found) == 2 else None
    if content is None:
        return None  # the JSON file is written last, so this one was interrupted
    if content["model"] != model:
        raise UserError(
            f"{record}: made by another model or with other options; use another folder, or --overwrite to replace it."
        )
    before = {"moved": IDENTITY.code, **content.get("input", {})}  # earlier versions moved nothing
    if any(before.get(key, value) != value for key, value in (voxels or {}).items()):
        raise UserError(
            f"{record}: made from another image, or with another voxel size or --orientation; use another folder, or "
            "--overwrite to replace it."
        )
    return Result(name, "skipped", sidecar=content)


def finished_before(sources: Sequence[Source], options: PredictOptions) -> Iterator[dict[str, Any]]:
    """Yield the JSON contents of results of the cases that lie in the folder, as far as names are known."""
    for source in sources:
        for name in _names(options.output, source):
            record = read_record(options.output / f"{name}.json")
            if record is not None and (options.output / f"{name}{ENDING}").exists():
                yield record


def remove_parts(output: Path, name: str, keep: Path | None = None) -> None:
    """Remove the temporary files of a series that a killed run left, but for one."""
    for file in output_files(output, name):
        for stale in output.glob(f".{glob.escape(file.name)}.*.part"):
            if stale != keep:
                stale.unlink(missing_ok=True)


def remove_partial(source: Source, options: PredictOptions, before: frozenset[str]) -> None:
    """Remove what is incomplete of a case that will not be tried again.

    Args:
        source: The case.
        options: What the user asked for.
        before: Names of the files that were in the folder before the run.
    """
    output = options.output
    for name in _names(output, source):
        interrupted = is_interrupted(output, name)
        remove_parts(output, name)
        *files, record = output_files(output, name)
        if not record.exists():
            for file in files:
                # What was there stays, unless this run had begun to replace it: then its JSON file went first.
                begun = interrupted or (options.existing == "overwrite" and record.name in before)
                if file.name not in before or (begun and file.name not in options.inputs):
                    file.unlink(missing_ok=True)
    if source.is_dicom:
        for stem in filter(None, (source.name, source.pseudonym)):
            for kind in _SEVERAL:
                for stale in output.glob(f".{glob.escape(stem)}_{kind}*.part"):
                    stale.unlink(missing_ok=True)


def _not_ours(name: str, options: PredictOptions) -> list[Path]:
    """Files under the names of a series' outputs that may not be replaced."""
    endings = (ENDING, *(OBJECT_ENDINGS if options.dicom_seg else ()), ".json")
    files = [(options.output / f"{name}{ending}", ending) for ending in endings]
    return [
        file
        for file, ending in files
        if os.path.lexists(file) and (_is_input(file, options) or not is_own(options.output, name, ending))
    ]


def _is_input(file: Path, options: PredictOptions) -> bool:
    """Whether a file is an input under this name, or under another that the disk takes for the same."""
    if file.name in options.inputs:
        return True
    return any(_same(file, options.output / name) for name in options.inputs)


def _same(file: Path, other: Path) -> bool:
    try:
        return os.path.samefile(file, other)
    except OSError:
        return False


def _shown(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files[:5]) + (", ..." if len(files) > 5 else "")


def _of_study(output: Path, source: Source) -> list[str]:
    files = [file for kind in _SEVERAL for file in output.glob(f"{glob.escape(source.name)}_{kind}*{ENDING}")]
    return sorted(file.name.removesuffix(ENDING) for file in files)


def _names(output: Path, source: Source) -> list[str]:
    """Names of the results of a case that may lie in the folder."""
    if not source.is_dicom:
        return [source.name]
    stems = [replace(source, name=stem) for stem in (source.name, source.pseudonym) if stem]
    return [name for stem in stems for name in (stem.name, *_of_study(output, stem))]
