"""How nnU-Net 2.8 lays out a U-Net for a patch: the numbers of its planner and what they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

#: Numbers of `ExperimentPlanner.__init__`, which can only be had with a data set; tests compare with the planner.
FIRST_WIDTH, SHORTEST_SIDE, NO_LIMIT = 32, 4, 999999
#: Axes -> largest width.
LARGEST_WIDTH = {2: 512, 3: 320}


@dataclass(frozen=True)
class Topology:
    """Layout of a U-Net.

    Attributes:
        strides: Of each stage and axis.
        kernels: Of each stage and axis.
        patch: The patch, its sides rounded up to multiples of the divisor.
        divisor: What the sides have to be multiples of.
    """

    strides: list[list[int]]
    kernels: list[list[int]]
    patch: tuple[int, ...]
    divisor: tuple[int, ...]

    def widths(self, factor: float = 1.0) -> list[int]:
        """Return the features of each stage, times a factor."""
        largest = int(LARGEST_WIDTH[len(self.patch)] * factor)
        return [min(int(FIRST_WIDTH * factor) * 2**stage, largest) for stage in range(len(self.strides))]


def topology_for(spacing: Sequence[float], patch: Sequence[int]) -> Topology:
    """Return the layout that nnU-Net's planner derives.

    Args:
        spacing: In mm, (y, x) or (z, y, x).
        patch: In pixels or voxels, in the same order.
    """
    _, strides, kernels, sides, divisor = get_pool_and_conv_props(spacing, patch, SHORTEST_SIDE, NO_LIMIT)
    return Topology(_integers(strides), _integers(kernels), tuple(map(int, sides)), tuple(map(int, divisor)))


def _integers(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Plain numbers, as JSON takes them."""
    return [[int(n) for n in row] for row in rows]
