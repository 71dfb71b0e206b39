"""Archives of a few synthetic patients, laid out like the originals."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import apply_orientation, inv_ornt_aff

from nnunet_cardiac import cli

PROJECT = {"RV": 1, "MYO": 2, "LV": 3}
MNMS = {"LV": 1, "MYO": 2, "RV": 3}


def heart(order=PROJECT, radius=7.0, shape=(4, 40, 44)):
    """A label map (z, y, x): a disc in a ring, and a crescent beside it; `radius` is the cavity's, in pixels."""
    z, y, x = np.indices(shape)
    distance = np.hypot(y - 20.5, x - 24.0)
    labels = np.zeros(shape, np.uint8)
    labels[(np.hypot(y - 20.5, x - 15.0) < radius + 5) & (z < shape[0])] = order.get("RV", 0)
    labels[distance < radius + 4] = order["MYO"]
    labels[distance < radius] = order["LV"]
    return labels


def scan(labels, seed=0):
    """An image (z, y, x) that goes with a label map; the seed makes every one different."""
    noise = np.random.default_rng(seed).normal(0.0, 5.0, labels.shape)
    return np.rint(100.0 + 30.0 * labels + noise).astype(np.int16)


def save(path, array, spacing=(1.5, 1.5, 8.0), origin=(3.0, -4.0, 5.0)):
    """Write (z, y, x), or (t, z, y, x) as a 4D file."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def volume(voxels):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing(spacing[: image.GetDimension()])
        image.SetOrigin(origin[: image.GetDimension()])
        return image

    image = sitk.JoinSeries([volume(frame) for frame in array]) if array.ndim == 4 else volume(array)
    sitk.WriteImage(image, str(path))


def save_sheared(path, array, shear):
    """Write (z, y, x) as NIfTI whose second axis leans towards the first by `shear`, which ITK refuses to read."""
    affine = np.diag([-1.5, -1.5, 8.0, 1.0])
    affine[0, 1] = -1.5 * shear
    affine[:3, 3] = (-3.0, 4.0, 5.0)
    file = nibabel.Nifti1Image(array.T, affine)
    file.set_sform(affine, 1)
    file.set_qform(None, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(file, path)


#: Other ways to store the same body: axes exchanged (axis of the result for each axis of the file) and turned round.
OTHERWISE = (
    ((0, -1), (1, 1), (2, 1)),
    ((2, 1), (0, 1), (1, -1)),
    ((1, -1), (0, -1), (2, -1)),
    ((0, 1), (2, 1), (1, 1)),
)


def store_otherwise(root):
    """Store every NIfTI and NRRD file below a folder in another way; nibabel and SimpleITK move the voxels."""
    for number, path in enumerate(sorted(path for path in root.rglob("*.n*") if path.is_file())):
        axes = OTHERWISE[number % len(OTHERWISE)]
        if path.suffix == ".nrrd":
            order = [next(a for a, (to, _) in enumerate(axes) if to == axis) for axis in range(3)]
            exchanged = sitk.PermuteAxes(sitk.ReadImage(str(path)), order)
            turned = [axes[axis][1] < 0 for axis in order]
            sitk.WriteImage(sitk.Flip(exchanged, turned, False), str(path))
        else:
            file = nibabel.load(path)
            voxels = np.asarray(file.dataobj)
            moved = apply_orientation(voxels, np.array(axes))
            nibabel.save(nibabel.Nifti1Image(moved, file.affine @ inv_ornt_aff(axes, voxels.shape[:3])), path)


def same_volumes(first, second):
    """Whether two data sets hold the same images and label maps: voxels and place in the patient."""
    paths = sorted(path.relative_to(first) for path in first.rglob("*.nii.gz"))
    assert paths == sorted(path.relative_to(second) for path in second.rglob("*.nii.gz"))
    for path in paths:
        one, two = (sitk.ReadImage(str(folder / path)) for folder in (first, second))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(two), str(path))
        for what in ("Spacing", "Origin", "Direction"):
            found, expected = (getattr(image, f"Get{what}")() for image in (two, one))
            np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=f"{path} {what}")
    return bool(paths)


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


class Converted:
    """Runs the command, and looks into what it wrote."""

    def __init__(self, raw, capsys):
        self.raw, self.capsys, self.folder = raw, capsys, None
        self.code, self.out, self.err = None, "", ""

    def __call__(self, name, source, *options, folds=2, number=27):
        arguments = ["convert", name, str(source), "-d", str(number), "-o", str(self.raw), "--folds", str(folds)]
        self.code = cli.main([*arguments, *options, "--quiet"])
        self.out, self.err = self.capsys.readouterr()
        self.folder = next(iter(sorted(self.raw.glob(f"Dataset{number:03d}_*"))), None) if self.raw.is_dir() else None
        return self

    def stored_otherwise(self, name, archive, *options):
        """Convert an archive, and once more when every file is stored in another way; the data sets are the same."""
        first = self(name, archive, *options).folder
        store_otherwise(archive)
        self(name, archive, *options, number=28)
        assert self.code == 0, self.err
        assert same_volumes(first, self.folder)
        assert "stored otherwise (first " in self.out
        return self

    def json(self, name):
        return json.loads((self.folder / name).read_text())

    def rows(self, name):
        with (self.folder / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {row[next(iter(row))]: row for row in rows}

    def names(self, folder):
        return sorted(path.name.removesuffix(".nii.gz") for path in (self.folder / folder).glob("*"))

    def label(self, case, part="Tr"):
        return read(self.folder / f"labels{part}" / f"{case}.nii.gz")

    def image(self, case, part="Tr"):
        return read(self.folder / f"images{part}" / f"{case}_0000.nii.gz")


@pytest.fixture
def convert(tmp_path, capsys):
    return Converted(tmp_path / "raw", capsys)


@pytest.fixture(scope="session")
def make():
    """The functions that draw and write hearts; test modules cannot import this file."""
    return SimpleNamespace(
        heart=heart,
        scan=scan,
        save=save,
        save_sheared=save_sheared,
        store_otherwise=store_otherwise,
        same_volumes=same_volumes,
        read=read,
        project=PROJECT,
        mnms=MNMS,
    )
