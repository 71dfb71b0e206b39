"""What is said of a data set whose images are stored in one way, in several, or in none that is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, Way
from nnunet_cardiac.images.stored_ways import stored_ways

#: Columns: axes of a short-axis stack as a scanner stores it, towards left, posterior, superior.
SHORT_AXIS = np.array([[0.77, -0.15, -0.62], [0.62, 0.41, 0.67], [0.16, -0.9, 0.41]])
AXIAL = np.eye(3)


def header(
    direction: NDArray[np.float64] = SHORT_AXIS,
    oriented: bool = True,
    size: tuple[int, ...] = (200, 180, 10),
    spacing: tuple[float, ...] = (1.4, 1.4, 8.0),
) -> Header:
    left, _, right = np.linalg.svd(direction)
    return Header(size, spacing, (3.0, 4.0, 5.0), tuple((left @ right).ravel().tolist()), 1, oriented)


def test_one_way_is_nothing_to_speak_of() -> None:
    found = stored_ways({"a": header(), "b": header()})

    assert found.counts == {"+x +y +z": 2}
    assert found.one_way
    assert not list(found.sentences())


def test_several_ways_are_counted_and_named() -> None:
    flipped, first = Way.of("-x +y -z"), Way.of("+z +x +y")
    found = stored_ways(
        {
            "a": flipped.moved(header()),
            "b": header(),
            "c": header(),
            "d": first.moved(header()),
        }
    )

    assert found.counts == {"+x +y +z": 2, "-x +y -z": 1, first.inverse.code: 1}
    assert found.names["+x +y +z"] == ("b", "c")
    assert not found.one_way
    (sentence,) = found.sentences()
    assert "in 3 ways: 2 +x +y +z, which is canonical, (first b); 1 -x +y -z (first a)" in sentence
    assert "nnunet_cardiac convert generic" in sentence


def test_images_without_a_direction() -> None:
    some = stored_ways({"a": header(), "b": header(oriented=False)})
    none = stored_ways({"a": header(oriented=False), "b": header(oriented=False)})

    assert [some.total, none.total] == [2, 2]
    assert not some.one_way
    assert not none.one_way
    assert "1 of 2 training images (first b) do not say" in next(some.sentences())
    assert "None of the 2 training images says" in next(none.sentences())


@pytest.mark.parametrize("turned", ["+x +y +z", "-x -y +z"])
def test_directions_that_a_program_lost(turned: str) -> None:
    """ACDC's archive has the matrix diag(-1, -1, 1), others have the unit matrix; both are parallel to the body."""
    lost = Way.of(turned).moved(header(AXIAL))

    (sentence,) = stored_ways({"a": lost, "b": lost}).sentences()

    assert "It cannot be known how the images lie" in sentence
    assert stored_ways({"a": lost, "b": header()}).lost is False  # some headers are true


@pytest.mark.parametrize(("size", "spacing"), [((120, 120, 90), (1.25, 1.25, 1.25)), ((256, 256, 40), (1.4, 1.4, 5.0))])
def test_axial_images_are_parallel_to_the_body(size: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    assert not list(stored_ways({"a": header(AXIAL, size=size, spacing=spacing)}).sentences())


def test_no_image() -> None:
    found = stored_ways({})

    assert found.counts == {}
    assert not found.lost
    assert not list(found.sentences())
    assert IDENTITY.code not in found.names
