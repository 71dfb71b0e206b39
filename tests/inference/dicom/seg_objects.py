"""Segmentation objects held against the label map: read by highdicom, by ITK and by pydicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from nnunet_cardiac.inference.dicom import read_dicom
from nnunet_cardiac.inference.dicom_seg import write_segmentations
from nnunet_cardiac.inference.label_file import write_label_map
from nnunet_cardiac.inference.series import Series

NAMES = {"RV": 1, "MYO": 2, "LV": 3}
PHASES = {"ED": 1, "ES": 4}


def random_labels() -> np.ndarray:
    """Labels (T, Z, Y, X) for the cine of the tests."""
    labels = np.random.default_rng(5).integers(0, 4, (6, 5, 20, 17)).astype(np.uint8)
    labels[:, 0] = 0  # a slice without a heart
    return labels


def written(
    folder: Path,
    series: Series,
    phases: dict[str, int] = PHASES,
    names: dict[str, int] = NAMES,
    values: np.ndarray | None = None,
    compare: bool = True,
) -> tuple[list[Path], list[str]]:
    """Write the objects of a series, and check that they hold the same as the label map, or at least can be read."""
    values = random_labels() if values is None else values
    values = values[: series.frames.shape[0], : series.frames.shape[2]].copy()
    if series.empty is not None:
        values[series.empty] = 0
    files, notes = write_segmentations(folder, values, series, names, phases)
    if not compare:
        assert all(highdicom.seg.segread(file).number_of_segments == len(names) for file in files)
        return files, notes
    write_label_map(folder / "labels.nii.gz", values, series)
    frames = [phases[file.stem.rsplit("_", 1)[-1]] - 1 for file in files] if len(values) > 1 else [0]
    for file, frame in zip(files, frames if files else [], strict=True):
        assert_same(file, folder / "labels.nii.gz", frame, names)
    return files, notes


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
