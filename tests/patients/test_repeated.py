"""Patients who share an image, gathered into groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nnunet_cardiac.files import write_json
from nnunet_cardiac.patients.cohort import read_patients
from nnunet_cardiac.patients.fold_file import fold_warnings
from nnunet_cardiac.patients.repeated import members, patient_groups, read_pairs, shown_groups, write_pairs

PATIENTS = {"a_ED": "a", "a_ES": "a", "b_ED": "b", "c_ED": "c", "d_ED": "d", "e_ED": "e"}


def test_a_chain_is_one_group() -> None:
    groups = patient_groups([("d_ED", "c_ED"), ("a_ES", "d_ED"), ("a_ED", "a_ES"), ("b_ED", "gone")], PATIENTS)
    assert groups == {"a": "a", "c": "a", "d": "a"}
    assert members(groups) == [["a", "c", "d"]]
    assert shown_groups(groups | {"b": "b", "e": "b"}) == "a, c and d; b and e"
    assert patient_groups([("a_ED", "a_ES")], PATIENTS) == {}


@given(pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20))
def test_groups_are_connected_components(pairs: list[tuple[int, int]]) -> None:
    names = [f"p{n:02d}" for n in range(12)]
    groups = patient_groups([(names[a], names[b]) for a, b in pairs], {name: name for name in names})
    rows, columns = ([pair[i] for pair in pairs] for i in (0, 1))
    _, component = connected_components(coo_array(([1] * len(pairs), (rows, columns)), shape=(12, 12)))
    expected = {frozenset(n for n, c in zip(names, component, strict=True) if c == own) for own in set(component)}
    assert {frozenset(own) for own in members(groups)} == {own for own in expected if len(own) > 1}


def test_a_note_holds_as_long_as_the_files_are_the_same(tmp_path: Path) -> None:
    files = {"a.nii.gz": [5, 100], "b.nii.gz": [6, 200]}
    assert read_pairs(tmp_path) is None
    write_pairs(tmp_path, [("a", "b")], files)
    assert read_pairs(tmp_path) == [("a", "b")]
    assert read_pairs(tmp_path, files) == [("a", "b")]
    for other in ({**files, "b.nii.gz": [6, 201]}, {"a.nii.gz": [5, 100]}, {**files, "c.nii.gz": [1, 1]}):
        assert read_pairs(tmp_path, other) is None


@pytest.mark.parametrize("text", ["", "[]", '{"pairs": [["a"]]}', '{"pairs": 3}', "no JSON"])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "repeated_images.json").write_text(text)
    assert read_pairs(tmp_path) is None


def test_existing_folds_with_one_image_on_both_sides_are_a_warning(tmp_path: Path) -> None:
    cohort = read_patients(["p1_ED", "p2_ED", "p3_ED"])
    folds = [{"train": ["p2_ED", "p3_ED"], "val": ["p1_ED"]}, {"train": ["p1_ED"], "val": ["p2_ED", "p3_ED"]}]
    write_json(tmp_path / "splits_final.json", folds)
    assert list(fold_warnings(tmp_path, cohort)) == []
    write_pairs(tmp_path, [("p2_ED", "p3_ED")], {})
    assert list(fold_warnings(tmp_path, cohort)) == []
    write_pairs(tmp_path, [("p1_ED", "p3_ED")], {})
    (warning,) = fold_warnings(tmp_path, cohort)
    assert "p1 and p3 show the same images and are on both sides of a fold" in warning
