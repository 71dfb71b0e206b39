"""3D DR-UNet: a small localiser on a coarse grid and a network on the window around the heart, or both end to end.

Vesal, Maier and Ravikumar, "Fully automated 3D cardiac MRI localisation and segmentation using deep neural networks",
Journal of Imaging 6 (2020) 65.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import nn

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.architectures.dilated_residual_unet import DilatedResidualUNet
from nnunet_cardiac.architectures.gcam_localiser import GCAMLocaliser
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.agreement import add_volume_agreement
from nnunet_cardiac.evaluation.localisation import add_localisation_report
from nnunet_cardiac.label_values import ignored_mask, structure_mask
from nnunet_cardiac.planning.volume_sizes import BASE, keeps_z
from nnunet_cardiac.systems import TRAINERS, TrainerFacts, is_of_a_system
from nnunet_cardiac.systems.dr_unet import DR_UNET, END_TO_END, GCAM_LOCALISER, JOINT_DR_UNET, TRAINER
from nnunet_cardiac.trainers.crop import CropTrainer
from nnunet_cardiac.trainers.recipe.losses import SummedLoss

_NETWORKS = (DR_UNET, GCAM_LOCALISER, JOINT_DR_UNET)


class DRUNetTrainer(CropTrainer):
    """Train the stages of the 3D DR-UNet.

    Configuration `3d_locate` trains the `GCAMLocaliser` on whole volumes of low resolution, `3d_crop` the
    `DilatedResidualUNet` on the window around the centroid of its map, `3d_fullres` the same network on nnU-Net's
    patches. Any structures will do. Plans that name a network of this package train that.
    """

    facts: ClassVar[TrainerFacts] = TRAINERS[TRAINER]
    segmenter: ClassVar[str] = DR_UNET
    pass_coarse: ClassVar[bool] = False

    def on_configured(self) -> None:
        """Refuse configurations of slices."""
        super().on_configured()
        if len(self.configuration_manager.spacing) != 3:
            raise UserError(
                f"{type(self).__name__} trains networks for volumes, and configuration "
                f"{self.configuration_name!r} is for slices. Train {BASE}, or plan others: {self.plan_command}"
            )

    # ---------------------------------------------------------------------------------------------------- networks

    @classmethod
    def complete_architecture(cls, kwargs: dict[str, Any], configuration_manager: ConfigurationManager) -> None:
        """Fill in whether pooling leaves the slice axis alone, too: as the spacing of the plans says."""
        super().complete_architecture(kwargs, configuration_manager)
        keep_z = keeps_z(configuration_manager.spacing)
        for arguments in (kwargs, kwargs.get("network_kwargs") or {}):
            if arguments.get("clahe") is True:  # what earlier versions did is for models that were trained with it
                arguments["clahe"] = "slice"
        if configuration_manager.previous_stage_name is not None:
            if kwargs["network_class_name"] in _NETWORKS:
                kwargs["network_kwargs"] = {"keep_z": keep_z, **kwargs.get("network_kwargs", {})}
            return
        name = configuration_manager.network_arch_class_name
        if name in _NETWORKS or not is_of_a_system(name):  # ours for volumes, or the default
            kwargs.setdefault("keep_z", keep_z)

    def initialize(self) -> None:
        """Build everything as nnU-Net does, and say so if the pooling does not suit the spacing."""
        super().initialize()
        steps = [module.step for module in self._bare_network.modules() if isinstance(module, DilatedResidualUNet)]
        own = self.configuration_manager.configuration
        spacing = self.plans_manager.plans["configurations"].get(BASE, own)["spacing"]
        if steps and (steps[0][0] == 1) != keeps_z(spacing):
            shown = " x ".join(f"{side:g}" for side in spacing)
            reason = "loses slices at the lower levels" if steps[0][0] > 1 else "sees little along the slice axis"
            self.print_to_log_file(
                f"WARNING: the plans say keep_z {steps[0][0] == 1}, but with a spacing of {shown} mm such a network "
                f"{reason}. Take the entry out to have it chosen by the spacing."
            )

    @property
    def locates(self) -> bool:
        """Whether this configuration exports an activation map instead of a segmentation."""
        return isinstance(self._bare_network, GCAMLocaliser)

    def _do_i_compile(self) -> bool:
        """Do not compile the localiser: it is small, and its map is made for prediction only."""
        return not self.locates and super()._do_i_compile()

    # -------------------------------------------------------------------------------------------------------- data

    @property
    def sees_stacks(self) -> bool:
        """Whether samples are stacks of slices that lie far apart."""
        return keeps_z(self.configuration_manager.spacing) or super().sees_stacks

    @property
    def places_samples(self) -> bool:
        """Whether this package says where a sample lies; the localiser sees whole volumes."""
        return self.locates or super().places_samples

    @property
    def may_be_mirrored(self) -> bool:
        """Whether prediction may average mirror images; the mean of thresholded maps is no map."""
        return not self.locates

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 nnU-Net's name
        self,
    ) -> tuple[Any, bool, Any, tuple[int, ...]]:
        """Load no more than the patch where nothing is rotated."""
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if self.recipe.augmentation == "paper":
            initial_patch_size = list(self.training_patch_size)
            self._sample_size = tuple(self.training_patch_size)
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    # -------------------------------------------------------------------------------------------------------- loop

    def train_step(self, batch: dict) -> dict:
        """Take a step of nnU-Net's; the localiser's target is the union of all structures."""
        return super().train_step(self._with_union(batch) if self.locates else batch)

    def validation_step(self, batch: dict) -> dict:
        """Take a step of nnU-Net's; the localiser is judged by its segmentation, not by its thresholded map."""
        network = self._bare_network
        if not isinstance(network, GCAMLocaliser):
            return super().validation_step(batch)
        with network.segmenting():
            return super().validation_step(self._with_union(batch))

    def _with_union(self, batch: dict) -> dict:
        """Replace the label map (B, 1, Z, Y, X) by the mask of all structures; ignored voxels keep their label."""
        target, ignore = batch["target"], self.label_manager.ignore_label
        union = structure_mask(target, ignore).to(target.dtype)
        return {**batch, "target": torch.where(ignored_mask(target, ignore), target, union)}

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does; add what the localiser misses, or how volumes agree, to summary and log."""
        super().perform_actual_validation(save_probabilities)
        if self.local_rank == 0:
            for name, line in self._reports().items():
                self.print_to_log_file(f"{name}: {line}")

    def _reports(self) -> dict[str, object]:
        validation = Path(self.output_folder) / "validation"
        references = Path(self.preprocessed_dataset_folder_base) / "gt_segmentations"
        ending = self.dataset_json["file_ending"]
        try:
            if self.locates:
                return self._localisation(validation, references, ending)
            labels = anatomy_labels(self.dataset_json["labels"])
            found = add_volume_agreement(validation, references, labels, ending, self.label_manager.ignore_label)
            return {f"Volume agreement, {name}": value for name, value in found.items()}
        except (UserError, ValueError) as error:  # after hours of training this is no reason to fail
            return {"Not computed": error}

    def _localisation(self, validation: Path, references: Path, ending: str) -> dict[str, object]:
        """What windows of the cropping configurations for volumes would miss."""
        followers = self.plans_manager.plans["configurations"][self.configuration_name].get("next_stage") or []
        reports: dict[str, object] = {}
        for name in [followers] if isinstance(followers, str) else followers:
            configuration = self.plans_manager.get_configuration(name)
            rule = RegionRule.from_plans(self._crop_kwargs(configuration))
            if len(rule.window) == 3:
                options = rule, configuration.spacing, ending, self.label_manager.ignore_label
                report = add_localisation_report(validation, references, *options)
                reports[f"Localisation for {name}"] = report
        return reports


class DRUNetEndToEndTrainer(DRUNetTrainer):
    """Train both networks of the 3D DR-UNet as one, with the sum of their losses.

    Configuration `3d_joint`, or `3d_fullres`, trains the `JointDilatedResidualUNet` on nnU-Net's patches.
    """

    facts: ClassVar[TrainerFacts] = TRAINERS[END_TO_END]

    def _build_loss(self) -> nn.Module:
        return SummedLoss(super()._build_loss())
