"""nnU-Net's networks for another patch: what its own planner would say."""

from __future__ import annotations

import pytest

from nnunet_cardiac.benchmark.accuracy.fitted_networks import fitted, switched, with_pooled_slices
from nnunet_cardiac.benchmark.speed.networks_from_plans import stock_architecture
from nnunet_cardiac.planning.slice_crops import CROP_NETWORK
from nnunet_cardiac.systems.kinds import Network

ENTRY = {"patch_size": [256, 224], "spacing": [1.5, 1.5], "architecture": stock_architecture((256, 224))}


@pytest.mark.parametrize("side", [64, 128])
def test_a_smaller_patch_gets_the_planners_network(side) -> None:
    # `stock_architecture` is tested against nnU-Net's planner.
    found, planned = fitted(ENTRY, side, 1.0), stock_architecture((side, side))
    assert found["patch_size"] == [side, side]
    for name, value in planned["arch_kwargs"].items():
        given = found["architecture"]["arch_kwargs"][name]
        plain = [list(v) for v in value] if name in ("strides", "kernel_sizes") else value
        assert given == plain, name


def test_narrow_networks_and_what_stays() -> None:
    kwargs = fitted(ENTRY, 128, 0.5)["architecture"]["arch_kwargs"]
    assert kwargs["features_per_stage"] == [16, 32, 64, 128, 256, 256]  # the planner's 512 are halved, too
    assert fitted(ENTRY, None, 1.0) == ENTRY
    assert fitted(ENTRY, 256, 1.0) == ENTRY
    assert ENTRY["patch_size"] == [256, 224]


def test_volumes_keep_their_depth() -> None:
    own = {**ENTRY, "patch_size": [10, 256, 224], "spacing": [10.0, 1.5, 1.5]}
    found = fitted(own, 128, 1.0)
    assert found["patch_size"] == [10, 128, 128]
    strides = found["architecture"]["arch_kwargs"]["strides"]
    assert strides[1] == [1, 2, 2]  # slices are 10 mm apart
    assert max(found["architecture"]["arch_kwargs"]["features_per_stage"]) == 320


def test_switches_go_to_the_network_or_into_the_window() -> None:
    plain = switched({"architecture": Network("a.Net", {"width": 8}).to_plans()}, Network("a.Net", {"gates": False}))
    assert plain["architecture"]["arch_kwargs"] == {"width": 8, "gates": False}
    other = switched(ENTRY, Network("a.Net", {"gates": False}))  # whose own arguments mean nothing to it
    assert other["architecture"] == Network("a.Net", {"gates": False}).to_plans()
    crop = switched(
        {"architecture": Network(CROP_NETWORK, {"window": [64, 64]}).to_plans()}, Network("a.Net", {"gates": False})
    )
    assert crop["architecture"]["arch_kwargs"] == {
        "window": [64, 64],
        "network_class_name": "a.Net",
        "network_kwargs": {"gates": False},
    }


def test_pooled_slices_need_multiples_of_eight() -> None:
    crop = Network(CROP_NETWORK, {"window": [15, 88, 88], "multiple": [1, 8, 8]}).to_plans()
    found = with_pooled_slices({"patch_size": [12, 96, 96], "architecture": crop})
    assert found["architecture"]["arch_kwargs"] == {"window": [16, 88, 88], "multiple": [8, 8, 8]}
    assert found["patch_size"] == [16, 96, 96]
    assert crop["arch_kwargs"]["window"] == [15, 88, 88]
