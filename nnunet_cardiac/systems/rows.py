"""Rows of the accuracy table: the stages that each trains.

A row whose last stage differs from another one by switches of the network gets a configuration of its own in the plans,
copied from the planned one, so that both share the stages before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_cardiac.systems.kinds import Network


@dataclass(frozen=True)
class RowStage:
    """One network of a row.

    Attributes:
        configuration: Its name in the plans.
        like: Planned configuration that it is a copy of; None means that it is planned itself.
        network: The network and its switches, where they differ from the planned ones.
        localises: Whether it only says where the heart is: it keeps a recipe of its own.
        pool_z: Whether the slice axis is pooled, too ("Keep Z" off).
        samples: Multiple of the budget's samples, or minutes.
    """

    configuration: str
    like: str | None = None
    network: Network | None = None
    localises: bool = False
    pool_z: bool = False
    samples: float = 1.0

    @property
    def planned(self) -> str:
        """Configuration that `plan` or nnU-Net's planner makes."""
        return self.like or self.configuration


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: Name in the table.
        trainer: Trainer of all its stages.
        stages: First stage first.
        base: nnU-Net's configurations that are preprocessed for it.
        planner: nnU-Net's planner.
        plans: Name of the plans that this planner writes.
        largest_component: Whether everything outside the largest component of the foreground is removed.
    """

    title: str
    trainer: str
    stages: tuple[RowStage, ...]
    base: tuple[str, ...] = ("2d",)
    planner: str = "ExperimentPlanner"
    plans: str = "nnUNetPlans"
    largest_component: bool = False
