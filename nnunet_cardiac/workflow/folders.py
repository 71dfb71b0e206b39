"""Where nnU-Net keeps a data set. Imports no torch and no nnU-Net."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nnunet_cardiac.errors import UserError


def find_dataset(environ: Mapping[str, str], variable: str, dataset: str) -> Path:
    """Find the folder of a data set in one of nnU-Net's three folders.

    Args:
        environ: Environment variables, such as `os.environ`.
        variable: `nnUNet_raw`, `nnUNet_preprocessed` or `nnUNet_results`.
        dataset: Number (`27`, `027`) or name (`Dataset027_ACDC`).

    Raises:
        UserError: If the variable is not set, or no folder or more than one fits.
    """
    base = environ.get(variable)
    if not base:
        raise UserError(f'{variable} is not set. Set it: eval "$(nnunet_cardiac env --base FOLDER)"')
    pattern = f"Dataset{int(dataset):03d}_*" if dataset.isdecimal() else dataset
    found = sorted(folder for folder in Path(base).glob("Dataset*") if folder.is_dir() and folder.match(pattern))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(folder.name for folder in found)
        raise UserError(f"{base}: {dataset} means {names}; nnU-Net needs one folder a number. Renumber the others.")
    present = ", ".join(sorted(folder.name for folder in Path(base).glob("Dataset*"))) or "none"
    raise UserError(
        f"{base}: no data set {dataset}; expected a folder {pattern}, found {present}. Correct the number or "
        f"{variable}."
    )


def raw_dataset(dataset: str, environ: Mapping[str, str]) -> Path | None:
    """Return the raw folder of a data set; None if nnU-Net's raw folder is not known or does not hold it.

    Args:
        dataset: Name, `Dataset027_ACDC`.
        environ: Environment variables.
    """
    raw = Path(environ.get("nnUNet_raw", "")) / dataset
    return raw if environ.get("nnUNet_raw") and raw.is_dir() else None


def dataset_number(folder: Path) -> str:
    """Return the number of a data-set folder, which some nnU-Net commands want instead of the name: `27`."""
    return folder.name.removeprefix("Dataset")[:3].lstrip("0")
