import numpy as np

from nnunet_cardiac.boxes import bounding_slices


def test_bounding_slices() -> None:
    mask = np.zeros((4, 5, 6), bool)
    assert mask[bounding_slices(mask)].size == 0
    mask[1, 2, 3] = mask[2, 2, 5] = True
    assert bounding_slices(mask) == (slice(1, 3), slice(2, 3), slice(3, 6))
