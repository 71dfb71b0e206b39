"""Many cases, one after the other: one that fails does not stop the rest, and one that is finished is not repeated."""

from __future__ import annotations

import glob
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference.dicom import read_dicom
from nnunet_cardiac.inference.images import read_series
from nnunet_cardiac.inference.label_file import write_label_map
from nnunet_cardiac.inference.phases import find_phases, volume_curves
from nnunet_cardiac.inference.predictor import CardiacPredictor
from nnunet_cardiac.inference.series import Series
from nnunet_cardiac.inference.sidecar import describe_model, sidecar
from nnunet_cardiac.inference.sources import Source

logger = logging.getLogger(__name__)

ENDING = ".nii.gz"

#: What a broken file or a full disk raises; anything else is a defect of this program and stops it.
_FAILURES = (UserError, OSError, MemoryError, RuntimeError)


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        output: Folder for the results.
        existing: `refuse`, `overwrite` or `resume`.
        dimensions: `auto`, `3d` or `4d`; what the input files are.
        ed: End-diastolic frame, counted from 1; None finds it.
        es: End-systolic frame.
        allow_gaps: Leave missing slices and frames without labels instead of refusing the series.
        keep_identifiers: Write names and numbers of the patient into the JSON file and keep them in file names.
        dicom_seg: Also write DICOM segmentation objects of DICOM input.
    """

    output: Path
    existing: str = "refuse"
    dimensions: str = "auto"
    ed: int | None = None
    es: int | None = None
    allow_gaps: bool = False
    keep_identifiers: bool = False
    dicom_seg: bool = False


@dataclass(frozen=True)
class Result:
    """What became of one series, or of a case that could not be read.

    Attributes:
        name: Name of the outputs.
        status: `done`, `skipped` (was finished before) or `failed`.
        seconds: Wall time.
        message: Why it failed.
        sidecar: Content of its JSON file; None if it failed.
    """

    name: str
    status: str
    seconds: float = 0.0
    message: str = ""
    sidecar: dict[str, Any] | None = field(default=None, repr=False)


def segment(
    predictor: CardiacPredictor, sources: Sequence[Source], options: Options, progress: bool = True
) -> list[Result]:
    """Segment cases and write label maps with their JSON files.

    While one case is computed, threads read the next and write the one before.

    Args:
        predictor: The model.
        sources: Cases.
        options: What the user asked for.
        progress: Whether to show a bar.

    Returns:
        One result for each series.

    Raises:
        UserError: If output exists and may not be replaced; nothing is computed then.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    if options.existing == "refuse":
        _refuse_existing(options.output, sources)
    model = describe_model(predictor)
    results: list[Future[Result] | Result] = []
    bar = tqdm(total=len(sources), desc="predict", unit="case", disable=not progress)
    with bar, ThreadPoolExecutor(1) as writer:
        for source, reading, seconds in _read_ahead(sources, options):
            try:
                series, messages = reading.result()
            except _FAILURES as error:
                results.append(_failure(source.name, error))
            else:
                for message in messages:
                    logger.warning("%s: %s", source.name, message)
                for one in series:
                    results.append(_segment_one(predictor, one, messages, model, options, writer, seconds(), progress))
            bar.update()
        return [result if isinstance(result, Result) else result.result() for result in results]


def _read_ahead(sources: Sequence[Source], options: Options) -> Iterator[tuple[Source, Future, Any]]:
    """Yield each source with the future of its series; the next is read meanwhile."""
    spent: dict[int, float] = {}

    def read(number: int) -> tuple[Sequence[Series], Sequence[str]]:
        start = time.perf_counter()
        try:
            return _read(sources[number], options)
        finally:
            spent[number] = time.perf_counter() - start

    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(read, 0) if sources else None
        for number, source in enumerate(sources):
            reading = following
            assert reading is not None
            reading.exception()  # waits; the consumer asks again
            following = reader.submit(read, number + 1) if number + 1 < len(sources) else None
            yield source, reading, lambda number=number: spent[number]


def _read(source: Source, options: Options) -> tuple[Sequence[Series], Sequence[str]]:
    if not source.is_dicom:
        return [read_series(source.name, source.paths, options.dimensions)], []
    study = read_dicom(
        source.name,
        source.paths[0],
        allow_gaps=options.allow_gaps,
        keep_identifiers=options.keep_identifiers,
    )
    return study.series, study.messages


