"""The same hearts give the same numbers, in whichever of the 48 ways references and predictions are stored."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.case_metrics import CaseMetrics, case_metrics
from nnunet_cardiac.evaluation.cases import CasePair, read_pair
from nnunet_cardiac.evaluation.folders import evaluate_folders
from nnunet_cardiac.evaluation.label_maps import read_label_map
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, Way
from nnunet_cardiac.phantom.short_axis import make_study
from nnunet_cardiac.phantom.study import CineStudy

LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
STRUCTURES = {name: value for name, value in LABELS.items() if value}
Labels = npt.NDArray[np.uint8]


@lru_cache
def study(seed: int = 3) -> CineStudy:
    return make_study(seed, frames=3, matrix=(48, 44), slices=6, spacing=(10.0, 4.0))


def affine_of(direction: npt.NDArray[np.float64] | None = None) -> npt.NDArray[np.float64]:
    geometry = study().geometry
    affine = np.eye(4)
    axes = geometry.direction if direction is None else direction
    affine[:3, :3] = np.diag([-1, -1, 1]) @ axes * geometry.spacing_mm[::-1]
    affine[:3, 3] = np.array([-1, -1, 1]) * geometry.origin_mm
    return affine


def predicted(labels: Labels) -> Labels:
    """A prediction that is wrong along all axes, and labels a slice too much."""
    return np.roll(labels, (1, 1, -2), axis=(-3, -2, -1))


def write(
    path: Path,
    labels: Labels,
    way: Way = IDENTITY,
    direction: npt.NDArray[np.float64] | None = None,
    codes: tuple[int, int] = (1, 1),
) -> Path:
    """Write (z, y, x) or (t, z, y, x) in another way; nibabel moves voxels and affine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    back = [way.axes.index(axis) for axis in range(3)]
    ornt = np.array([[to, -1 if way.flips[to] else 1] for to in back])
    moved = apply_orientation(labels.T, ornt)
    file = nibabel.Nifti1Image(moved, affine_of(direction) @ inv_ornt_aff(ornt, labels.T.shape[:3]))
    file.set_qform(file.affine, codes[0])
    file.set_sform(file.affine, codes[1])
    nibabel.save(file, path)
    return path


def other(way: Way) -> Way:
    """Another way, a different one for each."""
    return WAYS[(5 * WAYS.index(way) + 7) % len(WAYS)]


def numbers(found: CaseMetrics) -> list[object]:
    tables = (found.structures, found.slices, found.images, found.walls, found.plausibility)
    boxes = repr(np.array(found.boxes).tolist())  # text, in which NaN equals NaN
    return [*map(repr, tables), found.confusion.tolist(), found.contacts.tolist(), boxes, found.digests]


@pytest.fixture(scope="module")
def as_scanned(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("scanned")
    labels = study().labels[0]
    pair = CasePair("a", write(folder / "a.nii", labels), write(folder / "b.nii", predicted(labels)))
    return numbers(case_metrics(read_pair(pair, LABELS.values()), STRUCTURES))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.code)
def test_numbers_of_a_case(tmp_path: Path, way: Way, as_scanned: list[object]) -> None:
    labels = study().labels[0]
    reference = write(tmp_path / "a.nii", labels, way)
    prediction = write(tmp_path / "b.nii", predicted(labels), other(way))

    maps = read_pair(CasePair("a", reference, prediction), LABELS.values())

    np.testing.assert_array_equal(maps.reference, labels)
    np.testing.assert_array_equal(maps.prediction, predicted(labels))
    assert maps.spacing_mm == pytest.approx((10, 4, 4))
    assert maps.right_handed is True
    assert numbers(case_metrics(maps, STRUCTURES)) == as_scanned


@pytest.mark.parametrize("series", [False, True])
def test_all_tables(tmp_path: Path, series: bool) -> None:
    """Volumes at end-diastole and end-systole, and 4D files; one reference has no prediction."""
    results = []
    for name, ways in {"scanned": [IDENTITY] * 48, "otherwise": [*WAYS[11:], *WAYS[:11]]}.items():
        root, turn = tmp_path / name, iter(ways)
        root.mkdir()
        (root / "dataset.json").write_text(json.dumps({"labels": LABELS}))
        for patient in ("p01", "p02"):
            labels = study(int(patient[1:])).labels
            frames = {patient: labels} if series else {f"{patient}_frame{t + 1:02d}": labels[t] for t in range(3)}
            for case, values in frames.items():
                write(root / "labelsTs" / f"{case}.nii.gz", values, next(turn))
                if case != "p02_frame02":
                    write(root / "pred" / f"{case}.nii.gz", predicted(values), next(turn))
        results.append(evaluate_folders(root / "labelsTs", root / "pred", allow_missing=True))
    first, second = results
    assert first.tables.keys() == second.tables.keys()
    assert len(first.table("walls")) > 0
    for table in first.tables:
        pd.testing.assert_frame_equal(first.table(table), second.table(table), check_exact=True)


