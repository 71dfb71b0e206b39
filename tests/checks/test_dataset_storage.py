"""How the images of a raw data set lie in their files: in one way, in several, or in one that nobody knows."""

import re

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from .conftest import FIRST, SECOND, check, refused

#: Of a short-axis stack as a scanner stores it, one axis a column.
OBLIQUE = Rotation.align_vectors([[0.77, 0.62, 0.16], [-0.15, 0.41, -0.9]], np.eye(3)[:2])[0].as_matrix()
FLIPPED, EXCHANGED = ([0, 1, 2], [True, False, True]), ([2, 0, 1], [False, False, True])


def store(path, way=None, direction=OBLIQUE):
    """Give a file an oblique direction, and store it in another way; SimpleITK moves the voxels."""
    image = SimpleITK.ReadImage(str(path))
    image.SetDirection(direction.ravel().tolist())
    if way is not None:
        image = SimpleITK.Flip(SimpleITK.PermuteAxes(image, way[0]), way[1], False)
    SimpleITK.WriteImage(image, str(path))


def test_images_stored_in_one_way(dataset):
    for name in (FIRST, SECOND):
        for path in (dataset.image_path(name), dataset.label_path(name)):
            store(path, EXCHANGED)
    assert check(dataset).storage == ()


def test_images_stored_in_several_ways(dataset):
    dataset.add("patient002_frame01")
    for name, way in ((FIRST, FLIPPED), (SECOND, None), ("patient002_frame01", None)):
        for path in (dataset.image_path(name), dataset.label_path(name)):
            store(path, way)
    (sentence,) = check(dataset).storage
    assert "stored in 2 ways: 2 +x +y +z, which is canonical, (first patient001_frame12)" in sentence
    assert f"1 -x +y -z (first {FIRST})" in sentence
    assert "nnunet_cardiac convert generic" in sentence


@pytest.mark.parametrize(("way", "code"), [(FLIPPED, "-x +y -z"), (EXCHANGED, "+y -z +x")])
def test_a_label_stored_otherwise_than_its_image(dataset, way, code):
    store(dataset.image_path(FIRST))
    store(dataset.label_path(FIRST), way)
    message = refused(
        dataset, "the same part of the body, stored in two ways", code, "nnunet_cardiac convert generic brings them"
    )
    assert "1 problem found" in message


def test_a_label_stored_otherwise_and_elsewhere(dataset):
    store(dataset.image_path(FIRST))
    store(dataset.label_path(FIRST), FLIPPED)
    path = dataset.label_path(FIRST)
    label = SimpleITK.ReadImage(str(path))
    label.SetOrigin((5, 5, 5))
    SimpleITK.WriteImage(label, str(path))
    assert "stored in two ways" not in refused(dataset, "origins", "differ")


def test_no_image_says_how_it_lies(dataset):
    for name in (FIRST, SECOND):
        for path in (dataset.image_path(name), dataset.label_path(name)):
            file = nibabel.load(path)
            voxels = np.asarray(file.dataobj)
            silent = nibabel.Nifti1Image(voxels, file.affine)
            silent.set_qform(None, 0)
            silent.set_sform(None, 0)
            nibabel.save(silent, path)
    (sentence,) = check(dataset).storage
    assert "None of the 2 training images says how it lies in the patient" in sentence


def test_directions_that_were_lost(dataset):
    (sentence,) = check(dataset).storage
    assert "as in the archive of ACDC" in sentence


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ("1 0 0 1 0 0 0 0 1", "45.0 degrees away from right angles"),
        ("1 0 0 0.3 0.95 0 0 0 1", "degrees away from right angles"),
        ("0 0 0 0 1 0 0 0 1", "axes of the header have the lengths 0, 1, 1"),
        ("nan 0 0 0 1 0 0 0 1", "axes of the header have the lengths"),
    ],
)
def test_directions_that_are_none(empty_dataset, matrix, words):
    dataset = empty_dataset(ending=".mha")
    dataset.add(FIRST)
    path = dataset.image_path(FIRST)
    content = re.sub(rb"TransformMatrix = [^\n]*", f"TransformMatrix = {matrix}".encode(), path.read_bytes())
    path.write_bytes(content)
    refused(dataset, f"{path}: ", words)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_place_that_is_none(empty_dataset, value):
    dataset = empty_dataset(ending=".mha")
    dataset.add(FIRST)
    path = dataset.image_path(FIRST)
    content = re.sub(rb"Offset = [^\n]*", f"Offset = 1 {value} 2".encode(), path.read_bytes())
    path.write_bytes(content)
    refused(dataset, f"{path}: the first voxel is at (1, {value}, 2) mm")
