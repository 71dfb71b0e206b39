"""One study as DICOM files, stored in every way, as NIfTI and as NRRD: one label map, one ejection fraction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from nnunet_cardiac.cli import main
from nnunet_cardiac.files import read_json
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, Way, canonical_way, directions
from nnunet_cardiac.inference.dicom import _alike
from nnunet_cardiac.inference.series import Grid, Series

from .conftest import COLUMN, MR_IMAGE, NORMAL, ORIGIN, ROW, SPACING, Scanner

RECORD = {"nnunet_cardiac": {"orientation": {"training_images": IDENTITY.code}}}
TIMES = (31.5, 73.0)


@pytest.fixture
def cine(heart: np.ndarray) -> np.ndarray:
    """Whole numbers (T, Z, Y, X): an end-diastolic and a smaller end-systolic heart."""
    return np.rint(np.stack([heart[:5], heart[2:]])).astype(np.int16).clip(0)


def header(cine: np.ndarray) -> Header:
    axes = np.column_stack([ROW, COLUMN, NORMAL])
    return Header(cine.shape[:0:-1], SPACING[::-1], tuple(ORIGIN), tuple(axes.ravel()), 1)


def write_dicom(scanner: Scanner, cine: np.ndarray, way: Way) -> None:
    """Write a study whose rows and columns lie so that `way` brings them back; slices have no order in files."""
    stored, images = way.inverse.moved(header(cine)), way.inverse.apply(cine)
    axes, spacing = directions(stored), stored.spacing
    series = generate_uid()
    for z in range(images.shape[1]):
        for t in range(len(images)):
            ds = scanner.dataset(MR_IMAGE, series, 7, "cine SAX")
            ds.Rows, ds.Columns = images.shape[2:]
            ds.PixelSpacing = [spacing[1], spacing[0]]
            ds.SliceThickness = ds.SpacingBetweenSlices = spacing[2]
            ds.ImageOrientationPatient = [round(float(v), 9) for v in axes[:, :2].T.ravel()]
            position = np.array(stored.origin) + z * spacing[2] * axes[:, 2]
            ds.ImagePositionPatient = [round(float(v), 6) for v in position]
            ds.InstanceNumber, ds.TriggerTime = z * len(images) + t + 1, TIMES[t]
            ds.PixelData = np.ascontiguousarray(images[t, z]).astype(np.uint16).tobytes()
            scanner.write(ds)


def segment(model: Path, source: Path, output: Path) -> None:
    words = [
        "predict",
        "-i",
        source,
        "-o",
        output,
        "-m",
        model,
        "-device",
        "cpu",
        "--threads",
        1,
        "--quiet",
        "--indices",
    ]
    assert main([str(word) for word in words]) == 0


def test_rows_and_columns_in_all_ways(write_system: Callable[..., Path], cine: np.ndarray, tmp_path: Path) -> None:
    model = write_system("nnUNet", **RECORD)
    axes = np.column_stack([ROW, COLUMN, NORMAL])
    maps = {}
    for number, way in enumerate(way for way in WAYS if way.axes[2] == 2):
        write_dicom(Scanner(tmp_path / f"study{number}"), cine, way)
        segment(model, tmp_path / f"study{number}", tmp_path / f"out{number}")
        image = sitk.ReadImage(str(tmp_path / f"out{number}" / f"study{number}.nii.gz"))
        found = np.reshape(image.GetDirection(), (4, 4))[:3, :3].T @ axes
        back = Way(
            tuple(int(np.argmax(abs(found[:, axis]))) for axis in range(3)),  # type: ignore[arg-type]
            tuple(bool(found[:, axis].min() < -0.5) for axis in range(3)),  # type: ignore[arg-type]
        )
        maps[way.code] = back.apply(sitk.GetArrayFromImage(image))

    expected = maps[IDENTITY.code]
    assert len(maps) == 16
    assert len(np.unique(expected)) > 1
    for code, labels in maps.items():
        assert np.array_equal(labels, expected), code


def test_dicom_nifti_and_nrrd_give_one_ejection_fraction(
    write_system: Callable[..., Path], cine: np.ndarray, tmp_path: Path
) -> None:
    """NIfTI as dcm2niix writes it (rows from below, slices in the other order), NRRD as Slicer writes it."""
    model, sources = write_system("nnUNet", **RECORD), tmp_path / "sources"
    write_dicom(Scanner(tmp_path / "study"), cine, IDENTITY)
    sources.mkdir()
    upwards = Way.of("+x -y -z")
    stored = upwards.moved(header(cine))
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ directions(stored) * stored.spacing
    affine[:3, 3] = np.diag([-1, -1, 1]) @ stored.origin
    nifti = nibabel.Nifti1Image(np.ascontiguousarray(upwards.apply(cine).T), affine)
    nifti.set_qform(affine, 1)
    nifti.header.set_xyzt_units("mm", "sec")
    nibabel.save(nifti, sources / "dcm2niix.nii.gz")
    whole = np.eye(4)
    whole[:3, :3] = directions(header(cine))
    nrrd = sitk.GetImageFromArray(cine, isVector=False)
    nrrd.SetSpacing((*SPACING[::-1], TIMES[1] - TIMES[0]))
    nrrd.SetOrigin((*ORIGIN, 0.0))
    nrrd.SetDirection(whole.ravel().tolist())
    sitk.WriteImage(nrrd, str(sources / "slicer.nrrd"), useCompression=True)

    segment(model, tmp_path / "study", tmp_path / "from_dicom")
    segment(model, sources, tmp_path / "from_files")

    curves = {
        "DICOM": read_json(tmp_path / "from_dicom" / "study.json")["volumes_ml"],
        **{name: read_json(tmp_path / "from_files" / f"{name}.json")["volumes_ml"] for name in ("dcm2niix", "slicer")},
    }
    assert len(set(curves["DICOM"]["LV"])) == 2
    assert curves["dcm2niix"] == curves["DICOM"]
    assert curves["slicer"] == curves["DICOM"]
    rows = (tmp_path / "from_files" / "indices.csv").read_text().splitlines()
    study = (tmp_path / "from_dicom" / "indices.csv").read_text().splitlines()
    fractions = {row.split(",", 1)[1] for row in (*rows, *study) if ",LV EF," in row}
    assert len(fractions) == 1, (rows, study)


def test_stacks_of_a_study_that_are_nearly_parallel_lie_alike() -> None:
    """Fields of view turned by 15 and 55 degrees; alone, the second would be stored with rows and columns exchanged."""
    first, second, across = (
        Series(f"stack{number}", np.zeros((1, 1, 3, 20, 24), np.float32), grid, 3)
        for number, grid in enumerate((turned(15), turned(55), turned(15, [2, 0, 1])))
    )

    alike = _alike((first, second, across))

    assert canonical_way(second.header) != IDENTITY
    assert alike[1].like is not None
    assert canonical_way(alike[1].header, alike[1].like) == canonical_way(first.header) == IDENTITY
    assert alike[2].like is None  # another plane
    assert _alike((second,)) == (second,)


def turned(degrees: float, order: list[int] | None = None) -> Grid:
    """A short-axis plane whose field of view is turned, or with `order` a plane at a right angle to it."""
    x, y = (np.array(v) / np.linalg.norm(v) for v in ((0.77, 0.62, 0.16), (-0.15, 0.41, -0.9)))
    y = (y - x * (x @ y)) / np.linalg.norm(y - x * (x @ y))
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    axes = np.column_stack([cosine * x + sine * y, cosine * y - sine * x, np.cross(x, y)])
    axes = axes if order is None else axes[:, order]
    return Grid((1.4, 1.4, 8.0), (0.0, 0.0, 0.0), tuple(axes.ravel().tolist()))
