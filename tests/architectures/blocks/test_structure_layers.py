"""Pretrained weights for other structures, by nnU-Net's own function, and weights of earlier versions."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from torch import nn

from nnunet_cardiac.architectures import (
    ClassifierGuidedNet,
    DilatedResidualUNet,
    E2AUNet,
    GCAMLocaliser,
    HALSRNet,
    JointDilatedResidualUNet,
    ROIRegressor,
)
from nnunet_cardiac.architectures.ops.structure_layers import of_structures
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse

MARK = ".seg_layers."


def crop(structures: int, name: str, pass_coarse: bool = True, **kwargs: object) -> CropFromCoarse:
    path = f"nnunet_cardiac.architectures.{name}"
    return CropFromCoarse(
        1 + structures, structures + 1, network_class_name=path, network_kwargs=kwargs, pass_coarse=pass_coarse
    )


#: Network for a number of structures -> what of it depends on that number.
NETWORKS: dict[str, tuple[Callable[[int], nn.Module], set[str]]] = {
    "e2a": (lambda k: E2AUNet(1, k + 1, features=(4, 6)), {"head"}),
    "specialists": (
        lambda k: crop(k, "specialists.SpecialistNetworks", base_width=2),
        {f"inner.couple.{level}" for level in range(5)},
    ),
    "uncoupled": (lambda k: crop(k, "specialists.SpecialistNetworks", base_width=2, mode="uncoupled"), set()),
    "single": (
        lambda k: crop(k, "specialists.SpecialistNetworks", base_width=2, mode="single"),
        {"inner.stem.0", "inner.head"},
    ),
    "halsr": (lambda k: HALSRNet(1, k + 1, features=(16, 32)), {"head", "reconstruction.classify"}),
    "halsr crop": (
        lambda k: crop(k, "halsr_net.HALSRNet", False, features=(16, 32)),
        {"inner.head", "inner.reconstruction.classify"},
    ),
    "roi": (lambda k: ROIRegressor(1, k + 1, features=(2, 2, 2, 2), hidden=16, grid=2), set()),
    "guided": (
        lambda k: ClassifierGuidedNet(1, k + 1, features=(8, 8), hidden=4),
        {"seg.head", "ref.head", "ref.encoder.0.0.conv", "classifier.3"},
    ),
    "dr-unet": (lambda k: DilatedResidualUNet(1, k + 1, filters=2), {"head"}),
    "joint": (lambda k: JointDilatedResidualUNet(1, k + 1, coarse_filters=2, filters=2), {"coarse.head", "fine.head"}),
    "localiser": (lambda k: GCAMLocaliser(1, k + 1, filters=2), {"network.head"}),
}


def save(network: nn.Module, folder: Path, old: bool = False) -> str:
    """Checkpoint as nnU-Net writes it, or as it was before layers were marked."""
    weights = {key.replace(MARK, ".") if old else key: value for key, value in network.state_dict().items()}
    torch.save({"network_weights": weights}, folder / "checkpoint.pth")
    return str(folder / "checkpoint.pth")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_pretrained_weights_fit_other_structures(name: str, old: bool, tmp_path: Path) -> None:
    make, fresh = NETWORKS[name]
    given = make(3)
    for taken in (make(2), make(4), make(3)):
        before = {key: value.clone() for key, value in taken.named_parameters()}
        load_pretrained_weights(taken, save(given, tmp_path, old))
        source = dict(given.named_parameters())
        for key, value in taken.named_parameters():
            own = any(key.startswith(f"{part}.") for part in fresh)
            assert torch.equal(value, before[key] if own else source[key]), key


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_earlier_versions_load_strictly(name: str) -> None:
    make, marked = NETWORKS[name]
    given = make(3)
    assert {key.split(MARK)[0] for key in given.state_dict() if MARK in key} == marked
    old = {key.replace(MARK, "."): value for key, value in given.state_dict().items()}
    assert set(old) == {*dict(given.named_parameters()), *dict(given.named_buffers())}
    for weights in (old, given.state_dict()):
        taken = make(3)
        taken.load_state_dict(weights)
        for (key, value), other in zip(given.named_parameters(), taken.parameters(), strict=True):
            assert torch.equal(value, other), key


def test_marks_survive_copies_pickles_and_the_compiler() -> None:
    network = E2AUNet(1, 3, features=(4, 6))
    keys = list(network.state_dict())
    assert "head.seg_layers.weight" in keys
    assert "head.weight" not in keys
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert list(other.state_dict()) == keys
        nn.init.zeros_(other.head.weight)
        other.load_state_dict(network.state_dict())
        assert torch.equal(other.head.weight, network.head.weight)
        assert network.head.weight.abs().sum() > 0
    compiled = torch.compile(network, backend="eager")
    assert list(compiled.state_dict()) == [f"_orig_mod.{key}" for key in keys]
    assert list(compiled._orig_mod.state_dict()) == keys


def test_a_missing_or_a_foreign_weight_is_still_refused() -> None:
    layer = nn.Sequential(of_structures(nn.Linear(2, 3)))
    with pytest.raises(RuntimeError, match=r"Missing key.*0\.bias"):
        layer.load_state_dict({"0.seg_layers.weight": torch.zeros(3, 2)})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*0\.other"):
        layer.load_state_dict({**layer.state_dict(), "0.seg_layers.other": torch.zeros(1)})
