"""A module of networks small enough to see through, importable by dotted path."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import nn


class PointwiseNetwork(nn.Module):
    """A 1 x 1 convolution: what it says of a voxel depends on that voxel only, so a crop must not change it."""

    conv_type: type[nn.Module] = nn.Conv2d

    def __init__(self, input_channels: int, num_classes: int, deep_supervision: bool = False) -> None:
        super().__init__()
        self.conv = self.conv_type(input_channels, num_classes, 1)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape))
        return self.conv(x)


class PointwiseNetwork3d(PointwiseNetwork):
    """The same for volumes."""

    conv_type = nn.Conv3d


@pytest.fixture
def toy_networks(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module that holds the toy networks."""
    module = ModuleType("toy_networks")
    module.PointwiseNetwork = PointwiseNetwork
    module.PointwiseNetwork3d = PointwiseNetwork3d
    monkeypatch.setitem(sys.modules, "toy_networks", module)
    return "toy_networks"
