"""The network of a trained configuration, with or without its trainer."""

from __future__ import annotations

from copy import deepcopy

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_cardiac.inference.trainer_lookup import find_trainer
from nnunet_cardiac.planning.shared_plans import RESOLVED
from nnunet_cardiac.systems import TRAINERS


def build_network(
    trainer: str, plans: PlansManager, configuration: ConfigurationManager, channels: int, heads: int
) -> nn.Module:
    """Build a network, weights not yet loaded.

    Trainers of this package write down what they trained, and importing a trainer takes longer than a prediction: it
    brings nnU-Net's training code, the compiler and plotting. Other trainers, and results of before, are asked.

    Args:
        trainer: Class name in the checkpoint.
        plans: Plans of the result folder.
        configuration: The trained configuration.
        channels: Input channels, coarse labels included.
        heads: Output channels.

    Raises:
        UserError: If the trainer is needed and not installed.
    """
    written = configuration.configuration.get(RESOLVED)
    if trainer.split("_")[0] in TRAINERS and written is not None:
        name, kwargs = written["network_class_name"], deepcopy(written["arch_kwargs"])
        return get_network_from_plans(name, kwargs, [], channels, heads, deep_supervision=False)
    return find_trainer(trainer).build_network_architecture(
        plans, configuration, channels, heads, enable_deep_supervision=False
    )
