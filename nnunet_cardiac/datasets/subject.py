"""What a converter hands over: patients with their volumes, read when they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.cohort import patient_of

#: Split -> ending of nnU-Net's folders. nnU-Net reads Tr; Ts and Val keep the official protocol apart.
FOLDER_OF_SPLIT: Mapping[str, str] = {"train": "Tr", "val": "Val", "test": "Ts"}


@dataclass(frozen=True)
class Loaded:
    """An image in memory.

    Attributes:
        image: 3D, or 4D with time last.
        repairs: What was corrected in its header, one sentence each.
        oriented: Whether the source says how the axes lie in the patient.
    """

    image: sitk.Image
    repairs: tuple[str, ...] = ()
    oriented: bool = True


@dataclass(frozen=True)
class Volume:
    """A volume or series that is read on demand.

    Attributes:
        sources: Files that it comes from.
        load: Reads it.
    """

    sources: tuple[Path, ...]
    load: Callable[[], Loaded]

    def __str__(self) -> str:
        return str(self.sources[0])


@dataclass(frozen=True)
class Case:
    """One case of nnU-Net.

    Attributes:
        name: Its file name without ending; :func:`nnunet_cardiac.patients.cohort.patient_of` has to give
            the patient back.
        image: The image, 3D.
        label: Label map in the values of the source, if there is one.
        phase: `ED`, `ES` or empty.
        frame: Frame of the heart cycle counted from 1, if known.
        facts: Further columns of `cases.csv`.
    """

    name: str
    image: Volume
    label: Volume | None = None
    phase: str = ""
    frame: int | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One patient.

    Attributes:
        patient: Name of letters, digits and dashes.
        cases: Volumes of the data set.
        split: Key of `FOLDER_OF_SPLIT`.
        group: Disease group as the source names it, or empty.
        stratum: What the folds are balanced by; empty means the group.
        cine: All frames as one 4D image, if there is one.
        facts: Further columns of `patients.csv`, such as `height_cm`.
        sources: Files that describe the patient, besides those of the volumes.
    """

    patient: str
    cases: tuple[Case, ...]
    split: str = "train"
    group: str = ""
    stratum: str = ""
    cine: Volume | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()

    def files(self, cine: bool) -> list[Path]:
        """All files that the patient comes from, each once, in order."""
        volumes = [v for case in self.cases for v in (case.image, case.label) if v is not None]
        if cine and self.cine is not None:
            volumes.append(self.cine)
        return list(dict.fromkeys([*self.sources, *(path for volume in volumes for path in volume.sources)]))


@dataclass(frozen=True)
class Collection:
    """One data set to be written.

    Attributes:
        name: Name after the number, such as `ACDC`.
        channel: Name of the channel in `dataset.json`.
        values: Structure -> its values in the source's label maps; 0 is the background.
        subjects: The patients.
        notes: What the user should know, one sentence each.
    """

    name: str
    channel: str
    values: Mapping[str, tuple[int, ...]]
    subjects: Sequence[Subject]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConvertOptions:
    """What a user may say to the converters.

    Attributes:
        labels: Structure -> values in the source, in place of what is known of it.
        structures: Structures to keep, others become background; None keeps all.
        infarct: EMIDEC: keep infarct and no-reflow apart from the healthy myocardium.
        cavity_only: Sunnybrook: LV cavity alone, at ED and ES.
        cine: All frames are wanted.
        trust_voxels: Labels take the header of their image, whatever their own says.
        skip: Patients that are left out, so that a converter need not read them.
        progress: Show a bar on stderr.
        spacing_mm: generic: voxel size (x, y, z) of all files, whatever their headers say.
        as_stored: Images keep the order and the sense of their axes; by default they become canonical.
    """

    labels: Mapping[str, tuple[int, ...]] | None = None
    infarct: bool = False
    cavity_only: bool = False
    cine: bool = False
    trust_voxels: bool = False
    skip: Sequence[str] = ()
    progress: bool = False
    structures: Sequence[str] | None = None
    spacing_mm: tuple[float, ...] | None = None
    as_stored: bool = False


def check_subjects(collection: Collection) -> None:
    """Refuse a patient in two splits, two cases of one name, and names that hide the patient.

    Raises:
        UserError: With the patient or the case.
    """
    split_of: dict[str, str] = {}
    names: set[str] = set()
    for subject in collection.subjects:
        other = split_of.setdefault(subject.patient, subject.split)
        if other != subject.split:
            raise UserError(
                f"{collection.name}: patient {subject.patient} is in {other} and in {subject.split}; expected every "
                "patient in one part, or the results of the test leak. Correct the source, or leave one of them out."
            )
        for case in subject.cases:
            if patient_of(case.name) != subject.patient:
                raise UserError(
                    f"{collection.name}: case {case.name} reads as patient {patient_of(case.name)}, not as "
                    f"{subject.patient}; expected names that end in _ED, _ES or _frame01 after the patient."
                )
            if case.name in names:
                raise UserError(
                    f"{collection.name}: two cases are called {case.name} (second from {case.image}); expected one "
                    "volume a patient and frame. Give frame or phase of each, or remove one."
                )
            names.add(case.name)
    if not names:
        raise UserError(f"{collection.name}: no case found. Compare the folder with docs/datasets.md.")
