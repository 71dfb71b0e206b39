"""A raw data set with one fault each: the message names file, found, expected and fix."""

import gzip
import re

import nibabel
import numpy as np
import pytest
import SimpleITK

from nnunet_cardiac.checks.dataset import check_raw_dataset
from nnunet_cardiac.errors import UserError

from .conftest import FIRST, SECOND, check, refused


def test_good_data_set_is_described(dataset):
    report = check(dataset)
    assert report.anatomies == {"RV": 1, "MYO": 2, "LV": 3}
    assert [(case.name, case.shape) for case in report.cases] == [(FIRST, (6, 40, 50)), (SECOND, (6, 40, 50))]
    assert report.cases[0].spacing == pytest.approx((10.0, 1.5, 1.5))
    assert report.cases[0].values == {0, 1, 2, 3}
    assert report.notes == ()
    assert str(report) == "Dataset027_Heart: 2 cases, 6-6 slices, labels RV 1, MYO 2, LV 3"


def test_progress_goes_to_stderr(dataset, capsys):
    check_raw_dataset(dataset.folder)
    out, err = capsys.readouterr()
    assert out == ""
    assert "headers" in err
    assert "voxels" in err


def test_missing_anatomy(dataset):
    dataset.write_json(labels={"background": 0, "RV": 1, "MYO": 2, "LA": 3})
    refused(dataset, f"{dataset.folder / 'dataset.json'}: labels", "do not name LV")


def test_unknown_anatomy(dataset):
    dataset.write_json(labels={"background": 0, "RV": 1, "MYO": 2, "liver": 3})
    refused(dataset, "'liver' is no known anatomy")


def test_gap_in_label_values(dataset):
    dataset.write_json(labels={"background": 0, "RV": 1, "MYO": 2, "LV": 4})
    refused(dataset, "label values [0, 1, 2, 4] have gaps", "Renumber")


def test_region_labels_do_not_bring_up_every_label_file(dataset):
    dataset.write_json(labels={"background": 0, "LV": [1, 2], "MYO": 2, "RV": 3})
    message = refused(dataset, "Region labels (lists of values with regions_class_order) are not supported")
    assert "1 problem found" in message


def test_label_value_outside_dataset_json(dataset, write_volume):
    write_volume(dataset.label_path(SECOND), np.full((6, 40, 50), 7, np.uint8))
    refused(dataset, f"{dataset.label_path(SECOND)}: values 7 (of 1 distinct); expected 0, 1, 2, 3", "Renumber")


def test_fractional_label_values(dataset, write_volume):
    array = np.zeros((6, 40, 50), np.float32)
    array[0, 0, 0] = 0.5
    write_volume(dataset.label_path(FIRST), array)
    refused(dataset, "values 0.5 (of 2 distinct)", "without nearest neighbour")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda label: label.SetSpacing((1.5, 1.5, 8.0)), ["spacings (1.5, 1.5, 10) mm and (1.5, 1.5, 8) mm differ"]),
        (lambda label: label.SetOrigin((0, 0, 5)), ["origins (0, 0, 0) mm and (0, 0, 5) mm differ"]),
        (lambda label: label.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1)), ["directions (1, 0, 0", "and (-1, 0, 0"]),
    ],
)
def test_grids_differ(dataset, change, words):
    path = dataset.label_path(FIRST)
    label = SimpleITK.ReadImage(str(path))
    change(label)
    SimpleITK.WriteImage(label, str(path))
    message = refused(dataset, *words, f"labelsTr/{path.name}", "label.CopyInformation(image)")
    assert "1 problem found" in message


def test_differences_below_the_tolerance_pass(dataset):
    path = dataset.label_path(FIRST)
    label = SimpleITK.ReadImage(str(path))
    label.SetOrigin((0.0005, 0, 0))
    SimpleITK.WriteImage(label, str(path))
    assert len(check(dataset).cases) == 2


def test_sizes_differ(dataset, write_volume):
    write_volume(dataset.label_path(FIRST), np.zeros((6, 40, 49), np.uint8))
    refused(dataset, "sizes 50 x 40 x 6 and 49 x 40 x 6 differ", "Resample the label")


def test_cine_series(dataset):
    path = dataset.image_path(FIRST)
    series = SimpleITK.JoinSeries([SimpleITK.ReadImage(str(path))] * 5)
    SimpleITK.WriteImage(series, str(path))
    refused(dataset, f"{path}: 4D, size 50 x 40 x 6 x 5", "cine series of 5 frames", "image[:, :, :, t]")


def test_advice_for_a_cine_series_works(dataset):
    """The expression in the message gives volumes that pass."""
    path = dataset.image_path(FIRST)
    volume = SimpleITK.ReadImage(str(path))
    series = SimpleITK.JoinSeries([volume] * 3)
    SimpleITK.WriteImage(series[:, :, :, 2], str(path))
    assert len(check(dataset).cases) == 2


def test_colour_image(dataset):
    path = dataset.image_path(FIRST)
    SimpleITK.WriteImage(SimpleITK.Compose([SimpleITK.ReadImage(str(path))] * 3), str(path))
    refused(dataset, f"{path}: 3 values a voxel", "one file a channel")


