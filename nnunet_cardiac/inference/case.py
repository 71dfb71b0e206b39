"""One case: read it, segment its series, and write each with its JSON file last."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import temporary_path, write_json
from nnunet_cardiac.images.orientation import Way, says_how_it_lies
from nnunet_cardiac.inference.dicom import read_dicom
from nnunet_cardiac.inference.existing import finished, output_files, remove_parts
from nnunet_cardiac.inference.frame_volumes import find_phases, incomplete_frames, volume_curves
from nnunet_cardiac.inference.images import read_series
from nnunet_cardiac.inference.label_file import write_label_map
from nnunet_cardiac.inference.notes import Note, for_record
from nnunet_cardiac.inference.orientation_doubts import orientation_doubts
from nnunet_cardiac.inference.own_files import is_own_segmentation
from nnunet_cardiac.inference.predictor import CardiacPredictor
from nnunet_cardiac.inference.results import PredictOptions, Result, done, failed
from nnunet_cardiac.inference.series import Series
from nnunet_cardiac.inference.sidecar import describe_input, describe_model, sidecar
from nnunet_cardiac.inference.sources import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A case in memory.

    Attributes:
        series: What is segmented.
        messages: What a reader of the results should know.
        seconds: How long reading took.
        study: What was found in a DICOM study, a row a stack or series.
        private: What identifies the patient; in no file but on request.
    """

    series: Sequence[Series]
    messages: Sequence[Note | str]
    seconds: float
    study: Sequence[dict[str, Any]] = ()
    private: Sequence[str] = ()


@dataclass(frozen=True)
class Segmented:
    """A series to write: label maps (T, Z, Y, X) and the content of its JSON file."""

    series: Series
    labels: npt.NDArray[np.integer]
    content: dict[str, Any]


class Segmenter:
    """The steps of a case. They may run in threads, so that one case is read or written while another is computed.

    Args:
        predictor: The model.
        options: What the user asked for.
        progress: Whether to show a bar for the frames of a cine series.
    """

    def __init__(self, predictor: CardiacPredictor, options: PredictOptions, progress: bool = False) -> None:
        self.model = describe_model(predictor)
        self._predictor = predictor
        self._options = options
        self._progress = progress

    def read(self, source: Source) -> Case:
        """Read a case; raises whatever a file makes the libraries raise."""
        start, options = time.perf_counter(), self._options
        if source.problem:
            raise UserError(source.problem)
        given: dict[str, Any] = {} if options.spacing_mm is None else {"spacing_mm": options.spacing_mm}
        if source.is_dicom:
            study = read_dicom(
                source.name,
                source.paths,
                allow_gaps=options.allow_gaps,
                keep_identifiers=options.keep_identifiers,
                series=options.series,
                pseudonym=source.pseudonym,
                **given,
            )
            seconds = time.perf_counter() - start
            return Case(study.series, study.messages, seconds, study.table, study.private)
        series = read_series(source.name, source.paths, options.dimensions, **given)
        return Case([series], [], time.perf_counter() - start)

    def segment(self, source: Source, read: Callable[[], Case]) -> Iterator[Segmented | Result]:
        """Segment the series of a case, one after the other.

        Args:
            source: The case.
            read: Gives the case in memory, or raises what :meth:`read` raised.

        Yields:
            What :meth:`write` takes: a series to write, or the result of one that failed or was finished before.
        """
        try:
            case = read()
        except Exception as error:  # whatever is in a file, the other cases go on
            yield failed(source.name, error, source.paths[0])
            return
        for message in case.messages:
            logger.warning("%s: %s", source.name, message)
        for series in case.series:
            for note in series.warnings:
                if isinstance(note, Note) and note.detail:
                    logger.warning("%s: %s", series.name, note)
            try:
                way = self._predictor.storage.way_of(series.header, series.like)
                described = describe_input(series, way, self._options.spacing_mm)
                result = finished(series.name, self.model, self._options, described)
                yield result or self._segment(series, case, way, described)
            except Exception as error:
                yield failed(series.name, error, source.paths[0])

    def _segment(self, series: Series, case: Case, way: Way, described: Mapping[str, Any]) -> Segmented:
        predictor, options = self._predictor, self._options
        start = time.perf_counter()
        progress = self._progress and len(series.frames) > 1
        labels = predictor.predict_frames(series.frames, series.grid.spacing_mm, progress, way=way)
        if series.empty is not None:
            labels[series.empty] = 0
        seconds = {"read": case.seconds, "predict": time.perf_counter() - start}
        curves = volume_curves(labels, predictor.labels, series)
        phases, doubts = find_phases(curves, options.ed, options.es, incomplete_frames(series))
        notes: list[Note | str] = [*case.messages, *series.warnings, *doubts]
        notes += self._doubts_of_place(series)
        notes += orientation_doubts(series.name, labels, predictor.labels, series.header)
        notes += [] if labels.any() else ["Nothing was found: the label map is empty."]
        warnings = for_record(notes, case.private)
        content = sidecar(series, described, self.model, str(predictor.device), seconds, curves, phases, warnings)
        content["orientation"] = {"training_images": predictor.storage.record}
        if case.study:
            content["study"] = list(case.study)
        if options.keep_identifiers and series.identifiers:
            content["patient"] = series.identifiers
        return Segmented(series, labels, content)

    def _doubts_of_place(self, series: Series) -> list[str]:
        """What is not known of how the image lies, where the training images' storage is known."""
        if self._predictor.storage.way is None or says_how_it_lies(series.header):
            return []
        return ["The file does not say how the image lies in the patient; it was taken as it is stored."]

    def write(self, one: Segmented | Result) -> Result:
        """Write the files of a series, the JSON file last; if one fails, none remains. A result is passed on."""
        if isinstance(one, Result):
            return one
        output, series, content = self._options.output, one.series, one.content
        path, *objects, record = output_files(output, series.name)
        start = time.perf_counter()
        # What the JSON file is written to is there first: after a crash it says that the files beside it are ours.
        mark = temporary_path(record)
        try:
            mark.touch()
            record.unlink(missing_ok=True)
            remove_parts(output, series.name, keep=mark)
            _remove(*filter(is_own_segmentation, objects))  # of the label map that is replaced
            write_label_map(path, one.labels, series)
            if self._options.dicom_seg:
                content["warnings"] += for_record(self._write_objects(one), series.identifiers.values())
            content["seconds"]["write"] = round(time.perf_counter() - start, 3)
            write_json(record, content)
        except Exception as error:
            if not record.exists():
                _remove(path, *(objects if self._options.dicom_seg else ()))
            _remove(mark)
            return failed(series.name, error, path)
        return done(content)

    def _write_objects(self, one: Segmented) -> list[str]:
        """Write DICOM segmentation objects and return what they cannot carry."""
        from nnunet_cardiac.inference.dicom_seg import write_segmentations

        names, phases = self._predictor.labels, one.content["phases"]
        return write_segmentations(self._options.output, one.labels, one.series, names, phases)[1]


def _remove(*files: Path) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
