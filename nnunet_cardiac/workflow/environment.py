"""The environment variables through which nnU-Net finds its folders and this package's trainers. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from nnunet_cardiac.errors import UserError

#: nnU-Net's three working folders, in the order of its pipeline.
NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")

#: List of folders (separated by `os.pathsep`) in which nnU-Net looks for trainers that are not its own.
EXTERNAL_TRAINERS = "nnUNet_extTrainer"


def trainer_folder() -> Path:
    """Return the installed folder that nnU-Net has to scan for this package's trainers.

    Raises:
        UserError: If the installation lacks the folder.
    """
    # The parts of this package may lie in different places (editable install), so ask the import system. It imports
    # the parent package only: the trainers themselves, and with them torch, stay out.
    spec = find_spec("nnunet_cardiac.trainers")
    locations = list(spec.submodule_search_locations or []) if spec else []
    for location in locations:
        folder = Path(location).resolve() / "nnunet_ext"
        if folder.is_dir():
            return folder
    raise UserError(
        f"nnunet_cardiac: the folder trainers/nnunet_ext is missing from this installation (looked in "
        f"{', '.join(locations) or 'no folder'}). Reinstall the package: pip install --force-reinstall nnunet_cardiac."
    )


def external_trainer_folders(environ: Mapping[str, str]) -> list[str]:
    """Return the entries of `nnUNet_extTrainer`, without blanks."""
    return [entry for entry in environ.get(EXTERNAL_TRAINERS, "").split(os.pathsep) if entry.strip()]


def with_trainers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of an environment in which nnU-Net finds this package's trainers.

    The folder comes first, because nnU-Net imports every file of an earlier folder and stops at the first that fails.
    Other entries keep their order. `environ` itself stays as it is.

    Args:
        environ: Environment variables, such as `os.environ`.

    Returns:
        A new dictionary, to be given to a subprocess.
    """
    ours = trainer_folder()
    others = [entry for entry in external_trainer_folders(environ) if Path(entry).resolve() != ours]
    return {**environ, EXTERNAL_TRAINERS: os.pathsep.join([str(ours), *others])}
