"""Two files of one body, brought into one storage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, Way
from nnunet_cardiac.images.same_body import way_onto


def header(turn: tuple[float, ...], oriented: bool = True) -> Header:
    direction = tuple(Rotation.from_quat(turn).as_matrix().ravel().tolist())
    return Header((20, 24, 9), (1.4, 1.3, 8.0), (3.0, -20.0, 7.0), direction, 1, oriented)


TURNS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)


@given(st.sampled_from(WAYS), st.sampled_from(WAYS), TURNS)
@settings(max_examples=200, deadline=None)
def test_any_storage_is_brought_onto_any_other(first: Way, second: Way, turn: tuple[float, ...]) -> None:
    one, two = first.moved(header(turn)), second.moved(header(turn))

    found = way_onto(one, two).moved(one)

    assert found.size == two.size
    assert found.spacing == two.spacing
    assert np.allclose(found.origin, two.origin, atol=1e-9)
    assert np.allclose(found.direction, two.direction, atol=1e-9)


@pytest.mark.parametrize("degrees", [0.1, 5.0, 20.0])
def test_small_turns_move_nothing(degrees: float) -> None:
    one = header((0.1, 0.2, 0.3, 0.9))
    turned = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0, 0.8])).as_matrix()
    two = replace(one, direction=tuple((turned @ np.reshape(one.direction, (3, 3))).ravel().tolist()))

    assert way_onto(one, two) == IDENTITY


@pytest.mark.parametrize("silent", [(True, False), (False, True)])
def test_files_that_say_nothing_stay(silent: tuple[bool, bool]) -> None:
    one = header((0, 0, 0, 1), silent[0])
    two = replace(WAYS[20].moved(header((0, 0, 0, 1))), oriented=silent[1])

    assert way_onto(one, two) == IDENTITY
