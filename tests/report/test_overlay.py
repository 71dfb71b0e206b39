from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nnunet_cardiac.report.overlay import heart_window, outlines, overlay_figure, slices_base_to_apex
from nnunet_cardiac.report.overlay_case import OverlayCase

MakeHeart = Callable[..., OverlayCase]


def flipped(case: OverlayCase) -> OverlayCase:
    predictions = {name: labels[::-1] for name, labels in case.predictions.items()}
    return replace(case, image=case.image[::-1], reference=case.reference[::-1], predictions=predictions)


def empty(case: OverlayCase) -> OverlayCase:
    nothing = np.zeros_like(case.reference)
    return replace(case, reference=nothing, predictions=dict.fromkeys(case.predictions, nothing))


def test_base_first_whatever_the_stored_order(make_heart: MakeHeart) -> None:
    case = make_heart("patient001_frame01", "ED")
    assert slices_base_to_apex(case, 20) == list(range(2, 11))
    assert slices_base_to_apex(flipped(case), 20) == list(range(9, 0, -1))


def test_thinning_keeps_both_ends(make_heart: MakeHeart) -> None:
    assert slices_base_to_apex(make_heart("patient001_frame01", "ED"), 3) == [2, 6, 10]
    assert slices_base_to_apex(make_heart("patient001_frame01", "ED"), 1) == [2]


def test_slices_with_a_false_positive_alone_are_shown(make_heart: MakeHeart) -> None:
    case = make_heart("patient001_frame01", "ED")
    case.predictions["Stage 2"][11, 5, 5] = 1
    assert slices_base_to_apex(case, 20)[-1] == 11


def test_false_positives_beyond_the_base_do_not_turn_the_heart_round(make_heart: MakeHeart) -> None:
    for turn, expected in ((False, [0, 1, 2, 3, 4]), (True, [11, 10, 9, 8, 7])):
        case = flipped(make_heart("patient001_frame01", "ES")) if turn else make_heart("patient001_frame01", "ES")
        beyond = [z for z in range(len(case.reference)) if (z > 6 if turn else z < 5)]
        case.reference[beyond] = 0  # at end-systole the basal slices have lost the ventricles
        for labels in case.predictions.values():
            labels[beyond[0] : beyond[-1] + 1, 20:40, 20:40] = 1
        assert slices_base_to_apex(case, 20)[:5] == expected


def test_window_is_square_in_mm_and_holds_all_labels(make_heart: MakeHeart) -> None:
    case = empty(make_heart("patient001_frame01", "ED"))
    case.reference[5, 20:50, 30:40] = 3  # 30 pixels of 1.4 mm by 10 of 1.6 mm; arrays are shared by all stages
    window = heart_window(case, margin_mm=8.0)
    assert window.y == pytest.approx((34.5 - 21 / 1.4 - 8 / 1.4, 34.5 + 21 / 1.4 + 8 / 1.4))
    assert (window.x[1] - window.x[0]) * 1.6 == pytest.approx(30 * 1.4 + 16)
    assert sum(window.x) / 2 == pytest.approx(34.5)


def test_outline_runs_along_pixel_edges() -> None:
    mask = np.zeros((6, 7), bool)
    mask[2:5, 0:4] = True  # touches the border
    (line,) = outlines(mask)
    assert line[0] == pytest.approx(line[-1])
    assert line.min(axis=0) == pytest.approx([1.5, -0.5], abs=0.13)
    assert line.max(axis=0) == pytest.approx([4.5, 3.5], abs=0.13)
    y, x = line.T
    assert abs(np.dot(y[:-1], x[1:]) - np.dot(y[1:], x[:-1])) / 2 == pytest.approx(12.0, abs=0.1)


def test_outlines_of_islands_holes_and_nothing() -> None:
    mask = np.zeros((9, 9), bool)
    assert outlines(mask) == []
    mask[1:6, 1:6] = True
    mask[3, 3] = False
    mask[8, 8] = True
    centres = sorted(tuple(((line.max(axis=0) + line.min(axis=0)) / 2).round(6)) for line in outlines(mask))
    assert centres == [(3.0, 3.0), (3.0, 3.0), (8.0, 8.0)]


def test_figure_shows_the_chosen_slices_with_both_outlines(make_heart: MakeHeart) -> None:
    case = make_heart("patient001_frame01", "ED")
    figure = overlay_figure([case], max_slices=4)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 3 * 4
    np.testing.assert_array_equal(drawn[0].images[0].get_array(), case.image[2])
    dashed = [sum(line.get_color() == "white" for line in axes.lines) for axes in drawn]
    assert dashed[:4] == [0] * 4  # the row of the reference itself
    assert min(dashed[4:]) >= 2  # myocardium and left ventricle at least
    assert [axes.get_title() for axes in drawn[:4]] == ["base · slice 3", "slice 6", "slice 8", "apex · slice 11"]


def test_figure_without_any_label(make_heart: MakeHeart) -> None:
    figure = overlay_figure([empty(make_heart("patient001_frame01", ""))])
    assert next(axes.get_title() for axes in figure.axes if axes.images) == "slice 7"


def test_constant_image_and_one_slice(make_heart: MakeHeart) -> None:
    case = make_heart("patient001_frame01", "ED")
    predictions = {name: labels[4:5] for name, labels in case.predictions.items()}
    case = replace(case, image=np.zeros((1, 104, 90)), reference=case.reference[4:5], predictions=predictions)
    low, high = overlay_figure([case]).axes[0].images[0].get_clim()
    assert low < high


def test_rejects_nothing_to_draw(make_heart: MakeHeart) -> None:
    with pytest.raises(ValueError, match="at least one case and one slice, got 0 and 8"):
        overlay_figure([])
    with pytest.raises(ValueError, match="got 1 and 0"):
        overlay_figure([make_heart("patient001_frame01", "ED")], max_slices=0)


def test_rejects_arrays_of_different_shape(make_heart: MakeHeart) -> None:
    case = make_heart("patient001_frame01", "ED")
    with pytest.raises(ValueError, match=r"patient001_frame01: expected one shape .* reference \(3, 104, 90\)"):
        replace(case, reference=case.reference[:3])
