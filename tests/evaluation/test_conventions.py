import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.conventions import check_anatomy, check_overlap, check_same_order, describe_order
from nnunet_cardiac.evaluation.plausibility import contacts

ACDC = {"RV": 1, "MYO": 2, "LV": 3}
MNMS = {"LV": 1, "MYO": 2, "RV": 3}
CORSEG = {"MYO": 1, "LV": 2, "RV": 3}


def heart(labels: dict[str, int]) -> np.ndarray:
    y, x = np.mgrid[:40, :40]
    plane = np.zeros((40, 40), np.uint8)
    plane[np.hypot(y - 20, x - 10) < 9] = labels["RV"]
    plane[np.hypot(y - 20, x - 22) < 11] = labels["MYO"]
    plane[np.hypot(y - 20, x - 22) < 7] = labels["LV"]
    return plane[None]


def confusion(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    found = np.zeros((4, 4), int)
    np.add.at(found, (reference, prediction), 1)
    return found


def test_orders_have_names() -> None:
    assert describe_order({"background": 0, **MNMS}) == "M&Ms order (1 LV, 2 MYO, 3 RV)"
    assert describe_order({"MYO": 1, "scar": 2}) == "(1 MYO, 2 scar)"


@pytest.mark.parametrize("other", [MNMS, CORSEG])
def test_exchanged_predictions_are_named(other: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"numbered in (M&Ms|CorSeg) order .* references in ACDC order") as error:
        check_overlap("pred", confusion(heart(ACDC), np.roll(heart(other), 1, 2)), ACDC)
    assert f"--prediction-labels {' '.join(f'{n}={other[n]}' for n in ACDC)}" in str(error.value)


def test_poor_or_empty_predictions_are_no_exchange() -> None:
    for prediction in (np.roll(heart(ACDC), 12, 1), np.zeros_like(heart(ACDC)), np.where(heart(ACDC) == 3, 1, 0)):
        check_overlap("pred", confusion(heart(ACDC), prediction), ACDC)


@pytest.mark.parametrize(("true", "read"), [(MNMS, ACDC), (ACDC, MNMS), (CORSEG, ACDC), (ACDC, CORSEG)])
def test_anatomy_tells_the_order_of_the_references(true: dict[str, int], read: dict[str, int]) -> None:
    check_anatomy("gt", contacts(heart(true), 4), true)
    name = {1: "ACDC", 2: "M&Ms", 3: "CorSeg"}[[ACDC, MNMS, CORSEG].index(true) + 1]
    with pytest.raises(UserError, match=f"files look like {name} order"):
        check_anatomy("gt", contacts(heart(true), 4), read)


def test_names_of_dataset_json() -> None:
    check_same_order(("gt", "pred"), (ACDC, {"MYO": 2, "LV": 3}))
    with pytest.raises(UserError, match=r"pred numbers the structures in M&Ms order .* but gt in ACDC order"):
        check_same_order(("gt", "pred"), (ACDC, MNMS))
