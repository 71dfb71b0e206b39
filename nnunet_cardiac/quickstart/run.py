"""Run the quickstart, with one progress bar over all steps."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nnunet_cardiac.checks.finding import Status
from nnunet_cardiac.checks.lookup import check_lookup
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.quickstart.script import CommandScript, write_own_data_script
from nnunet_cardiac.quickstart.steps import QuickstartOptions, quickstart_steps
from nnunet_cardiac.workflow.steps import StepRunner

#: The result takes 0.17 GB; checkpoints are written beside the ones that they replace.
_NEEDED_BYTES = 10**9


def run_quickstart(options: QuickstartOptions, environ: Mapping[str, str]) -> float:
    """Run all steps; the last one writes the result page.

    Args:
        options: What to make and where.
        environ: Environment of the caller.

    Returns:
        Wall time of the steps in seconds.

    Raises:
        UserError: If the folder exists, the disk is too full or a step fails. Nothing but a log beside the folder is
            left then.
    """
    folder = options.folder
    _check_place(folder)
    check_installation(environ, options.trainer)
    log = folder.with_name(f"{folder.name}.log")
    log.write_text("", encoding="utf-8")
    with _removed_on_failure(folder):
        folder.mkdir()
        for name in options.variables():
            (folder / name).mkdir()
        write_own_data_script(options)
        start = time.monotonic()
        _run_steps(options, environ, log)
        seconds = time.monotonic() - start
        log.replace(folder / "log.txt")
    return seconds


def check_installation(environ: Mapping[str, str], trainer: str) -> None:
    """Check that nnU-Net finds the trainer, before minutes are spent on data.

    Raises:
        UserError: If it does not, with what to do.
    """
    failures = [finding for finding in check_lookup(environ, [trainer]) if finding.status is Status.FAIL]
    if failures:
        raise UserError("\n".join(map(str, failures)))


def _check_place(folder: Path) -> None:
    if folder.exists():
        raise UserError(f"{folder}: exists already; give a new folder with -o, or remove it.")
    if not folder.parent.is_dir():
        raise UserError(f"{folder.parent}: no such folder; make it first, or give another one with -o.")
    if not os.access(folder.parent, os.W_OK):
        raise UserError(f"{folder.parent}: cannot be written; give another folder with -o.")
    free = shutil.disk_usage(folder.parent).free
    if free < _NEEDED_BYTES:
        raise UserError(
            f"{folder.parent}: {free / 1e9:.1f} GB free, the quickstart needs {_NEEDED_BYTES / 1e9:.0f} GB; free some "
            "space, or give a folder on another disk with -o."
        )


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Leave nothing half-written: the data can be made again, the log lies beside the folder."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run_steps(options: QuickstartOptions, environ: Mapping[str, str], log: Path) -> None:
    steps, script = quickstart_steps(options), CommandScript(options)
    with StepRunner(len(steps), sum(step.seconds for step in steps), log) as runner:
        for step in steps:
            script.start(step)
            script.end(runner.run(step, options.environ(environ)))
