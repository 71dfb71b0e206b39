"""Which structure surrounds which."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from nnunet_cardiac.datasets.anatomy import check_enclosure, contact_counts

VALUES = {"RV": 1, "MYO": 2, "LV": 3}


def test_contacts_by_hand():
    labels = np.array([[[0, 0, 0, 0], [2, 3, 3, 0], [0, 1, 2, 0]]])
    # Columns: RV, MYO, LV, background.
    np.testing.assert_array_equal(
        contact_counts(labels, [1, 2, 3]),
        [
            [0, 1, 1, 1],
            [1, 0, 2, 3],
            [1, 2, 0, 3],
        ],
    )


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_every_wrong_order_is_found_and_named(make, order):
    labels = make.heart()
    named = dict(zip(("RV", "MYO", "LV"), order, strict=True))
    found = check_enclosure(labels, named)
    if order == (1, 2, 3):
        assert found.share == 1.0
        assert not found.better
    else:
        truth = {value: name for name, value in VALUES.items()}
        assert found.better == {name: truth[value] for name, value in named.items()}
        assert found.better_share == 1.0


def test_two_structures(make):
    labels = make.heart({"MYO": 1, "LV": 2})
    assert check_enclosure(labels, {"MYO": 1, "LV": 2}).share == 1.0
    assert check_enclosure(labels, {"MYO": 2, "LV": 1}).better == {"MYO": "LV", "LV": "MYO"}


def test_an_infarct_is_part_of_the_wall(make):
    """All of the wall is scar: the ring must not look open."""
    labels = make.heart({"MYO": 3, "LV": 2})
    labels[0, 0, 0] = 1
    assert check_enclosure(labels, {"MYO": 1, "LV": 2, "infarct": 3}).share == 1.0


def test_no_evidence_is_no_verdict(make):
    for labels in (np.zeros((2, 9, 9), np.uint8), np.pad(np.full((1, 2, 2), 3), ((0, 0), (4, 4), (4, 4)))):
        found = check_enclosure(labels, VALUES)
        assert np.isnan(found.share)
        assert not found.better
    assert np.isnan(check_enclosure(make.heart(), {"LA": 1}).share)
