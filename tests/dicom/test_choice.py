"""Which series of a study is segmented, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnunet_cardiac.dicom.choice import Choice, choose
from nnunet_cardiac.dicom.headers import DicomImage, LeftOut
from nnunet_cardiac.dicom.study import DicomStudy
from nnunet_cardiac.dicom.table import shown, tabulate

from .conftest import TRANSVERSE, long_axis


def decided(images: list[DicomImage], series: str = "", left_out: tuple[LeftOut, ...] = ()) -> Choice:
    return choose(tabulate(DicomStudy(tuple(images), left_out)), series)


def used(images: list[DicomImage], series: str = "") -> list[int]:
    """Series numbers of what is segmented, each with the number of its images as a check of the table."""
    choice = decided(images, series)
    assert sum(row.count for row in choice.rows) == len(images)
    assert all(row.reason for row in choice.rows)
    return [row.series[0] for row in choice.used]


def views(scan: Any, **changes: Any) -> list[DicomImage]:
    """Two, three and four chambers."""
    return [
        image
        for number, degrees in ((1, 0), (2, 60), (3, 100))
        for image in scan.stack(slices=1, series_number=number, orientation=long_axis(degrees), **changes)
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"frames": 1, "inversion_ms": 300.0},
        {"frames": 1},
        {"component": "phase"},
        {"purpose": "localiser"},
        {"purpose": "tagging"},
        {"purpose": "flow"},
        {"frames": 8, "inversion_ms": lambda z, t: 100.0 + 80 * t},
        {"frames": 3, "purpose": lambda z, t: "diffusion" if t else ""},
        {"frames": 5, "echo": lambda z, t: str(t), "echo_ms": lambda z, t: 2.0 * t + 1},
        {"frames": 40, "slices": 3, "time_ms": lambda z, t: 900.0 * t},
        {"frames": 40, "slices": 3, "time_ms": None, "acquired_s": lambda z, t: 36000 + 0.9 * t},
        {"frames": 3, "time_ms": 640.0},
        {"slices": 3},
        {"slices": 1},
        {"slices": 1, "orientation": long_axis(45)},
    ],
)
def test_the_cine_alone(scan: Any, other: dict[str, Any]) -> None:
    others = scan.stack(series_number=907, **{"sequence": ("other", "GR", "SP"), **other})
    assert used(scan.stack() + others) == [5]
    assert used(views(scan) + scan.stack() + others) == [5]


def test_stacks_of_long_axes_and_transverse_slices(scan: Any) -> None:
    for plane in (long_axis(100), TRANSVERSE):
        others = scan.stack(slices=8, series_number=9, orientation=plane)
        assert used(views(scan) + scan.stack() + others) == [5]


def test_a_transverse_stack_is_no_short_axis_without_views_either(scan: Any) -> None:
    assert used(scan.stack() + scan.stack(slices=12, series_number=9, orientation=TRANSVERSE)) == [5]


def test_what_nothing_tells_is_refused(scan: Any) -> None:
    choice = decided(scan.stack() + scan.stack(slices=8, series_number=9, orientation=long_axis(30)))
    assert not choice.used
    assert choice.refusals == (
        "Nothing tells which of these is the short axis: series 5 (6 slices); series 9 (8 slices). Name it with "
        "--series NUMBER.",
    )
    assert not decided(views(scan)).used


def test_one_view_alone_is_used(scan: Any) -> None:
    assert used(scan.stack(slices=1)) == [5]
    assert used(scan.stack(slices=1, frames=1)) == [5]


def test_stacks_of_one_image_a_slice(scan: Any) -> None:
    plain, late = scan.stack(frames=1), scan.stack(frames=1, series_number=7, inversion_ms=290.0)
    assert used(plain + late) == [5]
    choice = decided(late)
    assert [row.series for row in choice.used] == [(7,)]
    assert "inversion pulse" in choice.warnings[0]


@pytest.mark.parametrize(
    "only",
    [
        {"inversion_ms": lambda z, t: 100.0 + 80 * t},
        {"purpose": lambda z, t: "diffusion" if t else ""},
        {"component": "phase"},
        {"purpose": "map or computed image"},
        {"time_ms": lambda z, t: 1000.0 * t},
    ],
)
def test_nothing_else_is_taken_for_a_cine(scan: Any, only: dict[str, Any]) -> None:
    choice = decided(scan.stack(**only))
    assert not choice.used
    assert "Series 5 (24 images)" in choice.refusals[0]
    assert used(scan.stack(**only), "5") == [5]


def test_two_measurements_have_results_of_their_own(scan: Any) -> None:
    choice = decided(scan.stack() + scan.stack(acquisition_number=2))
    assert [row.count for row in choice.used] == [24, 24]
    assert choice.warnings == ("2 stacks of this study are alike; each has a result of its own.",)


def test_two_studies(scan: Any) -> None:
    choice = decided(scan.stack() + scan.stack(study="1.3", series_number=8))
    assert [(row.study, row.series) for row in choice.used] == [(1, (5,)), (2, (8,))]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"shape": (24, 18)}, "their pixels, 20 x 18 and 24 x 18"),
        ({"pixel_mm": (1.7, 1.7)}, "pixel size, (1.5, 1.5) and (1.7, 1.7) mm"),
        ({"sequence": ("fl2d", "GR", "SP")}, "the way they were acquired"),
        ({"orientation": (-0.8, -0.6, 0.0, 0.36, -0.48, 0.8)}, "the direction of their rows and columns"),
    ],
)
@pytest.mark.parametrize("slices", [[3, 4, 5], [3], [4, 5]])
def test_parts_that_do_not_fit_together_are_refused(
    scan: Any, change: dict[str, Any], difference: str, slices: list[int]
) -> None:
    choice = decided(scan.stack(slices=range(3)) + scan.stack(slices=slices, series_number=6, **change))
    assert (not choice.used and difference in choice.refusals[0]) or (slices == [4, 5] and len(choice.used) == 1)


def test_a_missing_slice_between_parts_is_refused(scan: Any) -> None:
    for gap in (1, 2, 4):
        images = scan.stack(slices=range(3)) + scan.stack(slices=range(3 + gap, 6 + gap), series_number=6)
        choice = decided(images)
        assert not choice.used
        assert f"{gap} slices are missing" in choice.refusals[0]


def test_the_larger_stack_with_a_gap_is_not_replaced_by_a_smaller_one(scan: Any) -> None:
    broken = scan.stack(slices=[0, 1, 2, 4, 5, 6])
    choice = decided(broken + scan.stack(slices=range(3), series_number=6, acquisition_number=2))
    assert not choice.used


def test_the_user_rules(scan: Any) -> None:
    images = scan.stack() + scan.stack(frames=1, series_number=907, description="PSIR SAX", inversion_ms=300.0)
    assert used(images, "907") == used(images, "psir sax") == [907]
    assert used(images, "all") == [5, 907]
    choice = decided(images, "12")
    assert choice.refusals == ("No series is called or numbered as asked for; there are 5, 907.",)


def test_what_holds_no_image_has_a_row(scan: Any) -> None:
    report = LeftOut("1.2", "1.2.99", 99, "report of DOE", "Basic Text SR (SR), no MR image")
    choice = decided(scan.stack(), left_out=(report,))
    row = choice.rows[-1]
    assert (row.series, row.reason, row.used) == ((99,), "Basic Text SR (SR), no MR image", False)


def test_the_record_names_nobody(scan: Any) -> None:
    choice = decided(scan.stack(description="DOE JANE", path=Path("/data/DOE/IM1")))
    assert "DOE" not in str([row.record() for row in choice.rows])
    assert choice.rows[0].record() == {
        "study": 1,
        "series": [5],
        "type": "cine",
        "images": 24,
        "slices": 6,
        "frames": 4,
        "size": [20, 18],
        "pixel_mm": [1.5, 1.5],
        "normal": [-0.48, 0.64, 0.6],
        "used": True,
        "reason": "cine, 6 parallel slices",
    }
    assert "DOE JANE" in shown(choice.rows)


def test_a_view_is_no_substitute_for_a_stack_that_is_refused(scan: Any) -> None:
    broken = scan.stack(time_ms=None, instance=None, purpose="several echo times")
    choice = decided(broken + scan.stack(slices=1, series_number=8))
    assert not choice.used
    assert "nothing says the order of 4 images" in choice.refusals[0]


def test_stacks_that_cut_no_long_axis_are_refused(scan: Any) -> None:
    for plane in (TRANSVERSE, long_axis(30)):
        choice = decided(views(scan) + scan.stack(slices=8, series_number=9, orientation=plane))
        assert not choice.used
        assert "cuts the 3 views of this study as a short axis does" in choice.refusals[0]


def test_stacks_that_have_too_little_in_common_are_refused(scan: Any) -> None:
    choice = decided(scan.stack(slices=range(5)) + scan.stack(slices=range(2, 7), series_number=6))
    assert not choice.used
    assert "all but 3 slices" in choice.refusals[0]
    assert used(scan.stack(slices=range(8)) + scan.stack(slices=range(1, 9), series_number=6)) == [5, 6]


def test_one_stack_in_two_studies_is_refused(scan: Any) -> None:
    choice = decided(scan.stack(slices=range(3)) + scan.stack(slices=range(3, 6), study="1.3", series_number=6))
    assert not choice.used
    assert "the study that they say they are of" in choice.refusals[0]


def test_a_study_without_cine_beside_one_with(scan: Any) -> None:
    late = scan.stack(frames=1, study="1.3", series_number=8, inversion_ms=300.0)
    assert used(scan.stack() + late) == [5]


def test_every_second_slice_missing(scan: Any) -> None:
    choice = decided(scan.stack(slices=[0, 2, 4, 6]))
    assert not choice.used
    assert "16.0 mm apart, and the files say 8.0 mm" in choice.refusals[0]
    assert used(scan.stack(slices=[0, 2, 4, 6], distance_mm=4.0)) == [5]  # below the thickness: a gap, no distance


def test_slices_before_volumes_and_originals_before_copies(scan: Any) -> None:
    flow = scan.stack(slices=9, series_number=7, volume=True, sequence=("fl3d1", "GR", "SP"))
    copy = scan.stack(series_number=8, image_type=("DERIVED", "SECONDARY", "OTHER"))
    assert used(scan.stack() + flow) == used(scan.stack() + copy) == [5]


def test_many_stacks_of_one_image_a_slice_are_refused(scan: Any) -> None:
    images = [
        image for echo in range(4) for image in scan.stack(frames=1, series_number=5 + echo, echo_ms=2.0 * echo + 1)
    ]
    choice = decided(images)
    assert choice.refusals[0].startswith("Nothing tells which of these to use: series 5, series 6")


def test_slices_of_another_type_in_the_series_are_no_loss(scan: Any) -> None:
    images = scan.stack(slices=range(4)) + scan.stack(slices=[4, 5], purpose="flow")
    choice = decided(images)
    assert not choice.used
    assert "their type, cine and flow" in choice.refusals[0]


def test_late_enhancement_is_no_substitute_for_a_cine_that_cannot_be_used(scan: Any) -> None:
    images = scan.stack(time_ms=500.0) + scan.stack(frames=1, series_number=7, inversion_ms=300.0)
    choice = decided(images)
    assert choice.refusals == ("Series 5: several images at one time.",)
