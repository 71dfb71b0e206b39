"""CroCNet: E-2A U-Net on whole slices, then specialist networks on the window around the heart.

Khan, Asad, Benning, Roney and Slabaugh, "Crop and Couple: cardiac image segmentation using interlinked specialist
networks", ISBI 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.systems import TRAINERS, TrainerFacts, is_of_a_system
from nnunet_cardiac.systems.crocnet import SPECIALISTS, TRAINER
from nnunet_cardiac.trainers.crop import CropTrainer
from nnunet_cardiac.trainers.recipe.augmentation import crocnet_transforms


class CroCNetTrainer(CropTrainer):
    """Train both stages of CroCNet.

    Configuration `2d` trains `E2AUNet`, `2d_crop` trains `SpecialistNetworks` (section 3.3), `2d_crop_uncoupled` and
    `2d_crop_single` its ablations (Table 2). Plans that name a network of this package train that one instead.
    """

    facts: ClassVar[TrainerFacts] = TRAINERS[TRAINER]
    segmenter: ClassVar[str] = SPECIALISTS

    @classmethod
    def complete_architecture(cls, kwargs: dict[str, Any], configuration_manager: ConfigurationManager) -> None:
        """Fill in the size at which attention is calibrated, too: that of the training patch."""
        super().complete_architecture(kwargs, configuration_manager)
        named = configuration_manager.network_arch_class_name
        if configuration_manager.previous_stage_name is None:
            if is_of_a_system(named) and named != cls.facts.network:
                return  # the plans name a network of another system
            kwargs.setdefault("reference_size", list(configuration_manager.patch_size))
        elif kwargs["network_class_name"] == cls.segmenter:
            window = kwargs.get("window", RegionRule().window)
            kwargs["network_kwargs"] = {"reference_size": list(window), **kwargs.get("network_kwargs", {})}

    def paper_transforms(self, patch_size: Sequence[int], mirror_axes: Sequence[int]) -> BasicTransform:
        """Build the augmentation of section 4.2."""
        return crocnet_transforms(patch_size, mirror_axes)

    @property
    def background_is_output(self) -> bool:
        """The first stage has a fourth sigmoid for the background (section 3.1); the specialists have none."""
        return not self.crops
