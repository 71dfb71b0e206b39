import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.ed_es import assign_phases


def test_larger_ventricle_is_end_diastole_even_if_its_frame_comes_later() -> None:
    volumes = {"patient001_frame12": 140.0, "patient001_frame01": 60.0, "patient001_frame06": 90.0}
    assert assign_phases(volumes) == {"patient001_frame12": "ED", "patient001_frame01": "ES", "patient001_frame06": ""}


def test_phases_in_names_are_taken_at_their_word() -> None:
    assert assign_phases({"a_ED": 40.0, "a_ES": 60.0}) == {"a_ED": "ED", "a_ES": "ES"}


def test_no_phase_without_two_frames_or_without_a_ventricle() -> None:
    volumes = {"patient001_frame01": 60.0, "patient002_frame01": 0.0, "patient002_frame09": 0.0}
    assert set(assign_phases(volumes).values()) == {""}


def test_equal_volumes_still_give_two_phases() -> None:
    assert assign_phases({"a_frame1": 5.0, "a_frame2": 5.0}) == {"a_frame1": "ED", "a_frame2": "ES"}


def test_table_of_frames_wins_for_the_patients_it_names() -> None:
    volumes = {"a_frame1": 50.0, "a_frame2": 60.0, "b_frame1": 50.0, "b_frame2": 60.0}
    phases = assign_phases(volumes, {"a": {"ED": 1, "ES": 2}})
    assert phases == {"a_frame1": "ED", "a_frame2": "ES", "b_frame1": "ES", "b_frame2": "ED"}


def test_table_of_frames_that_fits_no_case() -> None:
    with pytest.raises(UserError, match=r"a: the frame table names ED: 0, ES: 9, but the cases are a_frame1, a_frame2"):
        assign_phases({"a_frame1": 50.0, "a_frame2": 60.0}, {"a": {"ED": 0, "ES": 9}})
