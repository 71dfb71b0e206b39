"""A small raw data set on disk that tests damage in one place each."""

import json

import numpy as np
import pytest
import SimpleITK

from nnunet_cardiac.checks.dataset import check_raw_dataset
from nnunet_cardiac.errors import UserError

FIRST, SECOND = "patient001_frame01", "patient001_frame12"


def check(dataset, required=("LV", "MYO", "RV")):
    return check_raw_dataset(dataset.folder, required, progress=False)


def refused(dataset, *words, required=("LV", "MYO", "RV")):
    with pytest.raises(UserError) as caught:
        check(dataset, required)
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


class RawDataset:
    """Writes an nnU-Net raw data set of cardiac volumes, x y z = 50 x 40 x 6."""

    def __init__(self, folder, ending=".nii.gz"):
        self.folder, self.ending = folder, ending
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir(parents=True)
        self.description = {
            "channel_names": {"0": "cineMRI"},
            "labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3},
            "numTraining": 0,
            "file_ending": ending,
        }

    def write_json(self, **changes):
        self.description |= changes
        (self.folder / "dataset.json").write_text(json.dumps(self.description), encoding="utf-8")

    def image_path(self, name, channel=0):
        return self.folder / "imagesTr" / f"{name}_{channel:04d}{self.ending}"

    def label_path(self, name):
        return self.folder / "labelsTr" / f"{name}{self.ending}"

    def add(self, name, shape=(6, 40, 50), spacing=(1.5, 1.5, 10.0)):
        voxels = np.random.default_rng(len(name)).normal(size=shape).astype(np.float32)
        labels = np.arange(voxels.size, dtype=np.uint8).reshape(shape) % 4
        for path, array in ((self.image_path(name), voxels), (self.label_path(name), labels)):
            write(path, array, spacing)
        self.write_json(numTraining=self.description["numTraining"] + 1)


def write(path, array, spacing=(1.5, 1.5, 10.0)):
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing[: image.GetDimension()])
    SimpleITK.WriteImage(image, str(path))


@pytest.fixture
def dataset(tmp_path):
    raw = RawDataset(tmp_path / "Dataset027_Heart")
    raw.add("patient001_frame01")
    raw.add("patient001_frame12")
    return raw


@pytest.fixture
def empty_dataset(tmp_path):
    return lambda **options: RawDataset(tmp_path / "Dataset028_Empty", **options)


@pytest.fixture
def write_volume():
    return write