@pytest.mark.parametrize("way", WAYS[::5], ids=lambda way: way.code)
def test_directions_that_were_lost(tmp_path: Path, way: Way) -> None:
    """Headers parallel to the body's axes: the usual view is assumed, whichever way the file is stored."""
    labels, lost = study().labels[0], np.eye(3)
    paths = write(tmp_path / "a.nii", labels, way, lost), write(tmp_path / "b.nii", labels, other(way), lost)
    maps = read_pair(CasePair("a", *paths), LABELS.values())
    np.testing.assert_array_equal(maps.reference, labels)
    assert maps.right_handed is None


@pytest.mark.parametrize("way", WAYS[::5], ids=lambda way: way.code)
def test_planes_at_45_degrees(tmp_path: Path, way: Way) -> None:
    """The prediction follows its reference, even where rounding of its header would make another choice."""
    x, y, z = study().geometry.direction.T
    for angle in np.radians(np.linspace(30, 60, 7)):
        labels = study().labels[0]
        turned = np.column_stack([np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x, z])
        tilt = np.array([[1, 5e-4, 0], [-5e-4, 1, 0], [0, 0, 1]])  # within the tolerance
        reference = write(tmp_path / "a.nii", labels, IDENTITY, turned)
        prediction = write(tmp_path / "b.nii", labels, IDENTITY, turned @ tilt)
        maps = read_pair(CasePair("a", reference, prediction), LABELS.values())
        np.testing.assert_array_equal(maps.reference, maps.prediction)


def test_without_a_direction_as_stored(tmp_path: Path) -> None:
    labels, way = study().labels[0], WAYS[20]
    paths = [write(tmp_path / f"{name}.nii", labels, way, codes=(0, 0)) for name in "ab"]
    maps = read_pair(CasePair("a", *paths), LABELS.values())
    np.testing.assert_array_equal(maps.reference, read_label_map(paths[0]).values[0])
    assert maps.reference.shape != labels.shape
    assert maps.right_handed is None
    rows = case_metrics(maps, STRUCTURES).plausibility
    assert {row["orientation"] for row in rows} == {""}  # the file claims nothing


def test_one_file_says_how_it_lies_and_one_does_not(tmp_path: Path) -> None:
    labels = study().labels[0]
    reference, prediction = write(tmp_path / "a.nii", labels), write(tmp_path / "b.nii", labels, codes=(0, 0))
    with pytest.raises(UserError, match=r"b\.nii: origin is .* expected .*b\.nii does not say how it lies"):
        read_pair(CasePair("a", reference, prediction), LABELS.values())


def test_another_part_of_the_body(tmp_path: Path) -> None:
    """The message shows the grids with their axes in one order."""
    labels = study().labels[0]
    way = next(way for way in WAYS if way.code == "+z +x +y")
    reference, prediction = write(tmp_path / "a.nii", labels), write(tmp_path / "b.nii", labels[:-1], way)
    with pytest.raises(UserError, match=r"b\.nii: size is \(44, 48, 5\), expected \(44, 48, 6\) as in .*a\.nii"):
        read_pair(CasePair("a", reference, prediction), LABELS.values())


def test_left_handed_storage_is_no_other_heart(tmp_path: Path, as_scanned: list[object]) -> None:
    """The wall's segments follow each other the other way round in the file, not in the heart."""
    labels = study().labels[0]
    mirrored = next(way for way in WAYS if way.code == "-x +y +z")
    assert read_label_map(write(tmp_path / "a.nii", labels, mirrored)).right_handed is False
    pair = CasePair("a", tmp_path / "a.nii", write(tmp_path / "b.nii", predicted(labels), mirrored))
    assert numbers(case_metrics(read_pair(pair, LABELS.values()), STRUCTURES)) == as_scanned
