"""Segmentation objects hold the labels where the label map has them, whatever the source lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from nnunet_cardiac.cli import main
from nnunet_cardiac.inference import dicom_seg
from nnunet_cardiac.inference.dicom_seg import write_segmentations
from tests.inference.dicom.seg_objects import (
    NAMES,
    PHASES,
    assert_same,
    edit,
    instances,
    only,
    random_labels,
    referenced,
    written,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Invalid value for VR"),
    pytest.mark.filterwarnings("ignore:The value length"),
]

LEGACY_CONVERTED = "1.2.840.10008.5.1.4.1.1.4.4"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., tuple[list[Path], list[str]]]:
    return partial(written, tmp_path)


def test_a_cine_gets_one_object_a_phase(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine)
    series = only(scanner)
    files, notes = write(series)
    assert [file.name for file in files] == ["study42_ED.dcm", "study42_ES.dcm"]
    assert len(notes) == 1
    assert "cannot tell frames at one position apart" in notes[0]
    for file, frame in zip(files, (0, 3), strict=True):
        assert referenced(pydicom.dcmread(file)) == {(uid, None) for uid in instances(series.dicom.images[frame])}
    ds = pydicom.dcmread(files[0])
    assert ds.PatientID == "MRN-774411"  # required by the standard
    assert ds.StudyInstanceUID == scanner.study
    assert [item.SegmentLabel for item in ds.SegmentSequence] == ["RV", "MYO", "LV"]
    assert ds.SeriesNumber == 1007
    assert "SeriesDescription" in ds
    assert "Phantom" not in str(ds.get("Manufacturer"))


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_a_stack_is_one_object(scanner: Any, cine: np.ndarray, write: Any, slices: int) -> None:
    scanner.classic(cine[:1, -slices:])
    files, notes = write(only(scanner), {}, {"LV": 1}, np.ones((1, slices, 20, 17), np.uint8))
    assert [file.name for file in files] == ["study42.dcm"]
    assert notes == []


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0), (0, 0, -1, 0.6, 0.8, 0)])
def test_other_orientations(scanner: Any, cine: np.ndarray, write: Any, orientation: tuple[float, ...]) -> None:
    """Slices ascend and descend along the axis of the body, and along the normal of their rows and columns."""
    normal = np.cross(orientation[:3], orientation[3:])
    for step in (7.0, -7.0):
        scanner.classic(cine[:1], ImageOrientationPatient=list(orientation), SpacingBetweenSlices=7)
        for file in scanner.folder.iterdir():
            ds = pydicom.dcmread(file)
            ds.ImagePositionPatient = list(np.round(np.array([1.5, -2, 3]) + step * ds.InstanceNumber * normal, 4))
            ds.save_as(file)
        files, _ = write(only(scanner), {})
        assert len(files) == 1
        for file in scanner.folder.iterdir():
            file.unlink()


def test_missing_slices_have_no_frames(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine[:1], skip=lambda _, z: z == 2)
    files, _ = write(only(scanner, allow_gaps=True), {})
    assert pydicom.dcmread(files[0]).NumberOfFrames == 3 * 4


def test_one_series_and_one_frame_of_reference_a_slice(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine, series_per_slice=True)
    edit(scanner, lambda ds, _: setattr(ds, "FrameOfReferenceUID", f"1.2.3.{ds.SeriesNumber}"))
    series = only(scanner)
    files, notes = write(series)
    assert len(files) == 2
    assert "several frames of reference; the DICOM segmentation has that of the first slice" in notes[1]
    for file, frame in zip(files, (0, 3), strict=True):
        ds = pydicom.dcmread(file)
        sources = [pydicom.dcmread(image.path) for image in series.dicom.images[frame]]
        assert referenced(ds) == {(source.SOPInstanceUID, None) for source in sources}
        assert [(item.SeriesInstanceUID, *instances_of(item)) for item in ds.ReferencedSeriesSequence] == [
            (source.SeriesInstanceUID, source.SOPInstanceUID) for source in sources
        ]
        assert ds.FrameOfReferenceUID == "1.2.3.7"


def instances_of(item: Any) -> list[str]:
    return [one.ReferencedSOPInstanceUID for one in item.ReferencedInstanceSequence]


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.4.1", LEGACY_CONVERTED])
def test_frames_of_an_enhanced_file(scanner: Any, cine: np.ndarray, write: Any, sop_class: str) -> None:
    scanner.enhanced(cine)
    edit(scanner, lambda ds, _: setattr(ds, "SOPClassUID", sop_class))
    series = only(scanner)
    files, notes = write(series)
    assert [file.name for file in files] == ["study42_ED.dcm", "study42_ES.dcm"]
    assert len(notes) == 1
    source = pydicom.dcmread(next(scanner.folder.iterdir()))
    for file, time in zip(files, (0.0, 3 * 31.5), strict=True):
        ds = pydicom.dcmread(file)
        groups = enumerate(source.PerFrameFunctionalGroupsSequence, 1)
        of_phase = {n for n, group in groups if delay(group) == time}
        assert len(of_phase) == 5
        assert referenced(ds) == {(source.SOPInstanceUID, n) for n in of_phase}
        (file_item,) = ds.SourceImageSequence
        assert set(file_item.ReferencedFrameNumber) == of_phase
        assert file_item.ReferencedSOPClassUID == sop_class
        assert instances_of(ds.ReferencedSeriesSequence[0]) == [source.SOPInstanceUID]
        for group in ds.PerFrameFunctionalGroupsSequence:
            number = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
            there = source.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(group.PlanePositionSequence[0].ImagePositionPatient, there, atol=1e-3)


def delay(group: Any) -> float:
    return group.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime


def test_a_classic_file_with_groups_of_an_enhanced_one(scanner: Any, cine: np.ndarray, write: Any) -> None:
    """As GE's scanners write them: the file is one image, and is referred to as a whole."""
    scanner.classic(cine[:1])
    series = only(scanner)
    edit(scanner, lambda ds, _: setattr(ds, "PerFrameFunctionalGroupsSequence", [pydicom.Dataset()]))
    stack = replace(series.dicom, images=tuple(tuple(replace(i, frame=0) for i in row) for row in series.dicom.images))
    files, _ = write(replace(series, dicom=stack), {})
    assert referenced(pydicom.dcmread(files[0])) == {(uid, None) for uid in instances(series.dicom.images[0])}


