"""The command line: light start, exit codes, messages."""

import errno
import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from types import ModuleType

import pytest

from nnunet_cardiac import cli
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.version import __version__

HEAVY = (
    "torch",
    "numpy",
    "nnunetv2",
    "SimpleITK",
    "pandas",
    "scipy",
    "skimage",
    "matplotlib",
    "batchgenerators",
    "tqdm",
)


@pytest.fixture
def command(monkeypatch):
    """Put one subcommand `probe` in the table, whose `run` is the function given."""

    def install(run):
        module = ModuleType("probe_command")
        module.HELP, module.add_arguments, module.run = "a probe", lambda parser: parser.add_argument("-d"), run
        monkeypatch.setitem(sys.modules, "probe_command", module)
        monkeypatch.setattr(cli, "COMMANDS", {"probe": "probe_command"})

    return install


def raising(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in cli.COMMANDS)])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import json, sys\n"
        "from nnunet_cardiac.cli import main\n"
        "try:\n    main(json.loads(sys.argv[1]))\n"
        "except SystemExit as stop:\n    assert stop.code == 0, stop.code\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    assert "usage: nnunet_cardiac" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_help_answers_at_once():
    """0.5 s is the promise; the best of three leaves out what else the machine does meanwhile."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "nnunet_cardiac.cli", "--help"], capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert min(seconds) < 0.5


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    listed = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert re.search(rf"^    {name}\s", listed, re.MULTILINE)


def test_calling_one_command_imports_no_other(command, monkeypatch):
    command(lambda args: 0)
    monkeypatch.setitem(cli.COMMANDS, "broken", "no.such.module")
    assert cli.main(["probe"]) == 0


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"nnunet_cardiac {__version__}\n"


def test_exit_code_and_arguments_come_from_the_command(command):
    command(lambda args: 40 + int(args.d))
    assert cli.main(["probe", "-d", "2"]) == 42


@pytest.mark.parametrize(("word", "hint"), [("prob", "did you mean 'probe'?"), ("xyz", "choose one of probe.")])
def test_unknown_command_is_answered_with_a_suggestion(command, capsys, word, hint):
    command(lambda args: 0)
    with pytest.raises(SystemExit, match="2"):
        cli.main([word])
    assert f"unknown command {word!r}; {hint}" in capsys.readouterr().err


def test_no_command_is_an_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "COMMAND" in capsys.readouterr().err


def test_user_error_is_one_message(command, capsys):
    command(raising(UserError("plans.json: found 1, expected 2")))
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr() == ("", "nnunet_cardiac: error: plans.json: found 1, expected 2\n")


@pytest.mark.parametrize("arguments", [["--debug", "probe"], ["probe", "--debug"]])
def test_debug_shows_the_traceback(command, arguments):
    command(raising(UserError("wrong")))
    with pytest.raises(UserError, match="wrong"):
        cli.main(arguments)


def test_debug_by_environment(command, monkeypatch):
    command(raising(UserError("wrong")))
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")
    with pytest.raises(UserError, match="wrong"):
        cli.main(["probe"])
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "0")
    assert cli.main(["probe"]) == 2


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device. Free some space"),
        (errno.EROFS, "Read-only file system. Choose a folder"),
        (errno.EACCES, "Permission denied. Change the permissions"),
    ],
)
def test_errors_of_the_file_system_name_the_path(command, capsys, number, words):
    command(raising(OSError(number, os.strerror(number), "/data/plans.json")))
    assert cli.main(["probe"]) == 2
    assert f"nnunet_cardiac: error: /data/plans.json: {words}" in capsys.readouterr().err


def test_a_really_full_disk(command, capsys):
    def run(args):
        with open("/dev/full", "w") as file:
            file.write("x")
        return 0

    try:
        open("/dev/full").close()
    except OSError:
        pytest.skip("/dev/full, the always full file, exists on Linux only")
    command(run)
    assert cli.main(["probe"]) == 2
    assert "a file that the system did not name: No space left on device." in capsys.readouterr().err


@pytest.mark.parametrize(
    "defect", [FileNotFoundError(errno.ENOENT, "No such file", "x"), KeyError("x"), ValueError("x")]
)
def test_defects_keep_their_traceback(command, defect):
    command(raising(defect))
    with pytest.raises(type(defect)):
        cli.main(["probe"])


def test_interrupt(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_closed_pipe_is_silent():
    code = "import sys\nfrom nnunet_cardiac.cli import main\nsys.exit(main(['trainers', '--json']))"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, env=environ, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + 13, b"")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "info\nwarning\n"),
        (["--quiet"], "WARNING: warning\n"),
        (["--debug"], "DEBUG: debug\nINFO: info\nWARNING: warning\n"),
    ],
)
def test_log_goes_to_stderr_and_results_to_stdout(command, capsys, options, expected):
    def run(args):
        logger = logging.getLogger("nnunet_cardiac.some.module")
        for level in ("debug", "info", "warning"):
            getattr(logger, level)(level)
        print("result")
        return 0

    command(run)
    assert cli.main(["probe", *options]) == 0
    assert capsys.readouterr() == ("result\n", expected)
    package = logging.getLogger("nnunet_cardiac")
    assert (package.handlers, package.level) == ([], logging.NOTSET)


def test_options_may_stand_before_or_behind_the_command(command):
    command(lambda args: 0)
    for words in (["--quiet", "probe", "-d", "7"], ["probe", "-d", "7", "--quiet"]):
        args = cli.build_parser(["probe"]).parse_args(words)
        assert (args.quiet, args.debug, args.d, args.command) == (True, False, "7", "probe")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_file_name_can_be_printed(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    with cli._any_name_printable():
        print("caf\udce9 \u6d4b")
    stream.flush()
    shown = stream.buffer.getvalue().decode(encoding)
    assert shown.strip().startswith("caf\\udce9 ")
    assert ("\u6d4b" in shown) is (encoding == "utf-8")
    assert stream.errors == "strict"  # as it was
