"""Sunnybrook (Radau et al., MIDAS 2009): cine DICOM and contours `contours-manual/IRCCI-expert` by instance number.

The cavity is contoured at ED and ES, the outer border mostly at ED only. A frame without outer contours says nothing of
the myocardium and would teach that there is none, so it is left out, unless only the cavity is asked for. Slices are
cut off where contours are missing in between or incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunet_cardiac.checks.problems import Problems
from nnunet_cardiac.datasets.contoured_stack import ContouredStack
from nnunet_cardiac.datasets.contours import find_contours
from nnunet_cardiac.datasets.dicom_cine import CineStack, find_cine, read_instances
from nnunet_cardiac.datasets.layout import unknown_layout
from nnunet_cardiac.datasets.naming import case_name, patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Loaded, Subject, Volume
from nnunet_cardiac.dicom.headers import import_pydicom
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.csv_table import find_table, read_table

LAYOUT = "SC-HF-I-1/contours-manual/IRCCI-expert/IM-0001-0048-icontour-manual.txt and DICOM files of the same case"
#: Values of this module; the contours themselves have none.
VALUES = {"MYO": (1,), "LV": (2,)}
CAVITY_ONLY = {"LV": (2,)}
_CASE = re.compile(r"SC-(HF-I|HF-NI|HYP|N)-0*(\d+)", re.IGNORECASE)
_PARTS = {"validation": "val", "online": "test"}


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the cases, their series and the contours.

    Raises:
        UserError: If the layout is not as expected, pydicom is not installed, or with all problems of all cases.
    """
    expert = sorted(p for p in source.rglob("IRCCI-expert") if p.is_dir() and _CASE.fullmatch(p.parent.parent.name))
    if not expert:
        raise unknown_layout(source, LAYOUT)
    import_pydicom()  # once for the archive, not as a problem of each case
    problems, subjects, notes = Problems(), [], []
    images = _image_folders(source)
    facts = _facts(source)
    for folder in tqdm(expert, desc="Sunnybrook headers", unit="case", disable=not options.progress):
        key = _key(folder.parent.parent.name)
        patient = patient_name("SC-{}-{:02d}".format(*key))
        if patient in options.skip:
            subjects.append(Subject(patient, ()))  # known, so that --skip may name it
            continue
        try:
            subject, note = _subject(folder, patient, key, images.get(key, []), facts.get(key, {}), options.cavity_only)
            subjects.append(subject)
            notes += note
        except UserError as error:
            problems.add(f"{patient}: {error}")
    problems.raise_if_any(f"{source}: nothing was written")
    values = CAVITY_ONLY if options.cavity_only else VALUES
    return [Collection("Sunnybrook", "cineMRI", values, subjects, tuple(notes))]


def _subject(
    folder: Path, patient: str, key: tuple[str, int], places: Sequence[Path], facts: dict[str, str], cavity_only: bool
) -> tuple[Subject, list[str]]:
    contours = find_contours(folder)
    files = sorted({path for place in places for path in place.rglob("*") if path.suffix.lower() == ".dcm"})
    if not contours or not files:
        raise UserError(
            f"{folder}: {len(contours)} contoured images and {len(files)} DICOM files of this case; expected both. The "
            "images lie in a folder of the same name (SC-HF-I-1 and SC-HF-I-01 are the same), or in one that "
            "scd_patientdata.csv names."
        )
    stack = find_cine(read_instances(files), set(contours), places[0])
    where = stack.places()
    annotation = ContouredStack(stack, {where[number]: found for number, found in contours.items()})
    cases, notes, phases = [], [], annotation.phases()
    others = sum(t not in phases.values() for _, t in annotation.contours)
    if others:
        notes.append(f"{patient}: {others} contoured images at other frames than ED and ES left out")
    for phase, frame in phases.items():
        first, last = annotation.trusted(frame, cavity_only)
        if first == last:
            notes.append(
                f"{patient}: {phase} left out, no slice has all contours; --cavity-only takes the cavity alone"
            )
            continue
        if last - first < len(stack.slices):
            notes.append(f"{patient}: {phase} keeps slices {first + 1} to {last} of {len(stack.slices)}")
        cases.append(_case(annotation, patient, phase, frame, (first, last), cavity_only))
    return (
        Subject(
            patient,
            tuple(cases),
            _split(folder),
            group=key[0],
            cine=_cine(stack),
            facts=facts,
        ),
        notes,
    )


def _case(
    annotation: ContouredStack, patient: str, phase: str, frame: int, run: tuple[int, int], cavity_only: bool
) -> Case:
    first, last = run
    stack = annotation.stack
    used = [annotation.contours[z, frame] for z in range(first, last) if (z, frame) in annotation.contours]

    def load_image() -> Loaded:
        return Loaded(stack.image(frame, first, last))

    def load_label() -> Loaded:
        values = (0, 2) if cavity_only else (1, 2)
        label = sitk.GetImageFromArray(np.stack([annotation.labels(z, frame, *values) for z in range(first, last)]))
        label.CopyInformation(stack.image(frame, first, last))
        return Loaded(label)

    return Case(
        case_name(patient, frame + 1),
        Volume(tuple(images[frame].path for images in stack.slices[first:last]), load_image),
        Volume(tuple(path for files in used for path in (files.inner, files.outer) if path is not None), load_label),
        phase,
        frame + 1,
    )


def _cine(stack: CineStack) -> Volume:
    paths = tuple(image.path for images in stack.slices for image in images)

    def load() -> Loaded:
        frames = [stack.image(frame) for frame in range(stack.frames)]
        for frame in frames[1:]:  # their headers are rounded differently, which SimpleITK would refuse
            frame.CopyInformation(frames[0])
        return Loaded(sitk.JoinSeries(frames))

    return Volume(paths, load)


def _key(name: str) -> tuple[str, int]:
    match = _CASE.fullmatch(name)
    assert match is not None  # only names that match come here
    return match[1].upper(), int(match[2])


def _image_folders(source: Path) -> dict[tuple[str, int], list[Path]]:
    """Return case -> folders that may hold its DICOM files: of its own name, or of the one in the patient table."""
    table = find_table(source, "*.csv", "OriginalID")
    other: dict[str, tuple[str, int]] = {}
    if table is not None:
        rows = read_table(table, ("PatientID", "OriginalID"))
        other = {row["PatientID"]: _key(row["OriginalID"]) for row in rows if _CASE.fullmatch(row["OriginalID"])}
    found: dict[tuple[str, int], list[Path]] = {}
    for folder in sorted(p for p in source.rglob("SC*") if p.is_dir()):
        key = _key(folder.name) if _CASE.fullmatch(folder.name) else other.get(folder.name)
        if key is not None:
            found.setdefault(key, []).append(folder)
    return found


def _facts(source: Path) -> dict[tuple[str, int], dict[str, str]]:
    table = find_table(source, "*.csv", "OriginalID")
    if table is None:
        return {}
    rows = read_table(table, ("OriginalID",))
    return {
        _key(r["OriginalID"]): {k.lower(): v for k, v in r.items()} for r in rows if _CASE.fullmatch(r["OriginalID"])
    }


def _split(folder: Path) -> str:
    """The challenge had three parts; archives without such folders are one training set."""
    text = folder.as_posix().lower()
    return next((split for part, split in _PARTS.items() if f"/{part}datacontours" in text), "train")
