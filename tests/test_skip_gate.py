"""`--no-unexpected-skips` on small suites: every kind of skip fails the run unless it is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = "pytester"

GATE = Path(__file__).with_name("conftest.py")

KINDS = {
    "module": "import pytest\npytest.importorskip('no_such_library')\ndef test_one(): pass",
    "mark": "import pytest\n@pytest.mark.skipif(True, reason='no_such_library')\ndef test_one(): pass",
    "call": "import pytest\ndef test_one(): pytest.skip('no_such_library')",
    "fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('no_such_library')\ndef test_one(f): pass",
    "teardown": "import pytest\n@pytest.fixture\ndef f():\n    yield\n    pytest.skip('no_such_library')\n"
    "def test_one(f): pass",
    "xfail": "import pytest\n@pytest.mark.xfail(reason='no_such_library')\ndef test_one(): assert 0",
    "unittest": "import unittest\nclass TestOne(unittest.TestCase):\n    def test_one(self):\n"
    "        self.skipTest('no_such_library')",
    "parameters": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_one(x): pass",
}


@pytest.fixture
def suite(pytester: pytest.Pytester):
    """Function that runs a module of tests, and one that passes, behind the gate with a list of its own."""

    def run(content: str, *options: str, allowed: str = "[]", processes: int = 0) -> pytest.RunResult:
        pytester.makeconftest(f"{GATE.read_text()}\nALLOWED = {allowed}\n")
        pytester.makepyfile(test_skips=content, test_passes="def test_it(): pass")
        options = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options)  # it takes seconds to import
        if processes:
            return pytester.runpytest_subprocess("-n", str(processes), "--dist", "loadfile", *options)
        return pytester.runpytest_inprocess("-p", "no:xdist", *options)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_fails_the_run_with_its_reason(suite, kind: str) -> None:
    result = suite(KINDS[kind], "--no-unexpected-skips")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    reason = "*got empty parameter set*" if kind == "parameters" else "*no_such_library*"
    result.stdout.fnmatch_lines(["*unexpected skips*", f"test_skips.py{reason}", "Let these tests run, or list them*"])


def test_a_folder_that_its_conftest_skips(suite, pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("folder")
    (folder / "conftest.py").write_text("import pytest\npytest.importorskip('no_such_library')\n")
    (folder / "test_inside.py").write_text("def test_one(): pass")
    result = suite("", "--no-unexpected-skips")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*unexpected skips*", "folder*no_such_library*"])


def test_in_several_processes(suite, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**{f"test_{kind}": KINDS[kind] for kind in KINDS})
    listed = "[Allowed('test_mark.py*', 'made'), Allowed('test_skips.py', 'made')]"
    result = suite(KINDS["module"], "--no-unexpected-skips", allowed=listed, processes=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    _, _, shown = result.stdout.str().partition("unexpected skips")
    named = {line.partition(".py")[0] for line in shown.splitlines() if line.startswith("test_")}
    assert named == {f"test_{kind}" for kind in KINDS if kind != "mark"}


PARAMETERS = """
import pytest
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shell(shell):
    if shell in "SKIPPED":
        pytest.skip("not installed")
"""


@pytest.mark.parametrize(
    ("allowed", "skipped", "code"),
    [
        ("[Allowed('test_skips.py::test_shell[fish]', 'rare')]", "fish", 0),
        ("[Allowed('test_skips.py::test_shell[fish]', 'rare')]", "fish bash", 1),
        ("[Allowed('test_skips.py::test_shell[fish]', 'rare', here=False)]", "fish", 1),
        ("[Allowed('test_skips.py::*', 'all')]", "fish bash", 0),
        ("[Allowed('test_skips.py::test_shell[fish]', 'rare')]", "none", 0),
        ("[Allowed('test_gone.py::*', 'stale')]", "none", 0),
        ("[]", "fish", 1),
    ],
    ids=["listed", "another", "elsewhere", "all", "not skipped", "stale", "empty"],
)
def test_the_list(suite, allowed: str, skipped: str, code: int) -> None:
    result = suite(PARAMETERS.replace("SKIPPED", skipped), "--no-unexpected-skips", allowed=allowed)
    assert result.ret == code
    assert ("unexpected skips" in result.stdout.str()) == bool(code)


def test_a_plain_run_passes_with_skips(suite) -> None:
    result = suite(KINDS["call"])
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=1)


def test_a_failure_stays_the_failure_that_it_is(suite) -> None:
    result = suite(f"{KINDS['call']}\ndef test_two(): assert 0", "--no-unexpected-skips")
    result.assert_outcomes(passed=1, skipped=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*unexpected skips*"])
