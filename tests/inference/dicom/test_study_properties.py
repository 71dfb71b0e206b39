"""However a study is stored, its cine comes back as the array from which it was written, at its place, or is refused.

Never another array. What changes nothing about the heart, such as the order or the names of files, is not refused.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.dicom import read_dicom
from tests.inference.dicom.study_maker import (
    COMPANIONS,
    IDENTIFIERS,
    ORIENTATIONS,
    ORIGIN,
    PIXEL_MM,
    SLICE_MM,
    SYNTAXES,
    Plan,
    cines_of,
    write_study,
)

#: Directions are written with an error of 1e-4 at most, over 40 mm.
NEAR_MM = 0.05


def encodable() -> list[str]:
    """Transfer syntaxes that something installed writes."""
    from pydicom.pixels import get_encoder

    packed = [name for name in ("run lengths", "JPEG-LS") if get_encoder(SYNTAXES[name]).is_available]
    return [name for name in SYNTAXES if name not in ("run lengths", "JPEG-LS")] + packed


def in_place(
    plan: Plan, frames: np.ndarray, spacing: Sequence[float], origin: Sequence[float], axes: np.ndarray
) -> np.ndarray:
    """Put what was read (T, Z, Y, X) where it lies in the patient, and return it in the order of the plan's array.

    Args:
        plan: How the study was written.
        frames: What was read.
        spacing: Distances (mm) of columns, rows and slices.
        origin: Centre of the first voxel in the patient.
        axes: Directions along a row, along a column and of the slices, as columns.
    """
    t, z, y, x = np.indices(frames.shape)
    where = np.array(origin) + np.stack([x * spacing[0], y * spacing[1], z * spacing[2]], axis=-1) @ axes.T
    directions = np.stack(plan.geometry, axis=1)
    along = (where - ORIGIN) @ directions / [PIXEL_MM[1], PIXEL_MM[0], SLICE_MM]
    index = np.rint(along).astype(int)
    assert np.abs((along - index) * [PIXEL_MM[1], PIXEL_MM[0], SLICE_MM]).max() < NEAR_MM
    placed = np.full((plan.frames, *plan.voxels().shape[1:]), np.nan)
    assert frames.shape == placed.shape
    assert (index >= 0).all()
    placed[t, index[..., 2], index[..., 1], index[..., 0]] = frames
    assert not np.isnan(placed).any()
    return placed


def same(plan: Plan, found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether intensities are the same; those of a file whose small values are bright may have any scale."""
    if plan.pixels == "MONOCHROME1":
        found, expected = ((values - values.mean()) / values.std() for values in (found, expected))
        return bool(np.allclose(found, expected, atol=1e-4))
    return bool(np.array_equal(found, expected))


def check(plan: Plan) -> None:
    """The cine comes back, or, where the plan allows it, a refusal."""
    with tempfile.TemporaryDirectory() as temporary:
        write_study(plan, Path(temporary) / "study42")
        try:
            study = read_dicom("study42", Path(temporary) / "study42")
        except UserError:
            if plan.may_be_refused:
                return
            raise
    known = [(plan, cine) for cine in cines_of(plan)]
    if plan.series == "a frame" and len(study.series) == plan.frames * len(known):
        # Frames that nothing puts in order are stacks of their own: right, though little use.
        one = replace(plan, frames=1)
        known = [(one, cine[t : t + 1]) for _, cine in known for t in range(plan.frames)]
    assert 1 <= len(study.series) <= len(known), study.messages
    for series in study.series:
        grid = series.grid
        n = len(grid.spacing)
        axes = np.array(grid.direction).reshape(n, n)[:3, :3]
        found = in_place(known[0][0], series.frames[:, 0], grid.spacing[:3], grid.origin[:3], axes)
        assert any(same(plan, found, cine) for _, cine in known)


# ---------------------------------------------------------------------------------------------- plans

STORAGES = ("classic", "enhanced", "enhanced a slice", "legacy converted")
REMOVED = st.frozensets(st.sampled_from(IDENTIFIERS), max_size=6)


