"""Patients of a raw data set who show the same images, in training or in training and test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.content import Print, content_print, find_repeated
from nnunet_cardiac.images.image_file import read_voxels
from nnunet_cardiac.patients.cohort import Cohort, read_patients
from nnunet_cardiac.patients.repeated import patient_groups, shown_groups
from nnunet_cardiac.patients.tables import find_tables

_CHANNEL = re.compile(r"_\d{4}$")


def repeated_notes(folder: Path, ending: str, prints: Mapping[Path, Print], progress: bool) -> Iterator[str]:
    """Yield a sentence if patients share images.

    Args:
        folder: `DatasetXXX_Name`; the images of its `imagesTs` are compared, too, as far as they can be read.
        ending: Of image files.
        prints: Print of each training image.
        progress: Whether to show a progress bar.
    """
    test = _test_prints(folder / "imagesTs", ending, progress)
    cases = {path: _CHANNEL.sub("", path.name.removesuffix(ending)) for path in (*prints, *test)}
    patients = _cohort(folder, set(cases.values())).by_case
    everything = {str(path): own for path, own in {**prints, **test}.items()}
    owners = {str(path): patients[case] for path, case in cases.items()}
    pairs = [(Path(pair.first), Path(pair.second)) for pair in find_repeated(everything, owners)]
    training = [pair for pair in pairs if not set(pair) & set(test)]
    groups = patient_groups([(cases[first], cases[second]) for first, second in training], patients)
    if groups:
        yield f"{shown_groups(groups)} show the same images; folds that `nnunet_cardiac plan` draws keep them together."
    apart = [sorted(pair, key=lambda path: path in test) for pair in pairs if len(set(pair) & set(test)) == 1]
    leaks = sorted({(owners[str(train)], owners[str(held)]) for train, held in apart})
    if leaks:
        count = len({train for train, _ in leaks})
        shown = ", ".join(f"{train} as {held}" for train, held in leaks[:5])
        yield (
            f"{count} of the patients in imagesTr are in imagesTs under another name ({shown}), so test results are "
            "too good."
        )


def _test_prints(folder: Path, ending: str, progress: bool) -> dict[Path, Print]:
    paths = sorted(folder.glob(f"*_[0-9][0-9][0-9][0-9]{ending}")) if folder.is_dir() else []
    prints = {}
    for path in tqdm(paths, desc="test images", unit="image", disable=not progress or not paths, leave=False):
        try:
            prints[path] = content_print(read_voxels(path))
        except UserError:
            continue  # only training images are checked here
    return prints


def _cohort(folder: Path, cases: set[str]) -> Cohort:
    try:
        return read_patients(cases, find_tables(folder))
    except UserError:
        return read_patients(cases)  # `plan` refuses the table and says why
