"""DICOM studies made from an array by a plan: how the images are stored, named, numbered, rounded, mixed with others.

The array is unique in every voxel, and its place in the patient is worked out here, so that what a reader returns can
be held against it without anything of the reader.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

MR, ENHANCED_MR, LEGACY_MR = (f"1.2.840.10008.5.1.4.1.1.4{end}" for end in ("", ".1", ".4"))
SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "run lengths": RLELossless,
    "JPEG-LS": JPEGLSLossless,
}

ROWS, COLUMNS = 12, 10
PIXEL_MM = (1.5, 1.25)  # distance of rows, of columns
SLICE_MM = 8.0
FRAME_MS = 42.5
ORIGIN = np.array([-61.5, 18.25, 40.0])

#: Directions of a row and of a column.
ORIENTATIONS = {
    "oblique": ((0.8, 0.6, 0.0), (-0.36, 0.48, -0.8)),
    "axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "flipped": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    "sagittal": ((0.0, 0.6, 0.8), (0.0, 0.8, -0.6)),
}

#: What tools for removing identifiers take away or empty.
IDENTIFIERS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName", "SeriesDescription", "Manufacturer", "FrameOfReferenceUID"),
    *("SeriesNumber", "PositionReferenceIndicator", "AcquisitionNumber", "SliceThickness", "SpacingBetweenSlices"),
)

#: Other images of a study, which are not the cine.
COMPANIONS = ("phase", "second", "tagging", "late", "long axes", "localiser")


@dataclass(frozen=True)
class Plan:
    """How a study is written. What is not said is written as scanners do.

    Attributes:
        frames: Of the cycle; 1 for a stack.
        slices: Parallel ones.
        orientation: A name of `ORIENTATIONS`.
        storage: `classic`, `enhanced` (one file), `enhanced a slice` or `legacy converted`.
        series: Whether there is `one` series, one `a slice`, one `a frame`, or `two parts` of the slices.
        folders: `flat`, `a slice`, or `anywhere` (below the study's folder).
        names: `in order`, or `shuffled`.
        numbers: Whether instance numbers run through slices `up` or `down`, or `frames first`, or are `shuffled`; the
            last only with times.
        copies: Files that are there twice.
        rounding: Last digit in which orientation, position and pixel size differ from slice to slice; 0 for none.
        syntax: A name of `SYNTAXES`.
        pixels: `plain`, `scaled`, `scaled a slice`, `signed` or `MONOCHROME1`.
        removed: Keywords that are missing.
        emptied: Keywords without value.
        times: Whether trigger times are there.
        companions: Names of `COMPANIONS`.
        joined: Whether these are in the series of the cine; of an enhanced file, phase images only.
        seed: Of everything drawn at random while writing.
    """

    frames: int = 3
    slices: int = 4
    orientation: str = "oblique"
    storage: str = "classic"
    series: str = "one"
    folders: str = "flat"
    names: str = "in order"
    numbers: str = "up"
    copies: int = 0
    rounding: int = 0
    syntax: str = "explicit"
    pixels: str = "plain"
    removed: frozenset[str] = frozenset()
    emptied: frozenset[str] = frozenset()
    times: bool = True
    companions: frozenset[str] = frozenset()
    joined: bool = False
    seed: int = 0

    @property
    def may_be_refused(self) -> bool:
        """Whether a refusal is a right answer, because the files do not say enough or hold two hearts' worth."""
        numbered = self.storage == "classic" and "InstanceNumber" not in self.removed | self.emptied
        order_unknown = self.frames > 1 and not self.times and not numbered
        mixed = bool(self.companions) and (self.joined or bool(self.companions & {"phase", "second", "tagging"}))
        parts = self.series in ("two parts", "a frame") or (self.series == "a slice" and self.slices < 3)
        alone = self.slices < 3 and bool(self.companions)
        study_unknown = "StudyInstanceUID" in self.removed | self.emptied
        return order_unknown or mixed or parts or alone or study_unknown or self.pixels == "MONOCHROME1"

    @property
    def geometry(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Directions of a row, of a column, and of the slices."""
        row, column = (np.array(direction) for direction in ORIENTATIONS[self.orientation])
        return row, column, np.cross(row, column)

    def voxels(self) -> np.ndarray:
        """What a file stores if nothing scales it: (T, Z, Y, X), no two alike."""
        shape = (self.frames, self.slices, ROWS, COLUMNS)
        return 1 + np.arange(np.prod(shape), dtype=np.int64).reshape(shape)

    def second(self) -> np.ndarray:
        """Another measurement of the same slices, stored as the first."""
        return 4000 - self.voxels()

    def true_values(self, stored: np.ndarray) -> np.ndarray:
        """What the intensities of (T, Z, Y, X) are, by the scaling of the plan."""
        if self.pixels == "scaled":
            return 2.0 * stored - 10
        if self.pixels == "scaled a slice":
            return stored * (1.0 + np.arange(self.slices))[:, None, None]
        return stored - 1200.0 if self.pixels == "signed" else stored.astype(float)

    def place(self, z: float) -> np.ndarray:
        """Centre of the first pixel of slice z, in the patient (mm)."""
        return ORIGIN + z * SLICE_MM * self.geometry[2]


def write_study(plan: Plan, folder: Path) -> None:
    """Write a study into a folder, which must not exist."""
    _Writer(plan, folder).write()


class _Writer:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.rng = np.random.default_rng(plan.seed)
        self.study, self.cine = generate_uid(), generate_uid()
        self.written: list[Path] = []

    def write(self) -> None:
        voxels = self.plan.voxels()
        with_phase = self.plan.joined and "phase" in self.plan.companions and self.plan.storage != "classic"
        if self.plan.storage == "classic":
            self._classic(voxels)
        elif self.plan.storage == "enhanced a slice":
            for z in range(self.plan.slices):
                self._enhanced(voxels[:, z : z + 1], z, with_phase)
        else:
            self._enhanced(voxels, 0, with_phase)
        for number, kind in enumerate(sorted(self.plan.companions), 30):
            if kind != "phase" or not with_phase:
                self._companion(kind, number)
        for number in self.rng.permutation(len(self.written))[: self.plan.copies]:
            copy = self.written[number].with_name(f"copy{number}.dcm")
            shutil.copyfile(self.written[number], copy)

    # ------------------------------------------------------------------------------------------ the cine

    def _classic(self, voxels: np.ndarray) -> None:
        series = [generate_uid() for _ in range(max(self.plan.frames, self.plan.slices))]
        for t in range(self.plan.frames):
            for z in range(self.plan.slices):
                part = {"one": None, "a slice": z, "a frame": t, "two parts": int(z >= (self.plan.slices + 1) // 2)}
                number = part[self.plan.series]
                uid = self.cine if number is None else series[number]
                ds = self._image(uid, 5 + (number or 0), "cine SAX", self.plan.place(z))
                ds.InstanceNumber = self._instance(t, z)
                ds.TriggerTime = round(FRAME_MS * t + 0.3 * z, 2)
                self._finish(ds, voxels[t, z], z, self._name(t, z))

    def _instance(self, t: int, z: int) -> int:
        plan = self.plan
        if plan.numbers == "shuffled":
            order = np.random.default_rng(plan.seed).permutation(plan.frames * plan.slices)
            return int(order[z * plan.frames + t]) + 1
        if plan.numbers == "frames first":
            return t * plan.slices + z + 1
        return (plan.slices - 1 - z if plan.numbers == "down" else z) * plan.frames + t + 1

    def _name(self, t: int, z: int) -> str:
        name = f"{z:02d}_{t:02d}.dcm"
        if self.plan.names == "shuffled":
            name = f"IM{self.rng.integers(10**9):09d}" + str(self.rng.choice(["", ".dcm", ".IMA"]))
        if self.plan.folders == "a slice":
            return f"sax_{z}/{name}"
        if self.plan.folders == "anywhere":
            return "/".join([*(f"d{self.rng.integers(3)}" for _ in range(self.rng.integers(3))), name])
        return name

    def _enhanced(self, voxels: np.ndarray, first: int, with_phase: bool) -> None:
        """One file with the slices from `first` on, its frames in random order."""
        plan = self.plan
        sop_class = LEGACY_MR if plan.storage == "legacy converted" else ENHANCED_MR
        ds = self._file(sop_class, self.cine, 5, "cine SAX")
        ds.InstanceNumber = first + 1
        shared, measures = Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = list(PIXEL_MM), 6
        measures.SpacingBetweenSlices = SLICE_MM
        shared.PixelMeasuresSequence = [measures]
        ds.SharedFunctionalGroupsSequence = [shared]
        places = [(t, z, False) for t in range(len(voxels)) for z in range(voxels.shape[1])]
        places += [(t, z, True) for t, z, _ in places] if with_phase else []
        if plan.times:  # else the order of the frames is the only word on that of time
            places = [places[i] for i in self.rng.permutation(len(places))]
        ds.PerFrameFunctionalGroupsSequence = [self._group(t, first + z, phase) for t, z, phase in places]
        ds.NumberOfFrames = len(places)
        noise = self.rng.integers(0, 4096, (ROWS, COLUMNS))
        self._finish(ds, np.stack([noise if phase else voxels[t, z] for t, z, phase in places]), first, f"E{first}.dcm")

    def _group(self, t: int, z: int, phase: bool) -> Dataset:
        plan = self.plan
        group, plane, direction, cardiac, content, kind, scaling = (Dataset() for _ in range(7))
        plane.ImagePositionPatient = self._digits(plan.place(z))
        direction.ImageOrientationPatient = self._directions()
        cardiac.NominalCardiacTriggerDelayTime = FRAME_MS * t + 0.3 * z
        content.StackID, content.InStackPositionNumber = "1", z + 1
        content.TemporalPositionIndex, content.DimensionIndexValues = t + 1, [z + 1, t + 1]
        if not plan.times:
            del content.TemporalPositionIndex, content.DimensionIndexValues
        kind.FrameType = ["ORIGINAL", "PRIMARY", "P" if phase else "M", "NONE"]
        kind.ComplexImageComponent = "PHASE" if phase else "MAGNITUDE"
        slope, intercept = self._scaling(z) or (1, 0)
        scaling.RescaleSlope, scaling.RescaleIntercept, scaling.RescaleType = slope, intercept, "US"
        group.PlanePositionSequence, group.PlaneOrientationSequence = [plane], [direction]
        group.FrameContentSequence, group.MRImageFrameTypeSequence = [content], [kind]
        group.PixelValueTransformationSequence = [scaling]
        if plan.times:
            group.CardiacSynchronizationSequence = [cardiac]
        return group

    # ------------------------------------------------------------------------------------------ other images

    def _companion(self, kind: str, number: int) -> None:
        plan = self.plan
        row, column, normal = plan.geometry
        voxels = plan.voxels()
        joined = plan.joined and plan.storage == "classic"  # no scanner puts both kinds of files into one series
        series = self.cine if joined else generate_uid()
        number = 5 if joined else number
        common: dict[str, Any] = {}
        if kind in ("phase", "second", "tagging"):
            common = {
                "phase": {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"], "SequenceName": "*fl2d1_v150in"},
                "second": {"AcquisitionNumber": 2},
                "tagging": {"SequenceName": "*fl2d5_tag", "FlipAngle": 10},
            }[kind]
            other = plan.second() if kind == "second" else np.flip(voxels, axis=(2, 3)) // 2
            slices = range(0, plan.slices, 2) if kind == "tagging" else range(plan.slices)
            images = [(other[t, z], plan.place(z), (row, column), t, z) for z in slices for t in range(plan.frames)]
        elif kind == "late":
            common = {"SequenceName": "*tfl2d1_20", "InversionTime": 300, "ContrastBolusAgent": "gadolinium"}
            images = [(5000 - voxels[0, z], plan.place(z), (row, column), None, z) for z in range(plan.slices)]
        else:
            # Planes that hold the axis of the stack, through the middle of its slices.
            half_row, half_column = PIXEL_MM[1] * (COLUMNS - 1) / 2, PIXEL_MM[0] * (ROWS - 1) / 2
            middle = plan.place((plan.slices - 1) / 2) + half_row * row + half_column * column
            directions = [(row, normal), (column, normal)]
            if kind == "localiser":
                common = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "LOCALIZER"], "SequenceName": "*fl2d1"}
                directions.append((row, column))
            images = [
                (
                    np.flip(voxels[t, 0]) // 3 + 7 * n,
                    middle - a * PIXEL_MM[1] * 4.5 - b * PIXEL_MM[0] * 5.5,
                    (a, b),
                    t,
                    0,
                )
                for n, (a, b) in enumerate(directions)
                for t in range(plan.frames if kind == "long axes" else 1)
            ]
        for count, (values, position, axes, t, z) in enumerate(images, 1):
            ds = self._image(series, number, kind, position, **common)
            ds.ImageOrientationPatient = [round(float(v), 6) for v in np.concatenate(axes)]
            ds.InstanceNumber = 1000 * (COMPANIONS.index(kind) + 1) + count
            if t is not None:
                ds.TriggerTime = FRAME_MS * t
            self._finish(ds, values, z, f"{kind}{count:03d}.dcm")

    # ------------------------------------------------------------------------------------------ files

    def _file(self, sop_class: str, series: str, number: int, description: str) -> Dataset:
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID, ds.SpecificCharacterSet = sop_class, generate_uid(), "ISO_IR 192"
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "TEST^CASE", "TEST-0001", "19700131", "O"
        ds.StudyInstanceUID, ds.StudyID, ds.StudyDate, ds.StudyTime = self.study, "S-7788", "20200102", "101112"
        ds.AccessionNumber, ds.ReferringPhysicianName = "ACC7788123", ""
        ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = series, number, description
        ds.Modality, ds.Manufacturer, ds.FrameOfReferenceUID = "MR", "Placeholder", f"{self.study[:60]}.1"
        ds.PositionReferenceIndicator, ds.ImageType = "", ["ORIGINAL", "PRIMARY", "M", "ND"]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        return ds

    def _image(self, series: str, number: int, description: str, position: Any, **tags: Any) -> Dataset:
        ds = self._file(MR, series, number, description)
        ds.ScanningSequence, ds.SequenceVariant, ds.SequenceName, ds.MRAcquisitionType = "GR", "SK", "*tfi2d1_15", "2D"
        ds.EchoTime, ds.RepetitionTime, ds.FlipAngle, ds.EchoNumbers, ds.AcquisitionNumber = 1.2, 42.5, 60, 1, 1
        ds.ImageOrientationPatient = self._directions()
        ds.ImagePositionPatient = self._digits(position)
        unit = 10.0**-self.plan.rounding * self.rng.integers(-1, 2) if self.plan.rounding else 0
        ds.PixelSpacing = [round(size + unit, 6) for size in PIXEL_MM]
        ds.SliceThickness, ds.SpacingBetweenSlices = 6, SLICE_MM
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
        return ds

    def _directions(self) -> list[float]:
        return self._digits(np.concatenate(self.plan.geometry[:2]))

    def _digits(self, values: Any) -> list[float]:
        """Numbers as text has them; with rounding, each is off by up to one in the last digit."""
        if not self.plan.rounding:
            return [round(float(v), 6) for v in values]
        off = 10.0**-self.plan.rounding * self.rng.integers(-1, 2, len(values))
        return [round(float(v), 6) for v in np.round(values, self.plan.rounding) + off]

    def _scaling(self, z: int) -> tuple[float, float] | None:
        return {"scaled": (2, -10), "scaled a slice": (1 + z, 0)}.get(self.plan.pixels)

    def _finish(self, ds: Dataset, voxels: np.ndarray, z: int, name: str) -> None:
        """Pixels, what the plan takes away, and the file."""
        plan = self.plan
        values = voxels
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, int(plan.pixels == "signed")
        if plan.pixels == "signed":
            values = values - 1200
        elif plan.pixels == "MONOCHROME1":
            ds.PhotometricInterpretation, values = "MONOCHROME1", 4095 - values
        elif "PerFrameFunctionalGroupsSequence" not in ds and (scaling := self._scaling(z)):
            ds.RescaleSlope, ds.RescaleIntercept = scaling
        for keyword in plan.removed:
            if keyword in ds:
                delattr(ds, keyword)
        for keyword in plan.emptied:
            if keyword in ds:
                setattr(ds, keyword, None)
        if not plan.times and "TriggerTime" in ds:
            del ds.TriggerTime
        ds.Rows, ds.Columns = values.shape[-2:]
        syntax = SYNTAXES[plan.syntax]
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        ds.PixelData = values.astype(f"{order}{'i' if plan.pixels == 'signed' else 'u'}2").tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        compressed = syntax in (RLELossless, JPEGLSLossless)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
        if compressed:
            ds.compress(syntax, generate_instance_uid=False)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        self.written.append(path)


def cines_of(plan: Plan) -> Iterator[np.ndarray]:
    """Intensities (T, Z, Y, X) of the measurements of the study that are whole cines or stacks."""
    yield plan.true_values(plan.voxels())
    if "second" in plan.companions:
        yield plan.true_values(plan.second())
