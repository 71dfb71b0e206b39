"""DICOM studies made from arrays, as scanners write them: classic files in any order, or one enhanced file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"

#: Oblique short axis: directions of a row and a column, and the slice distance and pixel sizes (z, y, x).
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, -0.8])
NORMAL = np.cross(ROW, COLUMN)
ORIGIN = np.array([-120.5, 33.25, 80.0])
SPACING = (9.5, 1.25, 1.5)


@dataclass
class Scanner:
    """Writes images of one study into a folder, under shuffled names."""

    folder: Path
    patient: str = "DOE^JANE"
    patient_id: str = "MRN-774411"
    study: str = field(default_factory=lambda: generate_uid())
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))

    def dataset(self, sop_class: str, series: str, number: int, description: str) -> FileDataset:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = sop_class
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = self.patient, self.patient_id, "", ""
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, series
        ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.ReferringPhysicianName = "", "", "", "", ""
        ds.SeriesNumber, ds.SeriesDescription, ds.Modality, ds.Manufacturer = number, description, "MR", "Phantom"
        ds.FrameOfReferenceUID = self.study + ".1"
        ds.PositionReferenceIndicator = ""
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        return ds

    def write(self, ds: FileDataset, name: str | None = None) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / (name or f"IM{self.rng.integers(10**9):09d}")
        ds.save_as(path, enforce_file_format=True)
        return path

    def classic(
        self,
        images: np.ndarray,
        number: int = 7,
        description: str = "cine SAX",
        skip: Callable[[int, int], bool] = lambda t, z: False,
        series_per_slice: bool = False,
        instance_offset: int = 0,
        series: str | None = None,
        slices: Any = None,
        times: bool = True,
        **tags: Any,
    ) -> list[Path]:
        """Write (T, Z, Y, X), one file an image; trigger times say the order, instance numbers do not."""
        common = series or generate_uid()
        written = []
        shuffled = self.rng.permutation(len(images))  # instance numbers of the frames
        for z in slices if slices is not None else range(images.shape[1]):
            uid = generate_uid() if series_per_slice else common
            for t in range(len(images)):
                if skip(t, z):
                    continue
                ds = self.dataset(MR_IMAGE, uid, number + (z if series_per_slice else 0), description)
                ds.Rows, ds.Columns = images.shape[2:]
                ds.PixelSpacing = [SPACING[1], SPACING[2]]
                ds.SliceThickness, ds.SpacingBetweenSlices = 8, SPACING[0]
                ds.ImageOrientationPatient = [*ROW, *COLUMN]
                ds.ImagePositionPatient = [round(float(v), 6) for v in ORIGIN + z * SPACING[0] * NORMAL]
                order = int(shuffled[t]) if times else t
                ds.InstanceNumber = instance_offset + z * len(images) + order + 1
                if times:
                    ds.TriggerTime = round(31.5 * t + 0.1 * z, 2)
                ds.RescaleSlope, ds.RescaleIntercept = 2, -10
                for name, value in tags.items():
                    setattr(ds, name, value)
                ds.PixelData = np.rint((images[t, z] + 10) / 2).astype(np.uint16).tobytes()
                written.append(self.write(ds))
        return written

    def enhanced(self, images: np.ndarray, number: int = 9) -> Path:
        """Write (T, Z, Y, X) as one multi-frame file, frames in random order."""
        ds = self.dataset(ENHANCED_MR_IMAGE, generate_uid(), number, "enhanced cine")
        ds.InstanceNumber = 1
        ds.Rows, ds.Columns = images.shape[2:]
        shared, measures = Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[2]], 8
        measures.SpacingBetweenSlices = SPACING[0]
        shared.PixelMeasuresSequence = [measures]
        orientation = Dataset()
        orientation.ImageOrientationPatient = [*ROW, *COLUMN]
        shared.PlaneOrientationSequence = [orientation]
        scaling = Dataset()
        scaling.RescaleSlope, scaling.RescaleIntercept, scaling.RescaleType = 2, -10, "US"
        shared.PixelValueTransformationSequence = [scaling]
        ds.SharedFunctionalGroupsSequence = [shared]
        places = [(t, z) for t in range(images.shape[0]) for z in range(images.shape[1])]
        places = [places[i] for i in self.rng.permutation(len(places))]
        groups = []
        for t, z in places:
            group, plane, cardiac = Dataset(), Dataset(), Dataset()
            plane.ImagePositionPatient = [round(float(v), 6) for v in ORIGIN + z * SPACING[0] * NORMAL]
            cardiac.NominalCardiacTriggerDelayTime = 31.5 * t
            group.PlanePositionSequence, group.CardiacSynchronizationSequence = [plane], [cardiac]
            groups.append(group)
        ds.PerFrameFunctionalGroupsSequence = groups
        ds.NumberOfFrames = len(groups)
        pixels = np.stack([np.rint((images[t, z] + 10) / 2) for t, z in places])
        ds.PixelData = pixels.astype(np.uint16).tobytes()
        return self.write(ds)


@pytest.fixture
def scanner(tmp_path: Path) -> Scanner:
    return Scanner(tmp_path / "study42")


@pytest.fixture
def cine() -> np.ndarray:
    """Even intensities, exact under the scanner's scaling: (T, Z, Y, X) = (6, 5, 20, 17)."""
    return 2.0 * np.random.default_rng(1).integers(0, 900, (6, 5, 20, 17)).astype(np.float32)
