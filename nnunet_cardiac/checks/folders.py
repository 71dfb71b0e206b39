"""nnU-Net's three folders: set, there, writable, with room; and one data set in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from nnunet_cardiac.checks.finding import Finding, fail, ok, warn
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow.environment import NNUNET_FOLDERS
from nnunet_cardiac.workflow.folders import find_dataset

#: A preprocessed cardiac data set of 200 volumes takes some 0.5 GB, a trained fold with its checkpoints 0.5 GB.
ENOUGH_FREE_BYTES = 5 * 10**9

_STORAGE = "Read docs/datasets.md, How an image lies in its file."


def check_folders(environ: Mapping[str, str]) -> list[Finding]:
    """Check the folders of nnU-Net, one finding each."""
    return [_check_folder(name, environ.get(name)) for name in NNUNET_FOLDERS]


def _check_folder(name: str, value: str | None) -> Finding:
    if not value:
        return fail(name, "not set", 'eval "$(nnunet_cardiac env --base FOLDER)", or export it yourself.')
    folder = Path(value)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        return fail(name, f"{folder} {found}", f"mkdir -p '{folder}', or correct {name}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        return fail(name, f"{folder} cannot be read", f"Change its permissions or choose another {name}.")
    if not os.access(folder, os.W_OK):
        # Raw data are often shared and read-only on purpose.
        level = warn if name == "nnUNet_raw" else fail
        return level(name, f"{folder} cannot be written", f"Change its permissions or choose another {name}.")
    free = shutil.disk_usage(folder).free
    message = f"{folder} ({free / 1e9:.1f} GB free)"
    if free < ENOUGH_FREE_BYTES:
        return warn(name, message, f"Less than {ENOUGH_FREE_BYTES / 1e9:.0f} GB: free some space before training.")
    return ok(name, message)


def check_dataset(
    environ: Mapping[str, str], dataset: str, required: Iterable[str] = (), *, progress: bool = True
) -> list[Finding]:
    """Run the checks of a raw data set and turn its notes into warnings, its problems into a failure."""
    from nnunet_cardiac.checks.dataset import check_raw_dataset

    check = f"dataset {dataset}"
    try:
        report = check_raw_dataset(find_dataset(environ, "nnUNet_raw", dataset), required, progress=progress)
    except UserError as error:
        return [fail(check, str(error), "Correct the files above; nothing else was changed.")]
    notes = [warn(check, note, "Nothing to do if this is intended.") for note in report.notes]
    storage = [warn(check, sentence, _STORAGE) for sentence in report.storage]
    return [ok(check, str(report)), *notes, *storage]