@st.composite
def harmless(draw: st.DrawFn) -> Plan:
    """Plans whose studies hold one heart, and say where and when each image was taken."""
    storage = draw(
        st.sampled_from(["classic", "classic", "classic", "enhanced", "enhanced a slice", "legacy converted"])
    )
    plan = Plan(
        frames=draw(st.sampled_from([3, 3, 1])),
        slices=draw(st.integers(1, 5)),
        orientation=draw(st.sampled_from(sorted(ORIENTATIONS))),
        storage=storage,
        folders=draw(st.sampled_from(["flat", "a slice", "anywhere"])),
        names=draw(st.sampled_from(["in order", "shuffled"])),
        numbers=draw(st.sampled_from(["up", "down", "frames first", "shuffled"])),
        copies=draw(st.integers(0, 2)),
        rounding=draw(st.sampled_from([0, 4, 5])),
        syntax=draw(st.sampled_from(encodable())),
        pixels=draw(st.sampled_from(["plain", "scaled", "scaled a slice", "signed"])),
        removed=draw(REMOVED),
        emptied=draw(REMOVED),
        seed=draw(st.integers(0, 99)),
    )
    if plan.slices > 2 and storage == "classic":
        plan = replace(plan, series=draw(st.sampled_from(["one", "a slice"])))
    if plan.frames > 1 and plan.slices > 2:
        plan = replace(plan, companions=draw(st.frozensets(st.sampled_from(["late", "long axes", "localiser"]))))
    if plan.numbers != "shuffled":
        plan = replace(plan, times=draw(st.booleans()) or storage != "classic")
    # A slice alone has no distance to the next but that of the file.
    return replace(plan, removed=plan.removed - KEPT, emptied=plan.emptied - KEPT) if plan.slices == 1 else plan


OFTEN_NEEDED = ("InstanceNumber", "ImageType", "StudyInstanceUID")
KEPT = frozenset({"SpacingBetweenSlices", "SliceThickness"})


@st.composite
def doubtful(draw: st.DrawFn) -> Plan:
    """Plans whose studies hold more than one heart's worth of images, or do not say enough."""
    plan = draw(harmless())
    times = draw(st.booleans()) or plan.numbers == "shuffled"
    plan = replace(
        plan,
        series=draw(st.sampled_from(["one", "a slice", "a frame", "two parts"])),
        pixels=draw(st.sampled_from([plan.pixels, plan.pixels, "MONOCHROME1"])),
        companions=draw(st.frozensets(st.sampled_from(COMPANIONS), max_size=3)),
        joined=draw(st.booleans()),
        times=times,
        removed=plan.removed
        | draw(st.frozensets(st.sampled_from(["InstanceNumber", "ImageType", "StudyInstanceUID"]))),
    )
    # Two measurements in one series, without times and without their numbers, cannot be told from one with more frames.
    undecidable = plan.joined and "second" in plan.companions and "AcquisitionNumber" in plan.removed | plan.emptied
    return replace(plan, times=True) if undecidable else plan


