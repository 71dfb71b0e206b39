"""What runs in an actor: the model, loaded once, and the steps of a case. Knows nothing of Ray itself."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.case import Segmented, Segmenter
from nnunet_cardiac.inference.predictor import CardiacPredictor
from nnunet_cardiac.inference.results import PredictOptions, Result, failed
from nnunet_cardiac.inference.sources import Source

#: Logger, level and text of a message.
Message = tuple[str, int, str]

_SHARED = "Model, input and results must be on a disk that all machines see under the same path."


class Worker:
    """A model on one device. Two cases may be in it at a time: one is computed while the other is read or written.

    Args:
        model: Arguments of :meth:`CardiacPredictor.from_folder`.
        options: What the user asked for.
        threads: Processor threads for computing.
        level: Messages below it are not kept.
    """

    def __init__(
        self, model: Mapping[str, Any], options: PredictOptions, threads: int, level: int = logging.WARNING
    ) -> None:
        self._model_arguments = model
        self._options = options
        self._threads = threads
        self._log = _Log(level)
        self._reader = ThreadPoolExecutor(2)
        # One thread that computes: a second one would bring a second set of processor threads with it.
        self._computer = ThreadPoolExecutor(1)

    def load(self, witness: Path) -> dict[str, Any]:
        """Load the model.

        Args:
            witness: A file that the caller has written into the folder for the results.

        Returns:
            What decides the label map, to be compared with that of other workers.

        Raises:
            UserError: If the model or the folder for the results is not what the caller sees.
        """
        host, model = socket.gethostname(), Path(self._model_arguments["folder"])
        if not witness.is_file():
            raise UserError(
                f"{host}: {witness.parent} is not the folder that the calling machine sees under this name. {_SHARED}"
            )
        if not model.is_dir():
            raise UserError(f"{host}: {model}: no such folder. {_SHARED}")
        try:
            self._predictor = self._computer.submit(self._load).result()
        except (UserError, OSError) as error:
            raise UserError(f"{host}: {error}") from error
        return Segmenter(self._predictor, self._options).model

    def _load(self) -> CardiacPredictor:
        import torch

        torch.set_num_threads(self._threads)
        return CardiacPredictor.from_folder(**self._model_arguments)

    def run(self, source: Source, before: frozenset[str] | None) -> tuple[list[Result], list[Message]]:
        """Segment a case and write its files.

        Args:
            source: The case.
            before: See :class:`PredictOptions`; None in the first attempt.

        Returns:
            Results, and what was logged meanwhile.
        """
        segmenter = Segmenter(self._predictor, replace(self._options, before=before))
        reading = self._reader.submit(segmenter.read, source)
        wait([reading])

        def segment() -> list[Segmented | Result]:
            return list(segmenter.segment(source, reading.result))

        try:
            results = [segmenter.write(one) for one in self._computer.submit(segment).result()]
        except Exception as error:
            results = [failed(source.name, error, source.paths[0])]
        return results, self._log.take()


class _Log(logging.Handler):
    """Keeps messages for the caller.

    They may hold names of files and folders, and with them of patients, so none may reach the log files that Ray
    writes on each machine.
    """

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._messages: list[Message] = []
        logging.captureWarnings(True)
        logging.root.handlers = [self]
        logging.getLogger("nnunet_cardiac").setLevel(level)
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalWarningDisplay(False)  # ITK writes to the error stream itself

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self._messages.append((record.name, record.levelno, record.getMessage()))

    def take(self) -> list[Message]:
        """Return the messages since the last call."""
        taken, self._messages = self._messages, []
        return taken


def show(messages: Sequence[Message]) -> None:
    """Log what a worker logged, here."""
    for name, level, text in messages:
        logging.getLogger(name).log(level, "%s", text)


def write_witness(output: Path) -> Path:
    """Write a hidden, empty file by which a worker knows the folder for the results."""
    path = output / f".{socket.gethostname()}.{os.getpid()}.ray"
    path.touch()
    return path
