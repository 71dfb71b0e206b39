"""Images and labels that are stored in any of the 48 ways come out in one, or are refused with the reason."""

from __future__ import annotations

import gzip
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import apply_orientation, inv_ornt_aff

from nnunet_cardiac.images.image_file import read_header
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, canonical_way

LABELS = ("--labels", "LV=1", "MYO=2", "RV=3")
SPACING = (1.5, 1.25, 8.0)


def short_axis_affine():
    """RAS affine (4, 4) of a short-axis stack as a scanner stores it."""
    x, y = np.array([0.77, 0.62, 0.16]), np.array([-0.15, 0.41, -0.9])
    x /= np.linalg.norm(x)
    y -= (x @ y) * x
    y /= np.linalg.norm(y)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ np.column_stack([x, y, np.cross(x, y)]) * SPACING
    affine[:3, 3] = (20.0, -30.0, 40.0)
    return affine


AFFINE = short_axis_affine()


def ornt_of(way):
    """Nibabel's description of a way: for each axis of the file, the axis of the result and its sense."""
    back = [way.axes.index(axis) for axis in range(3)]
    return np.array([[to, -1 if way.flips[to] else 1] for to in back])


def store(path, voxels, way=IDENTITY, affine=AFFINE, codes=(1, 1)):
    """Write (z, y, x) of a canonical image in another way, as nibabel moves voxels."""
    ornt = ornt_of(way)
    moved = apply_orientation(voxels.T, ornt)
    file = nibabel.Nifti1Image(moved, affine @ inv_ornt_aff(ornt, voxels.T.shape))
    file.set_qform(file.affine, codes[0])
    file.set_sform(file.affine, codes[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(file, path)


@pytest.fixture
def pair(make, tmp_path, convert):
    """Writes image and label of two patients, the first as given, and converts them."""
    image, label = make.scan(make.heart(make.mnms), 1), make.heart(make.mnms)

    def run(image_way=IDENTITY, label_way=IDENTITY, *options, image_options=None, label_options=None, label=label):
        folder = tmp_path / "mine"
        store(folder / "a.nii.gz", image, image_way, **(image_options or {}))
        store(folder / "a seg.nii.gz", label, label_way, **(label_options or {}))
        store(folder / "b.nii.gz", make.scan(make.heart(make.mnms), 2))
        store(folder / "b seg.nii.gz", make.heart(make.mnms))
        rows = ["image,label,patient", "a.nii.gz,a seg.nii.gz,a", "b.nii.gz,b seg.nii.gz,b"]
        (folder / "cases.csv").write_text("\n".join(rows))
        return convert("generic", folder / "cases.csv", *LABELS, *options)

    run.image, run.label = image, np.array([0, 3, 2, 1], np.uint8)[label]
    return run


def test_48_ways_to_store_a_stack(make, tmp_path, convert):
    """Each image in another way, each label in yet another one; every file is the same afterwards."""
    heart = make.heart(make.mnms)
    rows = ["image,label,patient"]
    for number, way in enumerate(WAYS):
        store(tmp_path / f"{number}.nii", make.scan(heart, number), way)
        store(tmp_path / f"{number} seg.nii", heart, WAYS[(5 * number + 7) % len(WAYS)])
        rows.append(f"{number}.nii,{number} seg.nii,p{number}")
    (tmp_path / "cases.csv").write_text("\n".join(rows))

    done = convert("generic", tmp_path / "cases.csv", *LABELS)

    assert done.code == 0, done.err
    for number in range(len(WAYS)):
        np.testing.assert_array_equal(done.image(f"p{number}"), make.scan(heart, number))
        np.testing.assert_array_equal(done.label(f"p{number}"), np.array([0, 3, 2, 1], np.uint8)[heart])
        for path in (f"imagesTr/p{number}_0000.nii.gz", f"labelsTr/p{number}.nii.gz"):
            np.testing.assert_allclose(nibabel.load(done.folder / path).affine, AFFINE, atol=1e-4)
        row = done.rows("cases.csv")[f"p{number}"]
        assert [float(row[f"spacing_{axis}_mm"]) for axis in "xyz"] == list(SPACING)
    assert "47 of 48 images were stored otherwise (first p1, +x +y -z)" in done.out
    orientation = done.json("manifest.json")["orientation"]
    assert orientation["ways"] == {way.code: 1 for way in WAYS}
    assert len(orientation["changed"]) == 47
    assert "p0" not in orientation["changed"]


def test_images_can_be_left_as_stored(pair):
    way = WAYS[20]
    done = pair(way, WAYS[7], "--orientation", "as-stored")
    assert done.code == 0, done.err
    expected = apply_orientation(pair.image.T, ornt_of(way)).T
    np.testing.assert_array_equal(done.image("a"), expected)
    np.testing.assert_array_equal(done.label("a"), apply_orientation(pair.label.T, ornt_of(way)).T)
    assert "the images are stored in 2 ways and stay so" in done.out
    assert done.json("manifest.json")["orientation"]["written"] == "as-stored"
    float(done.rows("cases.csv")["a"]["lv_volume_ml"])  # the stack has slices, whatever axis they lie along
    assert done.rows("cases.csv")["a"]["lv_border_on_myo"] == done.rows("cases.csv")["b"]["lv_border_on_myo"]


def test_a_label_elsewhere_in_the_body_is_refused(pair):
    affine = AFFINE.copy()
    affine[:3, 3] += (0, 9, 0)
    done = pair(WAYS[3], WAYS[20], label_options={"affine": affine})
    assert done.code == 2
    assert done.folder is None
    assert "a seg.nii.gz: size (" in done.err


@pytest.mark.parametrize("label_way", ["-x +y +z", "+x +y +z"])
def test_a_label_of_the_same_size_elsewhere_in_the_body(pair, label_way):
    """Both headers are shown; with --trust-voxels the voxels match as they lie, with the image's way."""
    flipped = next(way for way in WAYS if way.code == "-x +y -z")
    way = next(way for way in WAYS if way.code == label_way)
    affine = AFFINE.copy()
    affine[:3, 3] += (0, 9, 0)
    refused = pair(flipped, way, label_options={"affine": affine})
    assert refused.code == 2
    assert refused.folder is None
    assert "its header differs from the image's" in refused.err
    assert refused.err.count("spacing 1.5 x 1.25 x 8 mm, origin (") == 2
    done = pair(flipped, way, "--trust-voxels", label_options={"affine": affine})
    assert done.code == 0, done.err
    as_lies = apply_orientation(pair.label.T, ornt_of(way))
    np.testing.assert_array_equal(done.label("a"), apply_orientation(as_lies, ornt_of(flipped.inverse)).T)


@pytest.mark.parametrize("silent", ["image", "label"])
def test_only_one_of_both_says_how_it_lies(pair, silent):
    options = {f"{silent}_options": {"codes": (0, 0)}}
    refused = pair(**options)
    assert refused.code == 2
    assert f"The file of the {silent} does not say how it lies in the patient" in refused.err
    done = pair(IDENTITY, IDENTITY, "--trust-voxels", **options)
    assert done.code == 0, done.err
    np.testing.assert_array_equal(done.label("a"), pair.label)


def test_neither_says_how_it_lies(pair):
    """Even where the slices lie along x; the check of the label order finds them there."""
    way = next(way for way in WAYS if way.code == "+z +x +y")
    silent = {"codes": (0, 0)}
    done = pair(way, way, image_options=silent, label_options=silent)
    assert done.code == 0, done.err
    np.testing.assert_array_equal(done.image("a"), apply_orientation(pair.image.T, ornt_of(way)).T)
    assert "1 of 2 images (first a) do not say how they lie in the patient; they are left as stored" in done.out
    assert done.rows("cases.csv")["a"]["lv_border_on_myo"] == done.rows("cases.csv")["b"]["lv_border_on_myo"]


def test_labels_of_another_size_that_no_way_explains(pair, make):
    done = pair(WAYS[20], IDENTITY, label=make.heart(make.mnms, shape=(4, 40, 43)))
    assert done.code == 2
    assert "expected one grid. Is it the label of another frame or patient?" in done.err


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([0, 0, 2], "degrees away from right angles"),
        ([0, 1, None], "sform 1.5 x 1.25 x 0 mm"),
    ],
)
def test_singular_directions(pair, convert, columns, message):
    """Two axes along one line, and an axis without a length."""
    pair()
    path = convert.raw.parent / "mine" / "a.nii.gz"
    file = nibabel.load(path)
    file.set_qform(None, 0)
    file.header.set_slope_inter(1, 0)
    file.header["vox_offset"] = 352
    units = file.affine[:3, :3] / SPACING
    matrix = np.column_stack([np.zeros(3) if c is None else units[:, c] for c in columns]) * SPACING
    for axis, row in enumerate("xyz"):
        file.header[f"srow_{row}"][:3] = matrix[axis]
    voxels = np.asarray(file.dataobj).tobytes("F")
    path.write_bytes(gzip.compress(file.header.binaryblock + bytes(4) + voxels))
    done = convert("generic", path.parent / "cases.csv", *LABELS, number=31)
    assert done.code == 2
    assert f"{path}: " in done.err
    assert message in done.err
    assert done.folder is None


