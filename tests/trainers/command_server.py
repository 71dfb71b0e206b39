"""Runs console scripts, each in a fork of one process that has imported torch, nnU-Net and the trainers before.

A slow test starts a dozen of nnU-Net's commands, and most of their time is import. Each line of stdin is a job in JSON:
the words of a command, and the file that takes its output. The answer is its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
from importlib.metadata import entry_points
from multiprocessing import util


def warm_up() -> None:
    """Import what the commands need; nnU-Net's search for trainers imports all of its own."""
    for name in ("nnunetv2.run.run_training", "nnunetv2.inference.predict_from_raw_data", "nnunet_cardiac.cli"):
        importlib.import_module(name)
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    from nnunet_cardiac.systems import TRAINERS

    for trainer in TRAINERS:
        recursive_find_trainer_class_by_name(trainer)


def run(words: list[str], log: str) -> int:
    """Run a command in this process."""
    with open(log, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = words
    (script,) = entry_points(group="console_scripts", name=words[0])
    try:
        code = script.load()()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(Exception):
        util._exit_function()  # ends workers that the command has left, as at the end of any process
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)


def main() -> None:
    """Answer jobs until stdin closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print is no answer
    warm_up()
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(job["words"], job["log"]))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    main()