def test_other_structures(scanner: Any, cine: np.ndarray, write: Any) -> None:
    """Label values that a segment's number cannot have, and names in any script, of any length."""
    names = {"scar": 700, "左心室": 5, "a" * 70: 2, "aorta\\root": 256}
    scanner.patient = "M\xfcller^J\xf6rg"
    scanner.classic(cine[:1], SpecificCharacterSet="ISO_IR 100")
    values = np.array([0, 700, 5, 2])[random_labels()].astype(np.uint16)
    files, notes = write(only(scanner), {}, names, values)
    assert notes == []
    ds = pydicom.dcmread(files[0])
    assert [item.SegmentLabel for item in ds.SegmentSequence] == ["a" * 64, "左心室", "aorta/root", "scar"]
    assert str(ds.PatientName) == "M\xfcller^J\xf6rg"
    values[0, 3, 4, 5] = 8
    assert write(only(scanner), {}, names, values)[1] == [
        "No DICOM segmentation: the label map holds the value 8, which has no name."
    ]


def test_what_cannot_be_carried(scanner: Any, cine: np.ndarray, tmp_path: Path) -> None:
    scanner.classic(cine)
    series = only(scanner)
    labels = random_labels()
    assert "give --ed and --es" in write_segmentations(tmp_path, labels, series, NAMES, {})[1][0]
    labels[0] = 0
    files, notes = write_segmentations(tmp_path, labels, series, NAMES, PHASES)
    assert [file.name for file in files] == ["study42_ES.dcm"]
    assert notes[1] == "No DICOM segmentation of ED: the label map is empty."
    assert "not DICOM" in write_segmentations(tmp_path, labels, replace(series, dicom=None), NAMES, PHASES)[1][0]


def test_what_nobody_thought_of(
    scanner: Any, cine: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever highdicom refuses, the case keeps its label map, and its JSON file holds no words of the source."""
    scanner.classic(cine[:1])
    series = only(scanner)

    def refuse(*_: object) -> None:
        raise AttributeError("DOE^JANE")

    monkeypatch.setattr(dicom_seg, "build_object", refuse)
    files, notes = write_segmentations(tmp_path, random_labels()[:1], series, NAMES, {})
    assert files == []
    assert notes == ["No DICOM segmentation: it cannot be made from these files (AttributeError)."]


def test_the_command_writes_objects_and_notes(
    write_system: Callable[..., Path], scanner: Any, heart: np.ndarray, tmp_path: Path
) -> None:
    beating = 2 * np.rint(np.stack([heart[:3, ::2, ::2] + 40 * t for t in range(2)]).clip(0) / 2)
    scanner.classic(beating, series_per_slice=True)
    edit(scanner, lambda ds, number: setattr(ds, "FrameOfReferenceUID", f"1.2.3.{number}"))
    words = ["predict", "-i", scanner.folder, "-o", tmp_path / "out", "-m", write_system("nnUNet"), "-device", "cpu"]
    assert main([str(word) for word in [*words, "--threads", 1, "--quiet", "--dicom-seg", "--ed", 2, "--es", 1]]) == 0
    names = ["study42.json", "study42.nii.gz", "study42_ED.dcm", "study42_ES.dcm"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for phase, frame in (("ED", 1), ("ES", 0)):
        assert_same(tmp_path / "out" / f"study42_{phase}.dcm", tmp_path / "out" / "study42.nii.gz", frame, NAMES)
    warnings = json.loads((tmp_path / "out" / "study42.json").read_text())["warnings"]
    assert any("several frames of reference" in warning for warning in warnings)


def test_a_source_that_is_gone(scanner: Any, cine: np.ndarray, tmp_path: Path) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    for file in scanner.folder.iterdir():
        file.unlink()
    files, notes = write_segmentations(tmp_path, random_labels()[:1], series, NAMES, {})
    assert files == []
    assert notes == ["No DICOM segmentation: it cannot be made from these files (FileNotFoundError)."]
