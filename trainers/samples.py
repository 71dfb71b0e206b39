"""Samples that are what the network will predict on: their place, size and augmentation, and what is mirrored.

What a system needs is said by the properties; subclasses override them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_cardiac.cascade.placed import PlacedDataset
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers.recipe.augmentation import crop_transforms, flipped_axes, mild_transforms

#: Share of the parts of larger images that are drawn around a foreground voxel; nnU-Net's own.
_FOREGROUND_SHARE = 0.33


class TrainsOnWhatItPredicts(nnUNetTrainer):
    """nnU-Net's trainer with samples and mirroring that suit the network at prediction.

    Attributes:
        recipe: Says the augmentation, and whether prediction mirrors.
    """

    recipe: Recipe
    configuration_manager: ConfigurationManager

    # ------------------------------------------------------------------------------------------- what a system needs

    @property
    def training_patch_size(self) -> tuple[int, ...]:
        """Size of a training patch: that of the plans, or their `training_patch_size` if it is another."""
        configuration = self.configuration_manager.configuration
        return tuple(configuration.get("training_patch_size", self.configuration_manager.patch_size))

    @property
    def predicts_stacks(self) -> bool:
        """Whether a sample is a slice in training and a whole stack at prediction."""
        return len(self.training_patch_size) < len(self.configuration_manager.patch_size)

    @property
    def sees_stacks(self) -> bool:
        """Whether samples are slices in training and stacks at prediction, or stacks in both."""
        return self.predicts_stacks

    @property
    def places_samples(self) -> bool:
        """Whether this package says where a sample lies; else nnU-Net's loader draws a patch."""
        return False

    @property
    def shrinks_samples(self) -> bool:
        """Whether a network that sees whole slices gets those larger than its patch shrunk, instead of a part."""
        return False

    @property
    def may_be_mirrored(self) -> bool:
        """Whether the mean over mirror images of the network's output means something; of boxes it does not."""
        return True

    # ----------------------------------------------------------------------------------------------------- augmentation

    def get_training_transforms(
        self,
        patch_size: np.ndarray | tuple[int, ...],
        rotation_for_DA: Any,
        deep_supervision_scales: list | tuple | None,
        mirror_axes: tuple[int, ...],
        do_dummy_2d_data_aug: bool,
        use_mask_for_norm: list[bool] | None = None,
        is_cascaded: bool = False,
        foreground_labels: tuple[int, ...] | list[int] | None = None,
        regions: list | None = None,
        ignore_label: int | None = None,
    ) -> BasicTransform:
        """Build nnU-Net's augmentation, the mild one or the paper's, as the recipe says, and note what it flips."""
        if self.recipe.augmentation == "nnunet":
            chosen = super().get_training_transforms(
                patch_size,
                rotation_for_DA,
                deep_supervision_scales,
                mirror_axes,
                do_dummy_2d_data_aug,
                use_mask_for_norm,
                is_cascaded,
                foreground_labels,
                regions,
                ignore_label,
            )
        else:
            masked = [i for i, use in enumerate(use_mask_for_norm or []) if use]
            mask = [MaskImageTransform(masked, channel_idx_in_seg=0, set_outside_to=0)] if masked else []
            # What nnU-Net does to every validation sample (padding label, coarse labels to one-hot) ends training, too.
            ending = self.get_validation_transforms(
                deep_supervision_scales, is_cascaded, foreground_labels, regions, ignore_label
            )
            mild = self.recipe.augmentation == "mild"
            size = tuple(patch_size)
            own = mild_transforms(size) if mild else self.paper_transforms(size, mirror_axes)
            chosen = ComposeTransforms([own, *mask, ending])
        self._flipped_axes = flipped_axes(chosen)
        return self.guarded_transforms(chosen)

    def guarded_transforms(self, transforms: BasicTransform) -> BasicTransform:
        """Protect what a system needs from any augmentation; here nothing."""
        return transforms

    def paper_transforms(self, patch_size: Sequence[int], mirror_axes: Sequence[int]) -> BasicTransform:
        """Build the augmentation of the system's paper, with the crop to the patch; here none but the crop."""
        return crop_transforms(patch_size)

    # ---------------------------------------------------------------------------------------------------------- samples

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 nnU-Net's name
        self,
    ) -> tuple[Any, bool, Any, tuple[int, ...]]:
        """Note the size of the loader's samples, and let augmentation flip in-plane only.

        Slices are far apart, and base and apex are not to be swapped: where a network sees stacks, in training or at
        prediction, nothing is flipped along z.
        """
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        self._sample_size = tuple(int(n) for n in initial_patch_size)
        if self.sees_stacks:
            mirror_axes = tuple(range(len(self.training_patch_size)))[-2:]
        if not self.recipe.flips:
            mirror_axes = ()
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """Load nnU-Net's datasets, set the length of an epoch, and let samples be what the network will predict on."""
        train, val = super().get_tr_and_val_datasets()
        self._set_epoch_length(train, val)
        return self.sample_datasets(train, val)

    def sample_datasets(self, train: Any, val: Any) -> tuple[Any, Any]:
        """Return datasets of training and validation samples; nnU-Net's own leave their place to the loader."""
        if not self.places_samples:
            return train, val
        patch = self.training_patch_size
        placed = functools.partial(
            PlacedDataset,
            shrink=self.shrinks_samples,
            foreground=0.0 if self.shrinks_samples else _FOREGROUND_SHARE,
        )
        return placed(train, patch, self._sample_size), placed(val, patch)

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Build nnU-Net's loaders for the training patch; the plans' patch is that of prediction."""
        if self.places_samples:
            self.oversample_foreground_percent = 1.0  # the loader centres every sample on what its dataset says
        plans = self.configuration_manager
        training = {**plans.configuration, "patch_size": list(self.training_patch_size)}
        self.configuration_manager = ConfigurationManager(training)
        try:
            loaders = super().get_dataloaders()
        finally:
            self.configuration_manager = plans
        self.inference_allowed_mirroring_axes = self._mirrored_at_prediction()
        return loaders

    def _mirrored_at_prediction(self) -> tuple[int, ...] | None:
        """Axes of the plans' patch that prediction may mirror: those that augmentation flips, if the recipe mirrors."""
        if not (self.recipe.test_time_mirroring and self.may_be_mirrored):
            return None
        added = len(self.configuration_manager.patch_size) - len(self.training_patch_size)
        return tuple(sorted(axis + added for axis in self._flipped_axes)) or None
