"""LASC 2018 (Xiong et al., Medical Image Analysis 2021): `Training Set/ID/{lgemri,laendo}.nrrd`.

The cavity of the left atrium has the value 255. Other masks of the archive (the wall) are left alone.
"""

from __future__ import annotations

from pathlib import Path

from nnunet_cardiac.datasets.image_files import file_volume
from nnunet_cardiac.datasets.layout import find_folder, subfolders, unknown_layout, unpacked
from nnunet_cardiac.datasets.naming import patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Subject

LAYOUT = "'Training Set/ID/lgemri.nrrd' with 'laendo.nrrd' beside it"
#: 1 in copies that were made ready for training.
VALUES = {"LA": (255, 1)}
_IMAGE, _LABEL = "lgemri.nrrd", "laendo.nrrd"
_PARTS = {"train": ("Training Set", "Training_Set", "Training"), "test": ("Testing Set", "Testing_Set", "Testing")}


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the patients of both parts; a folder of patients without parts is a training set.

    Raises:
        UserError: If the layout is not as expected.
    """
    parts = {split: find_folder(source, *names) for split, names in _PARTS.items()}
    if parts["train"] is None and parts["test"] is None:
        parts["train"] = source
    subjects = [
        _subject(folder, split)
        for split, part in parts.items()
        if part is not None
        for folder in subfolders(part)
        if unpacked(folder / _IMAGE).is_file() or unpacked(folder / _LABEL).is_file()
    ]
    if not any(subject.split == "train" for subject in subjects):
        raise unknown_layout(source, LAYOUT)
    notes = () if parts["test"] is not None else ("no folder 'Testing Set': the data set has no test set",)
    return [Collection("LASC2018", "LGE", VALUES, subjects, notes)]


def _subject(folder: Path, split: str) -> Subject:
    patient = patient_name(folder.name)
    image, label = unpacked(folder / _IMAGE), unpacked(folder / _LABEL)
    labelled = split == "train" or label.is_file()
    return Subject(patient, (Case(patient, file_volume(image), file_volume(label) if labelled else None),), split)
