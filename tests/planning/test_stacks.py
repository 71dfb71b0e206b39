"""The entry for whole stacks."""

from __future__ import annotations

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.stacks import stack_configuration
from nnunet_cardiac.systems.kinds import Network


def test_patches_cover_the_longest_stack_on_the_papers_grid_and_are_predicted_as_trained() -> None:
    entry = stack_configuration(
        Network("a.Net", {"ref": True}), [(10, 200, 256), (18, 216, 240)], (1.5, 1.5), "Plans_2d_stack"
    )
    # 216 and 256 pixels of 1.5 mm are 249.2 and 295.4 of 1.3 mm: more than a training patch
    assert entry["spacing"] == [1.3, 1.3]
    assert entry["patch_size"] == entry["training_patch_size"] == [24, 192, 192]
    assert entry["architecture"]["arch_kwargs"] == {"ref": True}
    assert entry["data_identifier"] == "Plans_2d_stack"
    assert entry["previous_stage"] is None


def test_small_images_get_small_patches_and_long_stacks_long_ones() -> None:
    entry = stack_configuration(Network("a.Net"), [(40, 96, 80)], (1.3, 1.3), "x")
    assert entry["patch_size"] == [50, 128, 112]
    assert entry["training_patch_size"] == [50, 96, 80]


def test_training_on_windows_leaves_prediction_on_whole_stacks() -> None:
    entry = stack_configuration(Network("a.Net"), [(12, 96, 96)], (1.3, 1.3), "x", training_slices=5)
    assert entry["training_patch_size"] == [5, 96, 96]
    assert entry["patch_size"] == [24, 128, 128]


def test_volumes_are_refused() -> None:
    with pytest.raises(UserError, match=r"88 slices.*first axis is not the slice axis.*DRUNetTrainer"):
        stack_configuration(Network("a.Net"), [(10, 96, 96), (88, 96, 96)], (1.0, 1.0), "x")


def test_another_grid_is_taken_for_pixel_and_patch() -> None:
    entry = stack_configuration(Network("a.Net"), [(12, 96, 96)], (1.8, 1.8), "x", pixel_mm=1.8)
    assert entry["spacing"] == [1.8, 1.8]
    assert entry["training_patch_size"] == [24, 96, 96]
