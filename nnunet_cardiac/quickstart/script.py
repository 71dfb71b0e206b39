"""The commands of a run as a shell script, with what each of them took."""

from __future__ import annotations

import platform
import resource
import shlex
import sys
from importlib.metadata import version

from nnunet_cardiac.devices import usable_cores
from nnunet_cardiac.quickstart.steps import QuickstartOptions
from nnunet_cardiac.report.formats import duration
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, trainer_folder
from nnunet_cardiac.workflow.runner import shown
from nnunet_cardiac.workflow.steps import Step

_VERSIONS = ("nnunet_cardiac", "nnunetv2", "torch")


class CommandScript:
    """`commands.sh`: written line by line, so that the page, made by the last command, shows it.

    Args:
        options: Of the run.
    """

    def __init__(self, options: QuickstartOptions) -> None:
        self._path, self._total = options.commands, 0.0
        versions = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
        variables = {**options.variables(), EXTERNAL_TRAINERS: str(trainer_folder()), **options.settings()}
        lines = [f"# {_device(options)}", f"# Python {platform.python_version()}, {versions}"]
        self._write(*lines, *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))

    def start(self, step: Step) -> None:
        """Add a command that is about to run."""
        self._write("", shown(step.words))

    def end(self, seconds: float) -> None:
        """Add what it took."""
        self._total += seconds
        memory = f"{peak_memory_bytes() / 2**30:.1f} GiB"
        self._write(f"# {duration(seconds)}; so far {duration(self._total)}, largest process {memory}")

    def _write(self, *lines: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


def write_own_data_script(options: QuickstartOptions) -> None:
    """Write `own_data.sh`: the same way on a data set of one's own."""
    system = options.system
    trainer, final = system.trainer, system.final
    lines = [
        "# Data in nnU-Net's raw format, with the labels named LV, MYO and RV in dataset.json.",
        "# These commands train with the paper's recipe and all of its epochs.",
        'eval "$(nnunet_cardiac env --base FOLDER)"',
        "nnunet_cardiac doctor -d ID",
        f"nnUNetv2_plan_and_preprocess -d ID -c {system.base} --verify_dataset_integrity",
        f"nnunet_cardiac plan -d ID -tr {trainer}",
        *(f"nnUNetv2_preprocess -d ID -c {name}" for name in system.preprocessed),
        f"nnunet_cardiac train -d ID -c {final} -tr {trainer} -f 0 1 2 3 4 --all-stages",
        f"nnunet_cardiac predict -i IMAGES -o RESULT -d ID -c {final} -tr {trainer} --indices",
        "nnunet_cardiac evaluate -gt LABELS -p RESULT",
        "nnunet_cardiac report -i RESULT/evaluation",
    ]
    options.own_data.write_text("\n".join(lines) + "\n", encoding="utf-8")


def peak_memory_bytes() -> int:
    """Largest process among the steps; the system counts in KiB, macOS in bytes."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak if sys.platform == "darwin" else peak * 1024


def _device(options: QuickstartOptions) -> str:
    import torch

    if options.device == "cuda":
        return torch.cuda.get_device_name()
    threads = usable_cores(options.threads, device=options.device)
    return f"{platform.processor() or platform.machine()}, threads {threads}, {options.device}"
