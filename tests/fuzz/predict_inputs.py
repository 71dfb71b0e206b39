"""Run `predict` on each folder of inputs in this process, and say after each what became of it.

Usage: python predict_inputs.py MODEL OUTPUT FOLDER ... ; the results of FOLDER go to OUTPUT/NAME. Before and after each
input one JSON object is printed on a line: its name; then exit code, what was printed, and resident memory in MiB. If
an input takes too long, the process ends, and the last name is that of the input.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import resource
import sys
import traceback
from pathlib import Path

#: What an input may ask for in addition to what the program has at its start, in bytes.
MEMORY = 4 * 2**30

#: For one input, which takes a fraction of a second.
SECONDS = 60


def main(model: str, output: str, folders: list[str]) -> None:
    """Predict; the first input, which loads every library, must be a good one."""
    for number, folder in enumerate(folders):
        if number == 1:
            started = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (started + MEMORY, started + MEMORY))
        _say(name=Path(folder).name)
        faulthandler.dump_traceback_later(SECONDS if number else 10 * SECONDS, exit=True)
        code, text = _predict(model, f"{output}/{Path(folder).name}", folder)
        _say(code=code, text=text, memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _predict(model: str, output: str, folder: str) -> tuple[int, str]:
    from nnunet_cardiac import cli

    words = ["predict", "-i", folder, "-o", output, "-m", model, "-device", "cpu", "--threads", "1", "--quiet"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = cli.main([*words, "--indices", "--dicom-seg"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else -1
        except BaseException:
            code = -1
            traceback.print_exc()
    return code, printed.getvalue()


def _say(**content: object) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