def write_unchanged(path, array):
    """nibabel keeps NaN; ITK would write it and read it back as 0."""
    nibabel.save(nibabel.Nifti1Image(array.T, np.diag([-1.5, -1.5, 10, 1])), path)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(empty_dataset, write_volume, value, ending):
    dataset = empty_dataset(ending=ending)
    dataset.add(FIRST)
    array = np.random.default_rng(0).normal(size=(6, 40, 50)).astype(np.float32)
    array[1, 2, 3:5] = value
    (write_unchanged if ending == ".nii.gz" else write_volume)(dataset.image_path(FIRST), array)
    refused(dataset, f"{dataset.image_path(FIRST)}: 2 of 12000 voxels are NaN or infinite", "Replace them")


def test_constant_image(dataset, write_volume):
    write_volume(dataset.image_path(SECOND), np.full((6, 40, 50), 3, np.float32))
    refused(dataset, f"{dataset.image_path(SECOND)}: every voxel is 3")


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_truncated_file(empty_dataset, ending):
    """ITK itself reads the missing half of a NIfTI file as zeros."""
    dataset = empty_dataset(ending=ending)
    dataset.add(FIRST)
    path = dataset.image_path(FIRST)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = refused(dataset, str(path), "Copy or convert it again")
    assert "1 problem found" in message


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_unreadable_file(dataset, content):
    dataset.label_path(FIRST).write_bytes(content)
    refused(dataset, f"{dataset.label_path(FIRST)}: cannot be read as an image ({len(content)} bytes; ")


def test_damaged_byte_inside_a_compressed_file(dataset):
    path = dataset.image_path(FIRST)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused(dataset, str(path), "Copy or convert it again")


def test_missing_label(dataset):
    dataset.label_path(SECOND).unlink()
    refused(dataset, f"{dataset.label_path(SECOND)}: no such label for case {SECOND}")


def test_missing_image(dataset):
    dataset.image_path(SECOND).unlink()
    refused(
        dataset,
        f"{dataset.label_path(SECOND)}: no image; expected",
        f"{SECOND}_0000.nii.gz",
        "numTraining is 2; found 1",
    )


def test_missing_channel_number(dataset):
    wrong = dataset.folder / "imagesTr" / f"{SECOND}.nii.gz"
    dataset.image_path(SECOND).rename(wrong)
    refused(dataset, f"{wrong}: no channel number", f"Rename it to {SECOND}_0000.nii.gz")


def test_channels_against_dataset_json(dataset, write_volume):
    write_volume(dataset.image_path(FIRST, channel=1), np.ones((6, 40, 50), np.float32))
    refused(dataset, f"{dataset.image_path(FIRST, 1)}: channel 1, but dataset.json names 1 channel")
    dataset.image_path(FIRST, channel=1).unlink()
    dataset.write_json(channel_names={"0": "a", "1": "b"})
    refused(dataset, f"{dataset.image_path(FIRST, 1)}: no such image for case {FIRST}")


def test_listed_files_are_used(dataset):
    def entry(name):
        return {"images": [f"imagesTr/{name}_0000.nii.gz"], "label": str(dataset.label_path(name))}

    dataset.write_json(dataset={FIRST: entry(FIRST)}, numTraining=1)
    assert [case.name for case in check(dataset).cases] == [FIRST]
    dataset.write_json(dataset={FIRST: entry(FIRST), "gone": entry("gone")}, numTraining=2)
    refused(dataset, "gone_0000.nii.gz: no such image for case gone")
    dataset.write_json(dataset={FIRST: entry(FIRST), "bare": {"images": []}}, numTraining=1)
    refused(dataset, "case bare lists 0 images and no label; expected 1 and one")


def test_no_dataset_json(tmp_path):
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'dataset.json'}: not found; expected an nnU-Net raw")):
        check_raw_dataset(tmp_path, progress=False)


def test_damaged_dataset_json(dataset):
    path = dataset.folder / "dataset.json"
    path.write_text('{"labels": ', encoding="utf-8")
    refused(dataset, f"{path}: no valid JSON (Expecting value: line 1")
    path.write_text("[]", encoding="utf-8")
    refused(dataset, "expected an object")
    path.write_text('{"labels": {}}', encoding="utf-8")
    refused(dataset, "expected channel_names, numTraining, file_ending too")


def test_empty_data_set(empty_dataset):
    dataset = empty_dataset()
    dataset.write_json()
    refused(dataset, "no training case; expected imagesTr/NAME_0000.nii.gz")


def test_all_problems_at_once_but_not_more_than_a_screen(empty_dataset):
    dataset = empty_dataset()
    for i in range(25):
        dataset.add(f"case{i:02d}", shape=(1, 8, 8))
        dataset.label_path(f"case{i:02d}").unlink()
    message = refused(dataset, "25 problems found", "... and 5 more")
    assert len(message.splitlines()) == 22


def test_one_damaged_case_does_not_hide_another(dataset, write_volume):
    dataset.image_path(FIRST).write_bytes(b"")
    write_volume(dataset.label_path(SECOND), np.full((6, 40, 50), 9, np.uint8))
    refused(dataset, "2 problems found", "cannot be read", "values 9")


