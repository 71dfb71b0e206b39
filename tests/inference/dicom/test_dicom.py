"""Studies come back as the arrays from which they were written, or a message says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.dicom import ReadStudy, read_dicom
from nnunet_cardiac.inference.series import Series


def only(study: ReadStudy) -> Series:
    assert len(study.series) == 1
    return study.series[0]


def assert_is(series: Series, images: np.ndarray) -> None:
    np.testing.assert_array_equal(series.frames[:, 0], images)


def test_classic_cine(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine)
    series = only(read_dicom("study42", scanner.folder))
    assert_is(series, cine)
    assert series.name == "study42"
    assert series.dimensions == 4
    assert series.warnings == ()
    assert series.times_ms == pytest.approx([31.5 * t for t in range(6)])


def test_geometry_is_that_of_gdcm(scanner: Any, cine: np.ndarray) -> None:
    files = scanner.classic(cine[:1])
    series = only(read_dicom("study42", scanner.folder))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(scanner.folder))
    assert len(names) == len(files)
    reference = sitk.ReadImage(names)
    np.testing.assert_allclose(series.grid.spacing, reference.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(series.grid.origin, reference.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(series.grid.direction, reference.GetDirection(), atol=1e-6)
    np.testing.assert_array_equal(series.frames[0, 0], sitk.GetArrayFromImage(reference))
    assert series.grid.spacing_mm == pytest.approx((9.5, 1.25, 1.5))


def test_enhanced_cine(scanner: Any, cine: np.ndarray) -> None:
    scanner.enhanced(cine)
    series = only(read_dicom("study42", scanner.folder))
    assert_is(series, cine)
    assert series.times_ms == pytest.approx([31.5 * t for t in range(6)])


def test_one_series_a_slice_is_joined(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, series_per_slice=True)
    series = only(read_dicom("study42", scanner.folder))
    assert_is(series, cine)
    assert series.warnings == ("joined from 5 series",)


def test_instance_numbers_order_frames_without_times(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, times=False)
    assert_is(only(read_dicom("study42", scanner.folder)), cine)


def test_a_repeated_slice_is_replaced_by_the_later_one(scanner: Any, cine: np.ndarray) -> None:
    uid = "1.2.3.4"
    scanner.classic(cine, series=uid)
    again = cine.copy()
    again[:, 3] += 50
    scanner.classic(again, series=uid, slices=[3], instance_offset=1000)
    series = only(read_dicom("study42", scanner.folder))
    assert_is(series, again)
    assert series.warnings == ("slice 4 was acquired 2 times; the last is used",)


def test_copies_of_a_file_count_once(scanner: Any, cine: np.ndarray) -> None:
    file = scanner.classic(cine)[4]
    (scanner.folder / "copy.dcm").write_bytes(file.read_bytes())
    study = read_dicom("study42", scanner.folder)
    assert_is(only(study), cine)
    assert study.messages == ("1 DICOM files are copies of others and were left out.",)


def test_a_missing_slice(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, skip=lambda _, z: z == 2)
    with pytest.raises(UserError, match=r"study42: .*Series 7: 1 slices are missing, the first after slice 2.*19\.0"):
        read_dicom("study42", scanner.folder)
    series = only(read_dicom("study42", scanner.folder, allow_gaps=True))
    np.testing.assert_array_equal(np.delete(series.frames[:, 0], 2, axis=1), np.delete(cine, 2, axis=1))
    assert series.empty is not None
    np.testing.assert_array_equal(np.argwhere(series.empty)[:, 1], [2] * 6)
    assert "volumes are too small" in series.warnings[0]


def test_a_missing_frame(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, skip=lambda t, z: (t, z) == (4, 1))
    with pytest.raises(UserError, match=r"slice 2 has 5 frames, the others have 6.*--allow-gaps"):
        read_dicom("study42", scanner.folder)
    series = only(read_dicom("study42", scanner.folder, allow_gaps=True))
    expected = cine.copy()
    expected[4, 1] = 0
    assert_is(series, expected)
    np.testing.assert_array_equal(np.argwhere(series.empty), [[4, 1]])


def test_several_series_and_orientations(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, number=7)
    long_axis = cine[:, :1, ::-1]
    scanner.classic(long_axis, number=3, description="4CH", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    scanner.classic(cine[:1, :2], number=1, description="LOCALIZER 3 plane")
    study = read_dicom("study42", scanner.folder)
    assert_is(only(study), cine)
    assert [row["reason"] for row in study.table] == [
        "one image a slice; series 7 is used",
        "another plane than series 7",
        "cine, 5 parallel slices",
    ]
    study = read_dicom("study42", scanner.folder, series="all")
    assert [series.name for series in study.series] == ["study42_series1", "study42_series3", "study42_series7"]
    assert_is(study.series[1], long_axis)
    assert_is(study.series[2], cine)


def test_a_bad_series_does_not_spoil_the_others(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, number=7)
    scanner.classic(cine, number=8, skip=lambda _, z: z == 1)
    study = read_dicom("study42", scanner.folder)
    assert_is(only(study), cine)
    assert study.table[1]["series"] == [8]
    assert "1 slices are missing" in study.table[1]["reason"]


def test_nothing_but_a_localiser(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(UserError, match=r"no series that can be segmented\. Series 7 \(5 images\): localiser"):
        read_dicom("study42", scanner.folder)


def test_two_patients(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1])
    scanner.patient_id = "MRN-OTHER"
    scanner.classic(cine[:1], number=8)
    with pytest.raises(UserError, match="files of 2 patients in one folder") as failure:
        read_dicom("study42", scanner.folder)
    assert "MRN" not in str(failure.value)


def _where(content: bytes, tag: str) -> int:
    """Place of an element in a file."""
    group, element = (int(part, 16).to_bytes(2, "little") for part in tag.split(","))
    return content.index(group + element)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("0002,0002", "damaged or truncated DICOM file"),  # in what says that it is an image
        ("0008,0018", "damaged or truncated DICOM file"),  # before the patient: not a file of a second patient
        ("0020,0032", "damaged or truncated DICOM file"),  # in the position: not a file without one
        ("0028,0030", "damaged or truncated DICOM file"),  # in the pixel spacing
        ("7FE0,0010", "(damaged or truncated DICOM file|truncated or damaged pixels)"),
    ],
)
@pytest.mark.parametrize("after", [0, 12, 15])
def test_a_truncated_file(scanner: Any, cine: np.ndarray, tag: str, after: int, message: str) -> None:
    file = scanner.classic(cine)[7]
    content = file.read_bytes()
    file.write_bytes(content[: _where(content, tag) + after])
    with pytest.raises(UserError, match=rf"^{file}: {message} .*Export the study again"):
        read_dicom("study42", scanner.folder, allow_gaps=True)


def test_a_file_cut_anywhere(scanner: Any, cine: np.ndarray) -> None:
    file = scanner.classic(cine[:2, :3])[4]
    content = file.read_bytes()
    for length in range(132, len(content), 7):  # before that, nothing says that it is DICOM
        file.write_bytes(content[:length])
        with pytest.raises(UserError, match=rf"^{file}: (damaged or truncated|truncated or damaged)"):
            read_dicom("study42", scanner.folder, allow_gaps=True)
    file.rename(file.with_name("image.dcm")).write_bytes(content[:100])
    with pytest.raises(UserError, match=r"image\.dcm: damaged or truncated"):
        read_dicom("study42", scanner.folder)


def test_files_that_are_no_images(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine)
    scanner.write(scanner.dataset("1.2.840.10008.5.1.4.1.1.88.11", "1.2.3", 99, "report"))  # ends with its header
    (scanner.folder / "._IM1.dcm").write_bytes(b"of a file system")
    (scanner.folder / "notes.txt").write_text("")
    study = read_dicom("study42", scanner.folder)
    assert_is(only(study), cine)
    assert study.table[1]["type"] == "Basic Text SR (MR), no MR image"


def test_names_that_hold_the_patients(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1])
    for name in ("Doe_2024", "x-mrn-774411"):
        study = read_dicom(name, scanner.folder)
        assert only(study).name.startswith("study-")
        assert "holds the patient's name or ID" in study.messages[0]
        assert only(read_dicom(name, scanner.folder, keep_identifiers=True)).name == name


def test_an_orientation_that_is_none(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1], ImageOrientationPatient=[1, 0, 0, 0.5, 0.5, 0])
    with pytest.raises(UserError, match="not two directions at a right angle"):
        read_dicom("study42", scanner.folder)


def test_a_distance_other_than_the_files_say(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1, :2], SpacingBetweenSlices=4.75)
    series = only(read_dicom("study42", scanner.folder))
    assert series.warnings == ("slices are 9.5 mm apart, and the files say 4.8 mm: perhaps some are missing",)


def test_single_slice(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1, :1])
    series = only(read_dicom("study42", scanner.folder))
    assert series.dimensions == 3
    assert series.frames.shape == (1, 1, 1, 20, 17)
    assert series.grid.spacing_mm == pytest.approx((9.5, 1.25, 1.5))


def test_inverted_greys_are_turned(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(2 * 65535 - 20 - cine, PhotometricInterpretation="MONOCHROME1")  # the scaling is 2 x - 10
    assert_is(only(read_dicom("study42", scanner.folder)), cine)


@pytest.mark.parametrize(("text", "slope"), [("", 1.0), ("2,0", 2.0), ("2.0", 2.0)])
def test_odd_slopes(scanner: Any, cine: np.ndarray, text: str, slope: float) -> None:
    for file in scanner.classic(cine[:1]):
        _replace(file, "RescaleSlope", text)
    expected = ((cine[:1] + 10) / 2) * slope - 10
    assert_is(only(read_dicom("study42", scanner.folder)), expected)


@pytest.mark.parametrize(
    ("keyword", "text", "message"),
    [
        ("RescaleSlope", "abc", "RescaleSlope is 'abc'; expected a number"),
        ("RescaleSlope", "0", "RescaleSlope is 0"),
        ("PixelSpacing", "0\\1", "pixel spacing .* two sizes above 0"),
    ],
)
def test_what_cannot_be_an_image_is_refused(
    scanner: Any, cine: np.ndarray, keyword: str, text: str, message: str
) -> None:
    file = scanner.classic(cine[:1])[2]
    _replace(file, keyword, text)
    with pytest.raises(UserError, match=f"^{file}: .*{message}"):
        read_dicom("study42", scanner.folder)


def test_rows_that_contradict_the_pixels(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1])
    for file in scanner.folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.Rows = 40
        dataset.save_as(file)
    with pytest.raises(UserError, match=f"^{scanner.folder}.*: truncated or damaged pixels"):
        read_dicom("study42", scanner.folder)


def _replace(file: Path, keyword: str, text: str) -> None:
    """Write a text into an element that may not have it."""
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(file)
        tag = pydicom.tag.Tag(keyword)
        value = text.encode() + b" " * (len(text) % 2)
        dataset[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(value), value, 0, False, True)
        dataset.save_as(file)


def test_one_uid_for_all_files(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, SOPInstanceUID="1.2.3.4")
    study = read_dicom("study42", scanner.folder)
    assert_is(only(study), cine)
    assert study.messages == ()


def test_files_without_preamble(scanner: Any, cine: np.ndarray) -> None:
    for file in scanner.classic(cine):
        file.write_bytes(file.read_bytes()[132:])
    assert_is(only(read_dicom("study42", scanner.folder)), cine)


def test_what_is_no_mr_image(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine)
    scanner.classic(cine, number=20, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT")
    scanner.classic(cine, number=21, Modality="PT")
    scanner.classic(cine, number=22, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    scanner.classic(cine, number=23, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT")
    scanner.classic(cine[:, :1], number=24, NumberOfFrames=5)
    study = read_dicom("study42", scanner.folder)
    assert_is(only(study), cine)
    assert [(row["series"], row["type"]) for row in study.table[1:]] == [
        ([20], "CT Image (CT), no MR image"),
        ([21], "modality PT, no MR image"),
        ([22], "colour image"),
        ([23], "Secondary Capture Image (OT), no MR image"),
        ([24], "no position in the patient"),
    ]


def test_a_classic_file_with_an_empty_sequence_of_groups(scanner: Any, cine: np.ndarray) -> None:
    for file in scanner.classic(cine):
        dataset = pydicom.dcmread(file)
        dataset.PerFrameFunctionalGroupsSequence = [pydicom.Dataset()]
        dataset.save_as(file)
    assert_is(only(read_dicom("study42", scanner.folder)), cine)


def test_one_patient_in_three_spellings(scanner: Any, cine: np.ndarray) -> None:
    for z, name in enumerate(("DOE^JANE", "Doe^Jane", "DOE^JANE^^^", "Doe^J\u00e1ne", "DOE")):
        scanner.patient = name
        scanner.classic(cine, slices=[z], series="1.2.3", SpecificCharacterSet="ISO_IR 192")
    assert_is(only(read_dicom("study42", scanner.folder)), cine)
    scanner.patient = "ROE^RICHARD"
    scanner.classic(cine, number=8)
    with pytest.raises(UserError, match="files of 2 patients"):
        read_dicom("study42", scanner.folder)


def test_folders_of_one_study(scanner: Any, cine: np.ndarray) -> None:
    folders = []
    for z in range(cine.shape[1]):
        scanner.folder = scanner.folder.parent / f"sax_{z}"
        folders.append(scanner.folder)
        scanner.classic(cine, number=z + 1, slices=[z])
    assert_is(only(read_dicom("study42", folders)), cine)


def test_a_part_of_a_joined_stack_can_be_named(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine, series_per_slice=True)
    assert_is(only(read_dicom("study42", scanner.folder, series="8")), cine)


def test_palette_colours_are_no_greys(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine)
    scanner.classic(cine, number=20, PhotometricInterpretation="PALETTE COLOR")
    assert_is(only(read_dicom("study42", scanner.folder)), cine)


def test_more_pixels_than_the_header_says(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine[:1])
    for file in scanner.folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.Columns = 15
        dataset.save_as(file)
    with pytest.raises(UserError, match="680 bytes of pixels, and the header says 600"):
        read_dicom("study42", scanner.folder)


def test_a_slope_beyond_all_numbers(scanner: Any, cine: np.ndarray) -> None:
    file = scanner.classic(cine[:1])[2]
    _replace(file, "RescaleSlope", "1e300")
    with pytest.raises(UserError, match=f"^{file}: .* infinite"):
        read_dicom("study42", scanner.folder)


def test_a_broken_localiser_and_a_report_of_nobody(scanner: Any, cine: np.ndarray) -> None:
    scanner.classic(cine)
    scanner.classic(cine[:1, :1], number=2, ImageType="LOCALIZER", ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    scanner.patient = scanner.patient_id = ""
    scanner.write(scanner.dataset("1.2.840.10008.5.1.4.1.1.88.11", "1.2.3", 99, "report"))
    assert_is(only(read_dicom("study42", scanner.folder)), cine)


def test_copies_are_told_by_more_than_their_uid(scanner: Any, cine: np.ndarray) -> None:
    for t in range(len(cine)):
        for file in scanner.classic(cine[t : t + 1], series="1.2.3", times=False, TemporalPositionIdentifier=t + 1):
            dataset = pydicom.dcmread(file)
            dataset.SOPInstanceUID = "1.2.3.4"
            del dataset.InstanceNumber
            dataset.save_as(file)
    assert_is(only(read_dicom("study42", scanner.folder)), cine)