def test_a_left_handed_image_is_fine(pair):
    left_handed = next(way for way in WAYS if way.code == "+x +y -z")
    done = pair(left_handed, left_handed)
    assert done.code == 0, done.err
    header = read_header(done.folder / "imagesTr" / "a_0000.nii.gz")
    assert canonical_way(header) == IDENTITY
    assert np.linalg.det(np.reshape(header.direction, (3, 3))) > 0
    np.testing.assert_array_equal(done.image("a"), pair.image)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_formats(make, tmp_path, convert, ending):
    """Stored otherwise by SimpleITK."""
    for number, (order, turned) in enumerate([([0, 1, 2], [0, 0, 0]), ([2, 0, 1], [1, 0, 0]), ([1, 0, 2], [0, 1, 1])]):
        heart = make.heart(make.mnms)
        for name, voxels in ((f"{number}", make.scan(heart, number)), (f"{number}s", heart)):
            image = sitk.GetImageFromArray(voxels)
            image.SetSpacing(SPACING)
            image.SetDirection((np.diag([-1, -1, 1]) @ AFFINE[:3, :3] / SPACING).ravel().tolist())
            moved = sitk.Flip(sitk.PermuteAxes(image, order), [bool(t) for t in turned], False)
            sitk.WriteImage(moved, str(tmp_path / f"{name}{ending}"))
    rows = [f"{n}{ending},{n}s{ending},p{n}" for n in range(3)]
    (tmp_path / "cases.csv").write_text("\n".join(["image,label,patient", *rows]))
    done = convert("generic", tmp_path / "cases.csv", *LABELS)
    assert done.code == 0, done.err
    for number in range(3):
        np.testing.assert_array_equal(done.image(f"p{number}"), make.scan(make.heart(make.mnms), number))