def test_peculiarities_are_notes(empty_dataset, write_volume):
    dataset = empty_dataset()
    dataset.add("long_axis", shape=(1, 40, 50))
    dataset.add("flat", shape=(40, 50))
    dataset.add("small", shape=(3, 17, 15))
    write_volume(dataset.label_path("long_axis"), np.zeros((1, 40, 50), np.uint8))
    report = check(dataset)
    assert {case.name: case.shape for case in report.cases} == {
        "flat": (1, 40, 50),
        "long_axis": (1, 40, 50),
        "small": (3, 17, 15),
    }
    assert len(report.notes) == 3
    assert report.notes[0].startswith("2 of 3 cases (first flat): one slice only")
    assert report.notes[1].startswith("1 of 3 cases (first small): slices smaller than 16")
    assert report.notes[2].startswith("1 of 3 cases (first long_axis): an empty label file")


def test_absent_anatomy_is_a_note(empty_dataset, write_volume):
    dataset = empty_dataset()
    dataset.add("case")
    write_volume(dataset.label_path("case"), np.arange(12000, dtype=np.uint8).reshape(6, 40, 50) % 3)
    assert check(dataset).notes == ("LV (label 3) occurs in no label file; no network can learn it.",)


def test_warnings_of_itk_stay_on_afterwards(dataset):
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    check(dataset)
    assert SimpleITK.ProcessObject.GetGlobalWarningDisplay() == before


def test_verdict_agrees_with_nnunet(dataset):
    """What passes here passes nnU-Net's own reader with the same shape, spacing and labels."""
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    case = check(dataset).cases[0]
    images, properties = SimpleITKIO().read_images([str(dataset.image_path(case.name))])
    labels, _ = SimpleITKIO().read_seg(str(dataset.label_path(case.name)))
    assert images.shape == (1, *case.shape)
    assert tuple(properties["spacing"]) == pytest.approx(case.spacing)
    assert set(np.unique(labels)) == case.values


def test_voxels_without_a_reference_are_noted(dataset, write_volume):
    dataset.write_json(labels={"background": 0, "RV": 1, "MYO": 2, "LV": 3, "ignore": 4})
    whole = check_raw_dataset(dataset.folder, progress=False)
    assert whole.anatomies == {"RV": 1, "MYO": 2, "LV": 3}
    assert not whole.notes
    labels = np.arange(6 * 40 * 50, dtype=np.uint8).reshape(6, 40, 50) % 4
    labels[3:] = 4
    write_volume(dataset.label_path(FIRST), labels)
    write_volume(dataset.label_path(SECOND), np.full((6, 40, 50), 4, np.uint8))
    partly, nothing = check_raw_dataset(dataset.folder, progress=False).notes
    assert partly.startswith(f"2 of 2 cases (first {FIRST}): voxels without a reference (ignore label)")
    assert nothing.startswith(f"1 of 2 cases (first {SECOND}): no annotated voxel")


def test_ignore_label_below_another(dataset):
    dataset.write_json(labels={"background": 0, "RV": 1, "ignore": 2, "MYO": 3, "LV": 4})
    refused(dataset, "the label 'ignore' is 2, and the highest value is 4; nnU-Net needs 'ignore' to be the highest")


def test_hearts_of_animals_are_no_problem(empty_dataset):
    """Pixels of 0.1 mm: `check` measures nothing with them, and nnU-Net trains with any size."""
    raw = empty_dataset()
    for name in (FIRST, SECOND):
        raw.add(name, spacing=(0.1, 0.1, 0.5))
    assert check(raw).cases[0].spacing == pytest.approx((0.5, 0.1, 0.1))


def test_two_voxel_sizes_in_one_header(dataset):
    path = dataset.label_path(FIRST)
    image = nibabel.load(path)
    content = bytearray(image.to_bytes())
    content[80:92] = np.ones(3, "<f4").tobytes()
    path.write_bytes(gzip.compress(content))
    refused(dataset, f"{path}: the header gives two voxel sizes, pixdim 1 x 1 x 1 mm and sform 1.5 x 1.5 x 10 mm")


def test_patients_of_one_image_are_noted(empty_dataset, write_volume):
    raw = empty_dataset()
    for name in (FIRST, SECOND, "patient002_ED", "patient003_ED_x"):
        raw.add(name)
    voxels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(raw.image_path(FIRST))))
    write_volume(raw.image_path(SECOND), voxels)  # of the same patient
    write_volume(raw.image_path("patient002_ED"), 3 * voxels[::-1, :, ::-1] + 5)
    (note,) = check(raw).notes
    assert note.startswith("patient001 and patient002 show the same images; folds that `nnunet_cardiac plan` draws")
    (raw.folder / "imagesTs").mkdir()
    write_volume(raw.folder / "imagesTs" / "patient009_ED_0000.nii.gz", voxels[1:4])
    _, leak = check(raw).notes
    assert leak.startswith("2 of the patients in imagesTr are in imagesTs under another name (patient001 as patient009")
