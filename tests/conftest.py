"""Skips that are allowed where every test has to run.

`pytest` alone lets a test skip. With `--no-unexpected-skips`, as `.ci/run` calls it, a skip or an expected failure that
`ALLOWED` does not list fails the run: a library that is missing must not switch a test off unseen.
"""

from __future__ import annotations

import platform
import sys
from fnmatch import fnmatchcase
from typing import NamedTuple

import pytest

OPTION = "--no-unexpected-skips"
_LINUX = sys.platform == "linux"


class Allowed(NamedTuple):
    """A skip that hides nothing.

    Attributes:
        tests: Node IDs; `*` stands for any characters.
        why: What the test needs, and why that may be missing.
        here: Whether it may be missing on this machine.
    """

    tests: str
    why: str
    here: bool = True


ALLOWED = [
    Allowed("tests/test_cli.py::test_a_really_full_disk", "/dev/full exists on Linux only", not _LINUX),
    Allowed(
        "tests/test_cpu_precision.py::test_emulated_bfloat16_does_not_count",
        "the kernel of Linux is the oracle for the flags of an x86 processor",
        not (_LINUX and platform.machine() == "x86_64"),
    ),
    Allowed("tests/benchmark/speed/test_memory.py::*", "Windows does not tell the peak memory", not _LINUX),
    Allowed("tests/inference/test_on_ray.py::test_interrupted_and_resumed", "looks processes up in /proc", not _LINUX),
    Allowed("tests/inference/test_nothing_is_lost.py::test_odd_names_and_archives", "a file system may want UTF-8"),
    Allowed("tests/inference/test_sources.py::test_a_name_that_is_not_utf8", "a file system may want UTF-8"),
    Allowed("tests/workflow/test_other_jobs.py::test_a_real_process_is_found", "reads /proc", not _LINUX),
    Allowed("tests/workflow/test_signals.py::*", "POSIX signals, and processes in /proc", not _LINUX),
    Allowed(
        "tests/commands/test_env.py::test_shell_takes_the_value_literally[fish]",
        "few machines have this shell; its quotes are compared with its rules as well",
    ),
]


class SkipGate:
    """Gathers the skips that are not allowed and fails the run at its end; with pytest-xdist, in the main process."""

    def __init__(self) -> None:
        self.unexpected: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module, or a folder by its conftest, that skips as a whole."""
        self._look(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that skips, by a mark, in a fixture or on its way, or that is expected to fail and does."""
        self._look(report)

    def _look(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped and not any(
            entry.here and fnmatchcase(report.nodeid, entry.tests.replace("[", "[[]")) for entry in ALLOWED
        ):
            reason = report.longrepr[2] if isinstance(report.longrepr, (tuple, list)) else ""
            self.unexpected[report.nodeid] = getattr(report, "wasxfail", None) or reason

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let a run fail that would pass."""
        if self.unexpected and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List them."""
        if not self.unexpected:
            return
        terminalreporter.section("unexpected skips", red=True)
        for node, reason in sorted(self.unexpected.items()):
            terminalreporter.line(f"{node}: {reason}")
        terminalreporter.line(f"Let these tests run, or list them with the reason in ALLOWED of {__file__}.")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `.ci/run`."""
    parser.addoption(OPTION, action="store_true", help="fail if a test skips that tests/conftest.py does not list")


def pytest_configure(config: pytest.Config) -> None:
    """Look at skips if the option is there. Processes of pytest-xdist send their reports to the main one."""
    if config.getoption(OPTION) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipGate(), "skip-gate")
