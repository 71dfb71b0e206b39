"""ACDC (Bernard et al., IEEE TMI 2018): `database/{training,testing}/patientNNN/`.

The frame numbers of ED and ES stand in `Info.cfg`, counted from 1 as in the file names; the lower one is not always ED.
"""

from __future__ import annotations

from pathlib import Path

from nnunet_cardiac.datasets.image_files import file_volume
from nnunet_cardiac.datasets.layout import find_folder, image_in, subfolders, unknown_layout
from nnunet_cardiac.datasets.naming import case_name, patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Subject
from nnunet_cardiac.errors import UserError

LAYOUT = "training/patientNNN/Info.cfg with patientNNN_frameFF.nii.gz and patientNNN_frameFF_gt.nii.gz"
VALUES = {"RV": (1,), "MYO": (2,), "LV": (3,)}
_PARTS = {"training": "train", "testing": "test"}


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the patients of both parts.

    Raises:
        UserError: If the layout or an `Info.cfg` is not as expected.
    """
    folders = {split: find_folder(source, part) for part, split in _PARTS.items()}
    subjects = [
        _subject(folder, split)
        for split, part in folders.items()
        if part is not None
        for folder in subfolders(part)
        if any(folder.glob("*.nii*")) or (folder / "Info.cfg").is_file()
    ]
    if not any(subject.split == "train" for subject in subjects):
        raise unknown_layout(source, LAYOUT)
    notes = () if folders["test"] is not None else ("no folder testing: the data set has no test set",)
    return [Collection("ACDC", "cineMRI", VALUES, subjects, notes)]


def _subject(folder: Path, split: str) -> Subject:
    info = read_info(folder / "Info.cfg")
    patient = patient_name(folder.name)
    cases = []
    for phase in ("ED", "ES"):
        frame = _frame(folder / "Info.cfg", info, phase)
        image = image_in(folder, f"{folder.name}_frame{frame:02d}")
        label = image_in(folder, f"{folder.name}_frame{frame:02d}_gt")
        # The labels of the test set were published years after the images; a training case without one is a defect.
        labelled = split == "train" or label.is_file()
        cases.append(
            Case(
                case_name(patient, frame, phase),
                file_volume(image),
                file_volume(label) if labelled else None,
                phase,
                frame,
            )
        )
    facts = {"height_cm": info.get("Height"), "weight_kg": info.get("Weight"), "frames": info.get("NbFrame")}
    return Subject(
        patient,
        tuple(cases),
        split,
        group=info.get("Group", ""),
        cine=file_volume(image_in(folder, f"{folder.name}_4d")),
        facts=facts,
        sources=(folder / "Info.cfg",),
    )


def read_info(path: Path) -> dict[str, str]:
    """Read `Info.cfg`, one `key: value` a line.

    Raises:
        UserError: If it is missing.
    """
    if not path.is_file():
        present = ", ".join(sorted(p.name for p in path.parent.iterdir()))
        raise UserError(f"{path}: not found; its folder holds {present}. It says which frame is ED: unpack it again.")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _frame(path: Path, info: dict[str, str], phase: str) -> int:
    if not info.get(phase, "").isdecimal():
        found = ", ".join(f"{key}: {value}" for key, value in info.items()) or "nothing"
        raise UserError(f"{path}: found {found}; expected a line '{phase}: 12' with a frame number from 1.")
    return int(info[phase])
