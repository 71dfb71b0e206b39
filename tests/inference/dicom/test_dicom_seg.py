"""Segmentation objects hold the labels at the source's places, and what cannot be carried is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_cardiac.inference.dicom import read_dicom
from nnunet_cardiac.inference.dicom_seg import write_segmentations

pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")

NAMES = {"RV": 1, "MYO": 2, "LV": 3}


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 4, (6, 5, 20, 17)).astype(np.uint8)


def segments(path: Path) -> dict[tuple[int, float], np.ndarray]:
    """(Segment number, place along the normal) -> mask, decoded by pydicom alone."""
    ds = pydicom.dcmread(path)
    masks = {}
    for frame, group in zip(np.atleast_3d(ds.pixel_array), ds.PerFrameFunctionalGroupsSequence, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        masks[int(number), round(float(position @ np.cross([0.8, 0.6, 0], [-0.36, 0.48, -0.8])), 2)] = frame
    return masks


def test_cine_gets_one_object_a_phase(scanner: Any, cine: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    scanner.classic(cine)
    series = read_dicom("study42", scanner.folder).series[0]
    files, notes = write_segmentations(tmp_path, labels, series, NAMES, {"ED": 1, "ES": 4})
    assert [file.name for file in files] == ["study42_ED.dcm", "study42_ES.dcm"]
    assert "cannot tell frames at one position apart" in notes[0]
    for file, frame in zip(files, (0, 3), strict=True):
        masks = segments(file)
        places = sorted({place for _, place in masks})
        assert np.diff(places) == pytest.approx([9.5] * 4, abs=0.02)
        for (number, place), mask in masks.items():
            np.testing.assert_array_equal(mask, labels[frame, places.index(place)] == number)
    ds = pydicom.dcmread(files[0])
    assert ds.PatientID == "MRN-774411"  # required by the standard
    assert [item.SegmentLabel for item in ds.SegmentSequence] == ["RV", "MYO", "LV"]
    assert "SeriesDescription" in ds
    assert "Phantom" not in str(ds.get("Manufacturer"))


def test_stack_is_one_object(scanner: Any, cine: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    scanner.classic(cine[:1])
    series = read_dicom("study42", scanner.folder).series[0]
    files, notes = write_segmentations(tmp_path, labels[:1], series, NAMES, {})
    assert [file.name for file in files] == ["study42.dcm"]
    assert notes == []


def test_what_cannot_be_carried(scanner: Any, cine: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    scanner.enhanced(cine)
    series = read_dicom("study42", scanner.folder).series[0]
    files, notes = write_segmentations(tmp_path, labels, series, NAMES, {"ED": 1, "ES": 4})
    assert files == []
    assert "enhanced multi-frame" in notes[0]
    for file in scanner.folder.iterdir():
        file.unlink()
    scanner.classic(cine)
    series = read_dicom("study42", scanner.folder).series[0]
    assert "give --ed and --es" in write_segmentations(tmp_path, labels, series, NAMES, {})[1][0]
    _, notes = write_segmentations(tmp_path, labels * 0, series, NAMES, {"ED": 1, "ES": 4})
    assert "of ED: the label map is empty" in notes[1]