def _segment_one(
    predictor: CardiacPredictor,
    series: Series,
    messages: Sequence[str],
    model: dict[str, Any],
    options: Options,
    writer: ThreadPoolExecutor,
    read_seconds: float,
    progress: bool,
) -> Future[Result] | Result:
    """Segment a series; the future is that of its files."""
    try:
        finished = _finished(series.name, model, options)
        if finished is not None:
            return Result(series.name, "skipped", sidecar=finished)
        start = time.perf_counter()
        labels = predictor.predict_frames(series.frames, series.grid.spacing_mm, progress and len(series.frames) > 1)
        if series.empty is not None:
            labels[series.empty] = 0
        seconds = {"read": read_seconds, "predict": time.perf_counter() - start}
        curves = volume_curves(labels, predictor.labels, series)
        phases, doubts = find_phases(curves, options.ed, options.es)
        warnings = [*messages, *series.warnings, *doubts]
        warnings += [] if labels.any() else ["Nothing was found: the label map is empty."]
        content = sidecar(series, model, str(predictor.device), seconds, curves, phases, warnings)
        if options.keep_identifiers and series.identifiers:
            content["patient"] = series.identifiers
    except _FAILURES as error:
        return _failure(series.name, error)
    return writer.submit(_write, labels, series, content, predictor.labels, options)


def _write(
    labels: np.ndarray, series: Series, content: dict[str, Any], names: dict[str, int], options: Options
) -> Result:
    """Write the files of a series; the JSON file comes last and says that all is there."""
    path = options.output / f"{series.name}{ENDING}"
    record = options.output / f"{series.name}.json"
    start = time.perf_counter()
    record.unlink(missing_ok=True)
    for file in (path, record):  # of a run that was killed
        for stale in options.output.glob(f".{glob.escape(file.name)}.*.part"):
            stale.unlink(missing_ok=True)
    written = [path]
    try:
        write_label_map(path, labels, series)
        if options.dicom_seg:
            from nnunet_cardiac.inference.dicom_seg import write_segmentations

            files, notes = write_segmentations(options.output, labels, series, names, content["phases"])
            written += files
            content["warnings"] += notes
        content["seconds"]["write"] = round(time.perf_counter() - start, 3)
        write_json(record, content)
    except _FAILURES as error:
        for file in written:
            file.unlink(missing_ok=True)
        return _failure(series.name, error)
    return Result(series.name, "done", sum(content["seconds"].values()), sidecar=content)


def _failure(name: str, error: BaseException) -> Result:
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename or name}: {error.strerror}"
    else:
        message = str(error) or type(error).__name__
    logger.error("%s failed: %s", name, message)
    return Result(name, "failed", message=message)


def _refuse_existing(output: Path, sources: Sequence[Source]) -> None:
    """Refuse before anything is computed, as far as names are known: a study's series are named when it is read."""
    names = [source.name for source in sources]
    found = [name for name in names if any((output / f"{name}{end}").exists() for end in (ENDING, ".json"))]
    found += sorted(
        {file.name.removesuffix(ENDING) for source in sources if source.is_dicom for file in _of_study(output, source)}
    )
    if found:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise UserError(
            f"{output}: results of {len(found)} cases exist ({shown}). Add --resume to keep them and segment the rest, "
            "--overwrite to replace them, or choose another folder."
        )


def _of_study(output: Path, source: Source) -> list[Path]:
    return sorted(output.glob(f"{source.name}_series*{ENDING}"))


def _finished(name: str, model: dict[str, Any], options: Options) -> dict[str, Any] | None:
    """Return the JSON file of a finished series, or None if it has to be segmented.

    Raises:
        UserError: If there is a result that may not be replaced, or one of another model.
    """
    path, record = options.output / f"{name}{ENDING}", options.output / f"{name}.json"
    if options.existing == "overwrite" or not (path.exists() or record.exists()):
        return None
    if options.existing == "refuse":
        raise UserError(f"{path}: exists; add --resume to keep it or --overwrite to replace it.")
    if not (path.exists() and record.exists()):
        return None  # the JSON file is written last, so this one was interrupted
    try:
        content = read_json(record)
        same = content["model"] == model
    except (ValueError, KeyError, TypeError):
        return None
    if not same:
        raise UserError(
            f"{record}: made by another model or with other options; use another folder, or --overwrite to replace it."
        )
    return content
