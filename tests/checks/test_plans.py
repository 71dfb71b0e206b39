"""Plans files of other versions, and incomplete ones."""

import copy

import pytest

from nnunet_cardiac.checks.plans import check_patch_size, check_plans
from nnunet_cardiac.errors import UserError

PLANS = {
    "dataset_name": "Dataset027_ACDC",
    "configurations": {
        "2d": {"spacing": [1.5, 1.5], "patch_size": [256, 224], "architecture": {"arch_kwargs": {}}},
        "3d_fullres": {"spacing": [10, 1.5, 1.5], "architecture": {"arch_kwargs": {}}},
        "2d_crop": {"inherits_from": "2d", "patch_size": [18, 256, 224], "previous_stage": "2d"},
    },
}


def changed(configuration, **changes):
    plans = copy.deepcopy(PLANS)
    plans["configurations"].setdefault(configuration, {}).update(changes)
    return plans


def test_good_plans_pass_unchanged():
    plans = copy.deepcopy(PLANS)
    check_plans(plans, "plans.json")
    assert plans == PLANS


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        (
            {"num_stages": 2, "plans_per_stage": {}},
            r"num_stages, plans_per_stage; these are no plans of nnU-Net v2.*-d ID",
        ),
        ({"dataset_name": "x"}, "no 'configurations'; these are no plans of nnU-Net v2"),
        ({"configurations": {"3d_fullres": {}}}, "configurations 3d_fullres; expected 2d too"),
        (
            changed("2d", UNet_base_num_features=32),
            "2d has the keys UNet_base_num_features of nnU-Net before 2.5.*-d 27$",
        ),
        (changed("2d", spacing=[10, 1.5, 1.5]), r"2d has spacing \[10, 1.5, 1.5\]; expected 2 numbers"),
        (changed("3d_fullres", spacing=[1.5, 1.5]), r"3d_fullres has spacing \[1.5, 1.5\]; expected 3 numbers"),
        (changed("3d_lowres", spacing=[10, 3, 3]), "3d_lowres has no 'architecture'"),
        (changed("2d_crop", inherits_from="2D"), "2d_crop inherits from '2D', which does not exist"),
        (changed("2d", inherits_from="2d_crop"), "inherits from '2d', which inherits from itself"),
    ],
)
def test_bad_plans_are_refused_with_the_command_to_plan_again(plans, message):
    with pytest.raises(UserError, match=r"(?s)plans\.json: .*" + message.removesuffix("$")) as caught:
        check_plans(plans, "plans.json")
    assert "nnUNetv2_plan_and_preprocess -d " in str(caught.value)


def test_all_problems_are_listed():
    plans = changed("2d", spacing=[1], conv_kernel_sizes=[])
    with pytest.raises(UserError, match="plans: 3 problems found"):
        check_plans(plans, "plans.json")


def test_plans_made_by_the_installed_nnunet_have_the_keys_we_ask_for():
    """Guards against our list of keys drifting away from what nnU-Net reads."""
    import inspect

    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

    source = inspect.getsource(ConfigurationManager)
    for key in ("architecture", "spacing", "UNet_base_num_features", "conv_kernel_sizes"):
        assert f"'{key}'" in source or f'"{key}"' in source


def test_a_patch_that_the_network_cannot_take_is_refused_with_the_next_size():
    check_patch_size((64, 96), 16, "plans.json, configuration '2d'")
    with pytest.raises(UserError, match=r"plans.json, configuration '2d': patch_size is \[56, 64\].*to \[64, 64\]"):
        check_patch_size((56, 64), 16, "plans.json, configuration '2d'")


def test_a_network_for_volumes_has_a_divisor_for_each_axis():
    check_patch_size([5, 96, 64], (1, 8, 8), "plans.json")
    with pytest.raises(UserError, match=r"multiples of \[8, 8, 8\]. Change it to \[8, 96, 64\]"):
        check_patch_size([5, 96, 64], (8, 8, 8), "plans.json")
