"""M&Ms-2: two views, one split of the patients."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnunet_cardiac.datasets.anatomy import check_enclosure
from nnunet_cardiac.phantom.long_axis import make_long_axis
from nnunet_cardiac.phantom.study import MNMS_LABELS

NUMBERS = (1, 2, 3, 4, 160, 161, 201)


@pytest.fixture(scope="module")
def four_chamber():
    """Two label maps (1, y, x) in M&Ms' order."""
    study = make_long_axis(
        3, frames=6, matrix=(64, 64), spacing=4.0, label_order=MNMS_LABELS, phases_only=True, style="bssfp"
    )
    return study.labels


@pytest.fixture
def archive(make, tmp_path, four_chamber):
    root = tmp_path / "MnM2"
    lines = ["SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD"]
    for number in NUMBERS:
        folder = root / "dataset" / f"{number:03d}"
        for phase, radius, chambers in (("ED", 7.0, four_chamber[0]), ("ES", 4.0, four_chamber[1])):
            for view, labels in (("SA", make.heart(make.mnms, radius)), ("LA", chambers)):
                make.save(folder / f"{number:03d}_{view}_{phase}.nii.gz", make.scan(labels, number))
                make.save(folder / f"{number:03d}_{view}_{phase}_gt.nii.gz", labels)
        for view, labels in (("SA", make.heart()), ("LA", four_chamber[0])):
            series = np.stack([make.scan(labels, 1000 + t) for t in range(3)])
            make.save(folder / f"{number:03d}_{view}_CINE.nii.gz", series)
        disease = "TRI" if number > 160 else "LV" if number % 2 else "NOR"
        lines.append(f"{number},{disease},GE MEDICAL SYSTEMS,Optima,1.5")
    # The published table ends in empty lines.
    (root / "dataset_information.csv").write_text("\n".join(lines) + "\n,,,,\n")
    return root


def test_two_data_sets_with_one_split(make, archive, four_chamber, convert):
    done = convert("mnms2", archive, number=40)
    assert done.code == 0
    short, long = (done.raw / name for name in ("Dataset040_MnMs2SA", "Dataset041_MnMs2LA"))
    splits = [json.loads((folder / "splits_final.json").read_text()) for folder in (short, long)]
    assert splits[0] == splits[1]
    held_out = sorted(name for fold in splits[0] for name in fold["val"])
    assert held_out == sorted(f"subject{n:03d}_{phase}" for n in NUMBERS[:5] for phase in ("ED", "ES"))
    assert done.names("labelsTr") == held_out
    assert done.names("labelsVal") == ["subject161_ED", "subject161_ES"]
    assert done.names("labelsTs") == ["subject201_ED", "subject201_ES"]
    np.testing.assert_array_equal(done.label("subject003_ES"), make.heart(radius=4.0))
    stored = make.read(long / "labelsTr" / "subject003_ES.nii.gz")
    np.testing.assert_array_equal(stored, np.array([0, 3, 2, 1], np.uint8)[four_chamber[1]])
    assert stored.shape == (1, 64, 64)


def test_both_or_none_are_written(archive, convert):
    (archive / "dataset" / "003" / "003_LA_ED_gt.nii.gz").unlink()
    assert convert("mnms2", archive, number=40).code == 2
    assert "subject003: " in convert.err
    assert list(convert.raw.iterdir()) == []
    (convert.raw / "Dataset041_Taken").mkdir()
    assert convert("mnms2", archive, number=40).code == 2
    assert "number 41 is taken" in convert.err


def test_cine_of_both_views(archive, convert):
    done = convert("mnms2", archive, "--cine", "--name", "Two", number=40)
    assert sorted(path.name for path in done.raw.iterdir()) == ["Dataset040_TwoSA", "Dataset041_TwoLA"]
    assert len(list((done.raw / "Dataset041_TwoLA" / "imagesCine").iterdir())) == 3 * len(NUMBERS)


def test_a_long_axis_view_is_told_from_a_swapped_one(four_chamber):
    """The myocardium of a four-chamber view is open at the mitral valve."""
    for labels in four_chamber:
        right = check_enclosure(labels, {"RV": 3, "MYO": 2, "LV": 1})
        assert right.share > 0.6
        assert not right.better
        swapped = check_enclosure(labels, {"RV": 1, "MYO": 2, "LV": 3})
        assert swapped.better == {"RV": "LV", "MYO": "MYO", "LV": "RV"}
        assert swapped.better_share == right.share


def test_layout(archive, convert):
    (archive / "dataset_information.csv").unlink()
    assert convert("mnms2", archive).code == 2
    assert "expected dataset_information.csv and dataset/NNN/NNN_SA_ED.nii.gz" in convert.err


def test_both_views_stored_otherwise(make, archive, convert):
    """Axes exchanged and turned round, in labels otherwise than in their images."""
    convert("mnms2", archive, "--cine", number=40)
    make.store_otherwise(archive)
    done = convert("mnms2", archive, "--cine", number=42)
    assert done.code == 0, done.err
    assert make.same_volumes(done.raw / "Dataset040_MnMs2SA", done.raw / "Dataset042_MnMs2SA")
    assert make.same_volumes(done.raw / "Dataset041_MnMs2LA", done.raw / "Dataset043_MnMs2LA")
