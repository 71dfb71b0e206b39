"""EMIDEC: a space in the names of text files, infarct inside the myocardium, a test set without contours."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_cardiac.anatomy import anatomy_labels

TRAINING = ("Case_N006", "Case_N012", "Case_P001", "Case_P100")
VALUES = {"LV": 1, "MYO": 2}


def contours(make):
    """Cavity 1, myocardium 2 with an infarct 3 and no-reflow 4 inside."""
    labels = make.heart(VALUES)
    _, _, x = np.indices(labels.shape)
    labels[(labels == 2) & (x > 30)] = 3
    labels[(labels == 3) & (x > 33)] = 4
    return labels


@pytest.fixture
def archive(make, tmp_path):
    training = tmp_path / "emidec" / "emidec-dataset-1.0.1"
    for i, name in enumerate(TRAINING):
        labels = contours(make) if "P" in name else make.heart(VALUES)
        make.save(training / name / "Images" / f"{name}.nii.gz", make.scan(labels, i))
        make.save(training / name / "Contours" / f"{name}.nii.gz", labels)
        text = "Sex\xa0: M\r\nAge: 61\r\nECG (ST +) : N\r\nFEVG: 40\r\n"
        (training / f"{name.replace('_', ' ')}.txt").write_bytes(text.encode("cp1252"))
    test = tmp_path / "emidec" / "emidec-segmentation-testset-1.0.0"
    make.save(test / "Case_101" / "Images" / "Case_101.nii.gz", make.scan(make.heart(VALUES), 50))
    return tmp_path / "emidec"


def test_myocardium_is_whole_by_default(make, archive, convert):
    done = convert("emidec", archive)
    assert done.code == 0
    description = done.json("dataset.json")
    assert anatomy_labels(description["labels"]) == {"MYO": 1, "LV": 2}
    assert description["channel_names"] == {"0": "LGE"}
    expected = np.select([contours(make) == 1, contours(make) > 1], [2, 1])
    np.testing.assert_array_equal(done.label("Case_P100"), expected)
    assert done.names("labelsTr") == list(TRAINING)
    assert done.names("imagesTs") == ["Case_101_0000"]
    for fold in done.json("splits_final.json"):
        assert sorted(name[5] for name in fold["val"]) == ["N", "P"]


def test_facts_of_the_text_files(archive, convert):
    row = convert("emidec", archive).rows("patients.csv")["Case_P001"]
    assert (row["group"], row["sex"], row["age"], row["fevg"]) == ("pathological", "M", "61", "40")
    assert row["ecg__st"] == "N"
    assert "Case P001.txt" in "".join(convert.json("manifest.json")["sha256"]["Case_P001"])


def test_infarct_apart(make, archive, convert):
    done = convert("emidec", archive, "--infarct")
    assert done.json("dataset.json")["labels"] == {"background": 0, "MYO": 1, "LV": 2, "infarct": 3, "no_reflow": 4}
    expected = np.array([0, 2, 1, 3, 4], np.uint8)[contours(make)]
    np.testing.assert_array_equal(done.label("Case_P001"), expected)


def test_swapped_cavity_and_myocardium(make, archive, convert):
    path = archive / "emidec-dataset-1.0.1" / "Case_N006" / "Contours" / "Case_N006.nii.gz"
    make.save(path, make.heart({"LV": 2, "MYO": 1}))
    assert convert("emidec", archive).code == 2
    assert "convert with --labels MYO=1 LV=2,3,4" in convert.err


def test_layout(archive, convert):
    assert convert("emidec", archive / "emidec-segmentation-testset-1.0.0").code == 2
    assert "expected Case_N006/Images/Case_N006.nii.gz" in convert.err


def test_images_and_labels_stored_otherwise(archive, convert):
    """Axes exchanged and turned round, in labels otherwise than in their images."""
    convert.stored_otherwise("emidec", archive)
