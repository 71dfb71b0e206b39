"""Segmentation objects hold the labels where the label map has them, whatever the source lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.inference import dicom_seg
from nnunet_cardiac.inference.dicom import read_dicom
from nnunet_cardiac.inference.dicom_seg import write_segmentations
from nnunet_cardiac.inference.label_file import write_label_map
from nnunet_cardiac.inference.series import Series

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")

from pydicom.dataelem import RawDataElement  # noqa: E402
from pydicom.tag import Tag  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:Invalid value for VR"),
    pytest.mark.filterwarnings("ignore:The value length"),
]

NAMES = {"RV": 1, "MYO": 2, "LV": 3}
PHASES = {"ED": 1, "ES": 4}
LEGACY_CONVERTED = "1.2.840.10008.5.1.4.1.1.4.4"
REFERENCES = ("SourceImageSequence", "ReferencedSeriesSequence")


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.random.default_rng(5).integers(0, 4, (6, 5, 20, 17)).astype(np.uint8)
    labels[:, 0] = 0  # a slice without a heart
    return labels


@pytest.fixture
def write(labels: np.ndarray, tmp_path: Path) -> Callable[..., tuple[list[Path], list[str]]]:
    """Write label map and objects of a series, and check that they hold the same."""

    def run(
        series: Series, phases: dict[str, int] = PHASES, names: dict[str, int] = NAMES, values: Any = labels
    ) -> tuple[list[Path], list[str]]:
        values = values[: series.frames.shape[0], : series.frames.shape[2]].copy()
        if series.empty is not None:
            values[series.empty] = 0
        write_label_map(tmp_path / "labels.nii.gz", values, series)
        files, notes = write_segmentations(tmp_path, values, series, names, phases)
        frames = [phases[file.stem.rsplit("_", 1)[-1]] - 1 for file in files] if len(values) > 1 else [0]
        for file, frame in zip(files, frames if files else [], strict=True):
            assert_same(file, tmp_path / "labels.nii.gz", frame, names)
        return files, notes

    return run


def assert_same(path: Path, label_map: Path, frame: int, names: dict[str, int]) -> None:
    """An object read by highdicom, by ITK and by pydicom has the voxels of a label map at their places."""
    affine = nibabel.load(label_map).affine
    expected = np.asarray(nibabel.load(label_map).dataobj)
    expected = expected[..., frame] if expected.ndim == 4 else expected
    assert expected.any()
    order = [value for _, value in sorted(names.items(), key=lambda item: item[1])]
    assert_highdicom_reads(path, expected, affine, order)
    ds = pydicom.dcmread(path)
    assert_frames_are(ds, expected, affine, order)
    slices = ds.NumberOfFrames // len(order)
    # ITK takes the distance of slices from the first two frames, which of one slice lie at one place.
    if slices == expected.shape[2] and (slices > 1 or len(order) == 1):
        assert_itk_reads(path, expected, sitk.ReadImage(label_map), order)


def assert_highdicom_reads(path: Path, expected: np.ndarray, affine: np.ndarray, order: list[int]) -> None:
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True, allow_missing_positions=True)
    found = np.array([0, *order])[volume.array]
    to_voxel = np.linalg.inv(affine) @ np.diag([-1, -1, 1, 1]) @ volume.affine
    where = to_voxel[:3, :3] @ np.indices(found.shape).reshape(3, -1) + to_voxel[:3, 3:]
    np.testing.assert_allclose(where, np.rint(where), atol=2e-3)
    x, y, z = np.rint(where).astype(int)
    assert found.size == expected.size
    np.testing.assert_array_equal(found.ravel(), expected[x, y, z])


def assert_itk_reads(path: Path, expected: np.ndarray, label_map: sitk.Image, order: list[int]) -> None:
    """ITK takes an object for one stack, in which the structures follow each other."""
    image = sitk.ReadImage(path)
    n = label_map.GetDimension()
    directions = np.array(label_map.GetDirection()).reshape(n, n)[:3, :3]
    np.testing.assert_allclose(image.GetSpacing(), label_map.GetSpacing()[:3], rtol=1e-5)
    np.testing.assert_allclose(image.GetOrigin(), label_map.GetOrigin()[:3], atol=1e-3)
    np.testing.assert_allclose(np.array(image.GetDirection()).reshape(3, 3), directions, atol=1e-5)
    masks = sitk.GetArrayFromImage(image).astype(bool)
    wanted = np.concatenate([value == expected.T for value in order])
    assert masks.shape == wanted.shape
    # GDCM does not read the last bits of a file that do not fill a byte.
    np.testing.assert_array_equal(masks.ravel()[:-7], wanted.ravel()[:-7])


def assert_frames_are(ds: Any, expected: np.ndarray, affine: np.ndarray, order: list[int]) -> None:
    for group, mask in zip(
        ds.PerFrameFunctionalGroupsSequence, ds.pixel_array.reshape(-1, ds.Rows, ds.Columns), strict=True
    ):
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        voxel = np.linalg.inv(affine) @ np.array([-position[0], -position[1], position[2], 1])
        z = round(voxel[2])
        np.testing.assert_allclose(voxel[:3], [0, 0, z], atol=2e-3)
        number = (group if len(order) > 1 else ds.SharedFunctionalGroupsSequence[0]).SegmentIdentificationSequence[0]
        value = order[number.ReferencedSegmentNumber - 1]
        np.testing.assert_array_equal(mask.T.astype(bool), expected[..., z] == value)


def only(scanner: Any, **options: Any) -> Series:
    study = read_dicom("study42", scanner.folder, **options)
    assert len(study.series) == 1
    return study.series[0]


def edit(scanner: Any, change: Callable[[Any, int], None]) -> None:
    """Change the files of a study; the second argument is the number of the file."""
    for number, file in enumerate(sorted(scanner.folder.iterdir())):
        ds = pydicom.dcmread(file)
        change(ds, number)
        ds.save_as(file)


def as_bytes(ds: Any, keyword: str, value: bytes) -> None:
    """Set an element to a value that it may not have."""
    tag = Tag(keyword)
    value += b" " * (len(value) % 2)
    ds[tag] = RawDataElement(tag, pydicom.datadict.dictionary_VR(tag), len(value), value, 0, False, True)


def referenced(ds: Any) -> set[tuple[str, int | None]]:
    """(File, frame) of each image from which a frame of an object was made."""
    return {
        (str(item.ReferencedSOPInstanceUID), item.get("ReferencedFrameNumber"))
        for group in ds.PerFrameFunctionalGroupsSequence
        for item in group.DerivationImageSequence[0].SourceImageSequence
    }


def instances(row: Any) -> list[str]:
    return [str(pydicom.dcmread(image.path).SOPInstanceUID) for image in row]


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


#: What tools for removing identifiers take away, or empty.
ATTRIBUTES = (
    *(
        "StudyID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ReferringPhysicianName",
        "SeriesNumber",
        "SeriesDescription",
    ),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PositionReferenceIndicator", "Manufacturer"),
    *("FrameOfReferenceUID", "SliceThickness", "SpacingBetweenSlices", "ImageType", "InstanceNumber", "Modality"),
)


@pytest.mark.parametrize("keyword", ATTRIBUTES)
def test_an_attribute_is_missing_or_empty(scanner: Any, cine: np.ndarray, write: Any, keyword: str) -> None:
    scanner.classic(cine[:1, :2])
    series = only(scanner)
    for change in (lambda ds, _: setattr(ds, keyword, None), lambda ds, _: delattr(ds, keyword)):
        edit(scanner, change)
        files, notes = write(series, {}, values=np.full((1, 2, 20, 17), 2, np.uint8))
        assert len(files) == 1
        assert notes == (
            ["The source names no frame of reference; the DICOM segmentation has one of its own."]
            if keyword == "FrameOfReferenceUID"
            else []
        )
        ds = pydicom.dcmread(files[0])
        if keyword.startswith(("Patient", "Study", "Accession", "Referring", "Position")):
            assert ds[keyword].is_empty  # there, as the standard asks, and nothing is invented
        assert len(referenced(ds)) == 2


#: Values that break their format, and those that follow it but are unusual.
ODD = {
    "StudyDate": b"XXXX",
    "PatientBirthDate": b"00000000",
    "StudyTime": b"anonymous",
    "PatientSex": b"female",
    "PatientAge": b"57",
    "PatientWeight": b"70,5",
    "PatientSize": b"tall",
    "ImageType": b"original\\x",
    "LossyImageCompression": b"no",
    "LossyImageCompressionRatio": b"10:1",
    "AcquisitionDateTime": b"removed",
    "SeriesNumber": b"12345678901",
    "SeriesDate": b"????????",
    "SpecificCharacterSet": b"LATIN",
    "DeidentificationMethod": b"x" * 300,
    "PatientIdentityRemoved": b"yes!",
}
TEXT = {
    "PatientName": "M\xfcller^J\xf6rg".encode("latin-1"),
    "PatientID": b"A-1/2 " * 20 + b".",
    "AccessionNumber": b"12345678901234567890",
    "StudyDescription": b"\xe5\xbf\x83\xe8\x87\x93",
    "InstitutionName": b"\xc3\xa9cole \x81\xff",
    "StudyID": b"too long for a short string",
}


@pytest.mark.parametrize("keyword", [*ODD, *TEXT])
def test_an_attribute_breaks_the_standard(scanner: Any, cine: np.ndarray, write: Any, keyword: str) -> None:
    scanner.classic(cine[:1, :2])
    series = only(scanner)
    edit(scanner, lambda ds, _: as_bytes(ds, keyword, {**ODD, **TEXT}[keyword]))
    files, notes = write(series, {}, values=np.full((1, 2, 20, 17), 2, np.uint8))
    assert len(files) == 1
    assert notes == []
    if keyword in TEXT:  # the bytes of the source: whatever shows its text shows that of the object
        assert TEXT[keyword] in files[0].read_bytes()
    elif keyword in ("PatientAge", "PatientSex", "PatientSize", "PatientWeight", "StudyDate", "StudyTime"):
        assert pydicom.dcmread(files[0])[keyword].is_empty


def test_uids_stay_as_they_are(scanner: Any, cine: np.ndarray, write: Any) -> None:
    """Components with leading zeros, as in the Sunnybrook study: not allowed, but they name the study."""
    odd = {
        "StudyInstanceUID": b"1.3.12.2.1107.5.04.0007",
        "SeriesInstanceUID": b"1.3.12.2.1107.5.04.0008",
        "FrameOfReferenceUID": b"1.3.12.2.1107.5.04.0009",
    }
    scanner.classic(cine[:1])
    series = only(scanner)

    def change(ds: Any, number: int) -> None:
        for keyword, value in {**odd, "SOPInstanceUID": b"1.3.12.2.1107.5.04.00%d" % (10 + number)}.items():
            as_bytes(ds, keyword, value)

    edit(scanner, change)
    files, notes = write(series, {})
    assert notes == []
    ds = pydicom.dcmread(files[0])
    assert ds.StudyInstanceUID == odd["StudyInstanceUID"].decode()
    assert ds.FrameOfReferenceUID == odd["FrameOfReferenceUID"].decode()
    assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == odd["SeriesInstanceUID"].decode()
    assert {uid for uid, _ in referenced(ds)} == {f"1.3.12.2.1107.5.04.00{n}" for n in range(10, 15)}


def test_everything_is_taken_away(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    needed = {"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}

    def change(ds: Any, _: int) -> None:
        for element in list(ds):
            if element.keyword not in needed:
                del ds[element.tag]

    edit(scanner, change)
    files, _ = write(series, {})
    assert len(referenced(pydicom.dcmread(files[0]))) == 5


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID"])
def test_without_names_of_images_there_are_no_references(
    scanner: Any, cine: np.ndarray, write: Any, keyword: str
) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    edit(scanner, lambda ds, _: setattr(ds, keyword, "1.2.3" if keyword == "SOPInstanceUID" else None))
    files, notes = write(series, {})
    assert "names no source image, because UIDs of the files are missing or repeated" in notes[0]
    ds = pydicom.dcmread(files[0])
    assert not any(name in ds for name in REFERENCES)
    assert not any(group.DerivationImageSequence for group in ds.PerFrameFunctionalGroupsSequence)


def test_an_object_needs_a_study(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    edit(scanner, lambda ds, number: setattr(ds, "StudyInstanceUID", f"1.2.{number}"))
    assert write(series, {}) == (
        [],
        ["No DICOM segmentation: the images are of 5 studies, and an object belongs to one."],
    )
    edit(scanner, lambda ds, _: delattr(ds, "StudyInstanceUID"))
    files, notes = write(series, {})
    assert files == []
    assert "the files have no StudyInstanceUID" in notes[0]


def test_other_structures(scanner: Any, cine: np.ndarray, write: Any, labels: np.ndarray) -> None:
    """Label values that a segment's number cannot have, and names in any script, of any length."""
    names = {"scar": 700, "左心室": 5, "a" * 70: 2, "aorta\\root": 256}
    scanner.patient = "M\xfcller^J\xf6rg"
    scanner.classic(cine[:1], SpecificCharacterSet="ISO_IR 100")
    values = np.array([0, 700, 5, 2])[labels].astype(np.uint16)
    files, notes = write(only(scanner), {}, names, values)
    assert notes == []
    ds = pydicom.dcmread(files[0])
    assert [item.SegmentLabel for item in ds.SegmentSequence] == ["a" * 64, "左心室", "aorta/root", "scar"]
    assert str(ds.PatientName) == "M\xfcller^J\xf6rg"
    values[0, 3, 4, 5] = 8
    assert write(only(scanner), {}, names, values)[1] == [
        "No DICOM segmentation: the label map holds the value 8, which has no name."
    ]


def test_what_cannot_be_carried(scanner: Any, cine: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    scanner.classic(cine)
    series = only(scanner)
    assert "give --ed and --es" in write_segmentations(tmp_path, labels, series, NAMES, {})[1][0]
    labels[0] = 0
    files, notes = write_segmentations(tmp_path, labels, series, NAMES, PHASES)
    assert [file.name for file in files] == ["study42_ES.dcm"]
    assert notes[1] == "No DICOM segmentation of ED: the label map is empty."
    assert "not DICOM" in write_segmentations(tmp_path, labels, replace(series, dicom=None), NAMES, PHASES)[1][0]


def test_what_nobody_thought_of(
    scanner: Any, cine: np.ndarray, labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever highdicom refuses, the case keeps its label map, and its JSON file holds no words of the source."""
    scanner.classic(cine[:1])
    series = only(scanner)

    def refuse(*_: object) -> None:
        raise AttributeError("DOE^JANE")

    monkeypatch.setattr(dicom_seg, "build_object", refuse)
    files, notes = write_segmentations(tmp_path, labels[:1], series, NAMES, {})
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
