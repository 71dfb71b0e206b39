"""CroCNet: E-2A U-Net on whole slices, then specialist networks on the window around the heart.

Khan, Asad, Benning, Roney and Slabaugh, "Crop and Couple: cardiac image segmentation using interlinked specialist
networks", ISBI 2024.
"""

from __future__ import annotations

from typing import ClassVar

from nnunet_cardiac.recipes import CROCNET, Recipe
from nnunet_cardiac.registry import TRAINERS
from nnunet_cardiac.trainers.crop import CropTrainer


class CroCNetTrainer(CropTrainer):
    """Train both stages of CroCNet.

    Configuration `2d` trains `E2AUNet`, `2d_crop` trains `SpecialistNetworks` (section 3.3), `2d_crop_uncoupled` and
    `2d_crop_single` its ablations (Table 2). Plans that name a network of this package train that one instead.
    """

    recipe: ClassVar[Recipe] = CROCNET
    required_anatomies: ClassVar[tuple[str, ...]] = TRAINERS["CroCNetTrainer"].anatomies
    coarse_network: ClassVar[str] = "nnunet_cardiac.architectures.e2a_unet.E2AUNet"
    segmenter: ClassVar[str] = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"

    @property
    def background_is_output(self) -> bool:
        """The first stage has a fourth sigmoid for the background (section 3.1); the specialists have none."""
        return not self.crops