@pytest.mark.parametrize("shape", [(1, 40, 44), (4, 40, 1)])
def test_one_slice_and_one_column(make, tmp_path, convert, shape):
    """Isotropic volumes of one slice; an image of one column, whose only sensible slice is that column."""
    voxels = np.random.default_rng(3).integers(0, 99, shape).astype(np.int16)
    affine = AFFINE.copy()
    affine[:3, :3] *= np.array([1.5, 1.5, 1.5]) / SPACING
    for number, way in enumerate((IDENTITY, WAYS[20], WAYS[33])):
        store(tmp_path / f"{number}.nii", voxels, way, affine)
        store(tmp_path / f"{number}s.nii", (voxels > 50).astype(np.uint8), way, affine)
    other = np.random.default_rng(4).integers(0, 99, (5, 40, 44)).astype(np.int16)
    store(tmp_path / "other.nii", other)
    store(tmp_path / "others.nii", (other > 50).astype(np.uint8))
    rows = [f"{n}.nii,{n}s.nii,p,{n + 1}" for n in range(3)]
    (tmp_path / "cases.csv").write_text("\n".join(["image,label,patient,frame", *rows, "other.nii,others.nii,q,1"]))
    done = convert("generic", tmp_path / "cases.csv", "--labels", "LA=1")
    assert done.code == 0, done.err
    images = [done.image(f"p_frame{number:02d}") for number in (1, 2, 3)]
    assert images[0].shape[0] == 1
    assert images[0].size == voxels.size
    for number in range(3):
        np.testing.assert_array_equal(images[number], images[0])
        np.testing.assert_array_equal(done.label(f"p_frame{number + 1:02d}"), images[0] > 50)


@pytest.mark.parametrize(("change", "noted"), [("spacing", True), ("direction", True), ("origin", False)])
def test_frames_of_a_patient_that_differ(make, tmp_path, convert, change, noted):
    """Another voxel size or plane at end-systole; a shift is what a breath-hold makes."""
    other = AFFINE.copy()
    if change == "spacing":
        other[:3, 2] *= 1.25
    elif change == "direction":
        other[:3, :3] = AFFINE[:3, :3] / SPACING @ np.array([[0.9, -0.435889894, 0], [0.435889894, 0.9, 0], [0, 0, 1]])
        other[:3, :3] *= SPACING
    else:
        other[:3, 3] += 3
    rows = ["image,label,patient,phase"]
    for number in (1, 2):
        for phase, affine in (("ED", AFFINE), ("ES", other if number == 2 else AFFINE)):
            store(tmp_path / f"{number}{phase}.nii", make.scan(make.heart(make.mnms), number), WAYS[20], affine)
            store(tmp_path / f"{number}{phase}s.nii", make.heart(make.mnms), WAYS[7], affine)
            rows.append(f"{number}{phase}.nii,{number}{phase}s.nii,p{number},{phase}")
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    done = convert("generic", tmp_path / "cases.csv", *LABELS)
    assert done.code == 0, done.err
    assert ("1 patients (first p2_ED and p2_ES) have volumes of different voxel sizes" in done.out) == noted


def test_a_header_that_the_ventricles_contradict_is_noted(make, tmp_path, convert):
    """The same voxels under a direction and under the one turned by half a turn: one of them cannot be true."""
    turned = AFFINE.copy()
    turned[:3, :2] *= -1
    noted = []
    for name, affine in (("as it is", AFFINE), ("turned", turned)):
        rows = ["image,label,patient"]
        for number in (1, 2, 3, 4, 5):
            store(tmp_path / name / f"{number}.nii", make.scan(make.heart(make.mnms), number), WAYS[3], affine)
            store(tmp_path / name / f"{number}s.nii", make.heart(make.mnms), WAYS[3], affine)
            rows.append(f"{number}.nii,{number}s.nii,p{number}")
        (tmp_path / name / "cases.csv").write_text("\n".join(rows))
        done = convert("generic", tmp_path / name / "cases.csv", *LABELS)
        assert done.code == 0, done.err
        noted.append("5 label maps contradict their headers (first p1: The right ventricle lies" in done.out)
        for folder in tmp_path.glob("**/Dataset*"):
            shutil.rmtree(folder)
    assert sorted(noted) == [False, True]
