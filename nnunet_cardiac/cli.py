"""The command `nnunet_cardiac`: one parser, one file a subcommand in :mod:`nnunet_cardiac.commands`.

A subcommand is a module with `HELP`, `add_arguments(parser)` and `run(args) -> int`, and is imported only when it is
called or listed. It imports torch and nnU-Net inside `run`, so that `--help` answers at once.

Exit codes: 0 done, 1 a check failed or an unexpected error, 2 wrong input or environment, 130 interrupted, 143 ended
by a signal.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType

from nnunet_cardiac.commands.common_options import DEBUG_VARIABLE, common_options
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.version import __version__
from nnunet_cardiac.workflow.signals import Ended, ending_raises

PROGRAM = "nnunet_cardiac"

#: Subcommand -> module, in the order in which a new user meets them.
COMMANDS: dict[str, str] = {
    "quickstart": "nnunet_cardiac.commands.quickstart",
    "doctor": "nnunet_cardiac.commands.doctor",
    "env": "nnunet_cardiac.commands.env",
    "trainers": "nnunet_cardiac.commands.trainers",
    "convert": "nnunet_cardiac.commands.convert",
    "plan": "nnunet_cardiac.commands.plan",
    "train": "nnunet_cardiac.commands.train",
    "predict": "nnunet_cardiac.commands.predict",
    "evaluate": "nnunet_cardiac.commands.evaluate",
    "report": "nnunet_cardiac.commands.report",
    "phantom": "nnunet_cardiac.commands.phantom",
    "benchmark": "nnunet_cardiac.commands.benchmark",
}

#: Errors of the file system that a user can correct -> what to do.
_FILE_SYSTEM_ADVICE: dict[int, str] = {
    errno.ENOSPC: "Free some space or choose a folder on another disk.",
    errno.EDQUOT: "Free some of your quota or choose a folder on another disk.",
    errno.EROFS: "Choose a folder on a disk that can be written.",
    errno.EACCES: "Change the permissions or choose another folder.",
    errno.EPERM: "Change the permissions or choose another folder.",
}

_logger = logging.getLogger(PROGRAM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    with _any_name_printable():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    try:
        args = _parse(list(sys.argv[1:] if argv is None else argv))
    except UserError as error:  # a system of another package that cannot be read, which commands need to know
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 2
    with _log_on_stderr(quiet=args.quiet, debug=args.debug), ending_raises():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    """Run the chosen subcommand and turn what the user can correct into one message."""
    try:
        code = args.run(args)
        sys.stdout.flush()  # here, where a full disk or a closed pipe is still explained
        return code
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 128 + 2
    except Ended as end:
        print(f"{PROGRAM}: ended by signal {end.number}", file=sys.stderr)
        return 128 + end.number
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has left. Point stdout elsewhere, or Python complains again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except (UserError, OSError) as error:
        message = _explain(error)
        if message is None or args.debug:
            raise
        print(f"{PROGRAM}: error: {message}", file=sys.stderr)
        return 2


def build_parser(commands: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser that knows the given subcommands (None: all); only their modules are imported."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Cardiac MRI segmentation systems as a plugin for nnU-Net v2.",
        parents=[common_options()],
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(quiet=False, debug=os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"))
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS if commands is None else commands:
        _add_command(subparsers, name, import_module(COMMANDS[name]))
    return parser


def _add_command(subparsers: argparse._SubParsersAction, name: str, module: ModuleType) -> None:
    subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP, parents=[common_options()])
    module.add_arguments(subparser)
    subparser.set_defaults(run=module.run)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    # No option before the subcommand takes a value, so the first word is the subcommand.
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command in COMMANDS:
        return build_parser([command]).parse_args(arguments)
    parser = build_parser()
    if command is not None:
        from difflib import get_close_matches

        close = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(COMMANDS)}."
        parser.error(f"unknown command {command!r}; {hint}")
    return parser.parse_args(arguments)


@contextmanager
def _any_name_printable() -> Iterator[None]:
    """Show what a terminal has no letter for as an escape: a file name may hold bytes of any kind."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    errors = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, before in zip(streams, errors, strict=True):
            with suppress(ValueError):  # closed meanwhile
                stream.reconfigure(errors=before)


@contextmanager
def _log_on_stderr(*, quiet: bool, debug: bool) -> Iterator[None]:
    """Show the package's log for the time of one command; a program that calls `main` keeps its own settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s" if quiet or debug else "%(message)s"))
    level = _logger.level
    _logger.addHandler(handler)
    _logger.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        _logger.removeHandler(handler)
        _logger.setLevel(level)


def _explain(error: UserError | OSError) -> str | None:
    """Return one message for the user, or None if the error is a defect that needs its traceback."""
    if isinstance(error, UserError):
        return str(error)
    advice = _FILE_SYSTEM_ADVICE.get(error.errno or 0)
    if advice is None:
        return None
    where = error.filename2 or error.filename or "a file that the system did not name"
    return f"{where}: {error.strerror}. {advice}"


if __name__ == "__main__":
    sys.exit(main())
