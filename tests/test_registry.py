"""Anatomies are found by name, and wrong label tables are explained."""

from __future__ import annotations

import pytest

from nnunet_cardiac.anatomy import anatomy_labels, canonical_anatomy
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "RV": 1, "MYO": 2, "LV": 3},  # ACDC
        {"background": 0, "LV": 1, "MYO": 2, "RV": 3},  # M&Ms
        {"background": 0, "right ventricle": 1, "Left-Ventricular_Myocardium": 2, "LV cavity": 3},
        {"background": 0, "rv": 1, "myo": 2, "lv": 3, "ignore": 4},
    ],
)
def test_order_and_spelling_do_not_matter(labels: dict[str, int]) -> None:
    found = anatomy_labels(labels, ("LV", "MYO", "RV"))
    assert {canonical_anatomy(name): value for name, value in labels.items() if 0 < value < 4} == found


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"background": 0, "RV": 1, "LV": 2}, "do not name MYO"),
        ({"background": 0, "RV": 1, "MYO": 2, "LV": 4}, r"\[0, 1, 2, 4\] have gaps"),
        ({"background": 0, "RV": 1, "MYO": 2, "LV": 2}, "gaps or repeat"),
        ({"background": 0, "RV": 1, "MYO": 2, "lesion": 3}, "'lesion' is no known anatomy; expected one of LV, MYO"),
        ({"background": 0, "RV": 1, "right ventricle": 2, "LV": 3}, "RV is named twice"),
        ({"background": 0, "heart": [1, 2], "LV": 1}, r"'heart' is \[1, 2\].* Region labels .* are not supported"),
        ({"background": 0, "RV": 1, "ignore": 2, "MYO": 3, "LV": 4}, "'ignore' is 2, and the highest value is 4"),
        ({"ignore": 0, "RV": 1, "MYO": 2, "LV": 3}, "'ignore' is 0, and the highest value is 3"),
    ],
)
def test_wrong_labels_are_explained(labels: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        anatomy_labels(labels, ("LV", "MYO", "RV"))


def test_each_trainer_is_named_as_it_is_registered() -> None:
    assert all(name == facts.name for name, facts in TRAINERS.items())
