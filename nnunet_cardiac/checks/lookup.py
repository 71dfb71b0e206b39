"""Does nnU-Net find this package's trainers, and as the installed classes?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.checks.finding import Finding, fail, ok, warn
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow.environment import (
    EXTERNAL_TRAINERS,
    external_trainer_folders,
    trainer_folder,
    with_trainers,
)

_TIMEOUT_SECONDS = 180
_FIX = (
    "An import error: repair that package, the search imports every trainer file. Another copy: remove it from "
    "nnUNet_extTrainer and reinstall nnunet_cardiac."
)
_FIX_TORCHVISION = (
    "Install both as builds of one kind, CPU or CUDA, from one source: pip install --force-reinstall torch torchvision"
)
_PROBE = "nnunet_cardiac.checks.lookup_probe"


def check_lookup(environ: Mapping[str, str], trainers: Sequence[str]) -> list[Finding]:
    """Check nnUNet_extTrainer and look every trainer up as nnU-Net does, in a process of its own.

    Args:
        environ: Environment variables of the user.
        trainers: Class names, as given to `-tr`.
    """
    try:
        variable = _check_variable(environ)
    except UserError as error:
        return [fail(EXTERNAL_TRAINERS, str(error), "pip install --force-reinstall nnunet_cardiac")]
    return [variable, *_look_up(environ, trainers)]


def _check_variable(environ: Mapping[str, str]) -> Finding:
    entries = external_trainer_folders(environ)
    if any(Path(entry).resolve() == trainer_folder() for entry in entries):
        return ok(EXTERNAL_TRAINERS, environ[EXTERNAL_TRAINERS])
    found = f"set to {environ[EXTERNAL_TRAINERS]}, without this package's folder" if entries else "not set"
    return warn(
        EXTERNAL_TRAINERS,
        f"{found}; nnunet_cardiac sets it for itself, but stock nnUNetv2_* commands will not find our trainers",
        'eval "$(nnunet_cardiac env)"',
    )


def _look_up(environ: Mapping[str, str], trainers: Sequence[str]) -> list[Finding]:
    # A fresh process, because the lookup imports and then removes modules, which would spoil this one.
    command = [sys.executable, "-m", _PROBE, *trainers]
    try:
        done = subprocess.run(
            command, env=with_trainers(environ), capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return [
            fail("trainer lookup", f"no answer within {_TIMEOUT_SECONDS} s", f"Run it yourself: {' '.join(command)}")
        ]
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if "torchvision" in reason:
            # nnU-Net's search imports timm, and that torchvision, whose operators are compiled for one build of torch.
            return [fail("trainer lookup", f"torchvision does not fit torch ({reason})", _FIX_TORCHVISION)]
        return [fail("trainer lookup", reason, f"See the whole message with: {' '.join(command)}")]
    problems: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return [
        fail(f"trainer {name}", problem, _FIX)
        if problem
        else ok(f"trainer {name}", "found by nnU-Net, the installed class")
        for name, problem in problems.items()
    ]
