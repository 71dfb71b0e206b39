"""nnU-Net compiles networks on a GPU: compiled ones do what they do without, forward, backward and to their statistics.

All networks are compiled here but one, also those that our trainers leave alone because they find boxes in a stack
(`_do_i_compile`): plans may name them for any configuration. The classifier-guided network is left out: sizes inside it
depend on the data, and its trainer, the only one that gives it what it needs, never compiles.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import nn

from nnunet_cardiac.architectures import (
    DilatedResidualUNet,
    E2AUNet,
    GCAMLocaliser,
    HALSRNet,
    JointDilatedResidualUNet,
    ROIRegressor,
    SpecialistNetworks,
)
from nnunet_cardiac.trainers.classifier_guided import ClassifierGuidedTrainer

SLICES, VOLUME = (2, 1, 32, 32), (2, 1, 3, 16, 16)
SAVING = {"filters": 2, "checkpointing": True}

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "dr-unet, checkpointing": (lambda: DilatedResidualUNet(1, 4, **SAVING), VOLUME),
    "dr-unet": (lambda: DilatedResidualUNet(1, 4, filters=2), VOLUME),
    "dr-unet, clahe": (lambda: DilatedResidualUNet(1, 4, filters=2, clahe=True), VOLUME),
    "joint": (lambda: JointDilatedResidualUNet(1, 4, coarse_filters=2, filters=2), VOLUME),
    "joint, checkpointing": (lambda: JointDilatedResidualUNet(1, 4, coarse_filters=2, **SAVING), VOLUME),
    "localiser": (lambda: GCAMLocaliser(1, 4, filters=2), VOLUME),
    "localiser, checkpointing": (lambda: GCAMLocaliser(1, 4, **SAVING), VOLUME),
    "e2a": (lambda: E2AUNet(1, 4, features=(4, 6)), SLICES),
    "coupled": (lambda: SpecialistNetworks(3, 3, base_width=4), (2, 3, 32, 32)),
    "uncoupled": (lambda: SpecialistNetworks(3, 3, mode="uncoupled", base_width=4), (2, 3, 32, 32)),
    "single": (lambda: SpecialistNetworks(3, 3, mode="single", base_width=4), (2, 3, 32, 32)),
    "halsr": (lambda: HALSRNet(1, 3, features=(16, 32)), SLICES),
    "halsr, half": (lambda: HALSRNet(1, 3, preset="half", features=(16, 32)), SLICES),
    "roi": (lambda: ROIRegressor(1, 3, features=(2, 2, 2, 2), hidden=16, grid=2), SLICES),
}
FAST = "dr-unet, checkpointing"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let no test use what another one compiled."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def tensors(output: Any) -> list[torch.Tensor]:
    """Tensors of an output that may be one, a list, or the outputs of several stages."""
    if isinstance(output, torch.Tensor):
        return [output]
    return [tensor for part in output if part is not None for tensor in tensors(part)]


def run(network: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(1)  # dropout
    outputs = [output for output in tensors(network(x)) if output.is_floating_point()]
    if any(output.requires_grad for output in outputs):
        sum(output.square().mean() for output in outputs).backward()
    return outputs


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "name", [name if name == FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_compiled_networks_do_what_they_do_without(name: str, training: bool) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network, x = make().train(training), torch.randn(shape)
    twin = copy.deepcopy(network)
    compiled = torch.compile(network, backend="aot_eager")
    for found, wanted in zip(run(compiled, x), run(twin, x), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for (key, found), wanted in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert (found.grad is None) == (wanted.grad is None), key
        if wanted.grad is not None:
            torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-3, atol=1e-6, msg=lambda m, k=key: f"{k}: {m}")
    torch.testing.assert_close(dict(network.named_buffers()), dict(twin.named_buffers()), rtol=1e-4, atol=1e-5)


def test_what_is_left_out_is_never_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_compile", "t")
    trainer = ClassifierGuidedTrainer.__new__(ClassifierGuidedTrainer)
    trainer.device = torch.device("cuda", 0)
    assert not trainer._do_i_compile()