FEW = settings(
    max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
MANY = settings(FEW, max_examples=200)


@FEW
@given(harmless())
def test_what_changes_nothing_about_the_heart(plan: Plan) -> None:
    assert not plan.may_be_refused
    check(plan)


@FEW
@given(doubtful())
def test_what_holds_more_than_one_heart_or_says_too_little(plan: Plan) -> None:
    check(plan)


@pytest.mark.slow
@MANY
@given(harmless())
def test_what_changes_nothing_about_the_heart_many_times(plan: Plan) -> None:
    check(plan)


@pytest.mark.slow
@MANY
@given(doubtful())
def test_what_holds_more_than_one_heart_or_says_too_little_many_times(plan: Plan) -> None:
    check(plan)


#: Each change alone, so that a failure names it.
CHANGES: dict[str, dict[str, object]] = {
    "nothing": {},
    "stack": {"frames": 1},
    "one slice": {"slices": 1},
    "one slice, one frame": {"slices": 1, "frames": 1},
    "two slices": {"slices": 2},
    "shuffled names": {"names": "shuffled"},
    "a folder a slice": {"folders": "a slice", "series": "a slice"},
    "folders anywhere": {"folders": "anywhere", "names": "shuffled"},
    "copies": {"copies": 3},
    "copies of an enhanced file": {"copies": 1, "storage": "enhanced"},
    "a series a slice": {"series": "a slice"},
    "slices numbered downwards": {"numbers": "down"},
    "frames numbered first, no times": {"numbers": "frames first", "times": False},
    "numbers shuffled": {"numbers": "shuffled"},
    "rounded": {"rounding": 4},
    "rounded, a series a slice": {"rounding": 4, "series": "a slice"},
    "rounded, enhanced": {"rounding": 4, "storage": "enhanced"},
    "enhanced": {"storage": "enhanced"},
    "enhanced a slice": {"storage": "enhanced a slice"},
    "legacy converted": {"storage": "legacy converted"},
    "late enhancement": {"companions": frozenset({"late"})},
    "long axes": {"companions": frozenset({"long axes"})},
    "localiser": {"companions": frozenset({"localiser"})},
    **{f"orientation {name}": {"orientation": name} for name in ORIENTATIONS},
    **{f"syntax {name}": {"syntax": name} for name in encodable()},
    **{f"pixels {name}": {"pixels": name} for name in ("scaled", "scaled a slice", "signed")},
    "pixels scaled a slice, enhanced": {"pixels": "scaled a slice", "storage": "enhanced"},
    "all identifiers removed": {"removed": frozenset(IDENTIFIERS)},
    "all identifiers emptied": {"emptied": frozenset(IDENTIFIERS)},
    "all identifiers removed, a series a slice": {"removed": frozenset(IDENTIFIERS), "series": "a slice"},
}

DOUBTS: dict[str, dict[str, object]] = {
    "two parts": {"series": "two parts"},
    "a series a frame": {"series": "a frame"},
    "small values are bright": {"pixels": "MONOCHROME1"},
    "neither number nor time": {"times": False, "removed": frozenset({"InstanceNumber"}), "names": "shuffled"},
    "enhanced, no times": {"times": False, "storage": "enhanced"},
    "no study": {"removed": frozenset({"StudyInstanceUID"})},
    "two slices, each a series": {"slices": 2, "series": "a slice"},
    **{f"joined {name}": {"companions": frozenset({name}), "joined": True} for name in COMPANIONS},
    **{f"beside {name}": {"companions": frozenset({name})} for name in COMPANIONS},
    "phase in an enhanced file": {"companions": frozenset({"phase"}), "joined": True, "storage": "enhanced"},
    "everything": {"companions": frozenset(COMPANIONS)},
    "everything joined": {"companions": frozenset(COMPANIONS), "joined": True},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_alone(name: str) -> None:
    plan = Plan(**CHANGES[name])  # type: ignore[arg-type]
    assert not plan.may_be_refused
    check(plan)


@pytest.mark.parametrize("name", DOUBTS)
def test_a_doubt_alone(name: str) -> None:
    check(Plan(**DOUBTS[name]))  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- of the test itself


@pytest.mark.parametrize(
    ("orientation", "pixels"), [*((name, "plain") for name in ORIENTATIONS), ("oblique", "scaled"), ("axial", "signed")]
)
def test_another_reader_finds_the_array(tmp_path: Path, orientation: str, pixels: str) -> None:
    """GDCM reads a plain stack as the oracle of these tests says."""
    plan = Plan(frames=1, orientation=orientation, pixels=pixels, numbers="shuffled", names="in order")
    write_study(plan, tmp_path / "study")
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "study")))
    axes = np.array(image.GetDirection()).reshape(3, 3)
    found = in_place(plan, sitk.GetArrayFromImage(image)[None], image.GetSpacing(), image.GetOrigin(), axes)
    np.testing.assert_array_equal(found, next(cines_of(plan)))
    with pytest.raises(AssertionError):
        in_place(plan, sitk.GetArrayFromImage(image)[None], image.GetSpacing(), image.GetOrigin(), -axes)


def test_no_two_voxels_are_alike() -> None:
    for pixels in ("plain", "scaled", "scaled a slice", "signed"):
        plan = Plan(pixels=pixels)
        first, second = cines_of(replace(plan, companions=frozenset({"second"})))
        assert not np.array_equal(first, second)
        for z in range(plan.slices):  # scaled by slice, slices may share a value
            assert len(np.unique(first[:, z])) == first[:, z].size
