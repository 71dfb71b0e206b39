"""HALSR-Net: a regressed region of interest, then a network with hybrid attention and latent-space reconstruction.

Fakhfakh, Sarry and Clarysse, "HALSR-Net: improving CNN segmentation of cardiac left ventricle MRI with hybrid attention
and latent space reconstruction", Computerized Medical Imaging and Graphics 123, 2025.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask, draw_corners
from nnunet_cardiac.architectures.roi_regressor import ROIRegressor
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.regions import add_roi_report
from nnunet_cardiac.label_values import ignored_mask
from nnunet_cardiac.losses import CornerLoss
from nnunet_cardiac.recipes import HALSR, Recipe
from nnunet_cardiac.registry import TRAINERS, anatomy_labels
from nnunet_cardiac.trainers.crop import CropTrainer


class HALSRNetTrainer(CropTrainer):
    """Train the stages of HALSR-Net.

    Configuration `2d` trains `HALSRNet` on whole slices, `2d_roi` the `ROIRegressor`, `2d_crop` `HALSRNet` on the
    window around the regressed box, which sees the image alone. Plans that name a network of this package train that.
    """

    recipe: ClassVar[Recipe] = HALSR
    required_anatomies: ClassVar[tuple[str, ...]] = TRAINERS["HALSRNetTrainer"].anatomies
    coarse_network: ClassVar[str] = "nnunet_cardiac.architectures.halsr_net.HALSRNet"
    segmenter: ClassVar[str] = "nnunet_cardiac.architectures.halsr_net.HALSRNet"
    pass_coarse: ClassVar[bool] = False

    @property
    def regresses(self) -> bool:
        """Whether this configuration regresses a box instead of segmenting."""
        return isinstance(self._bare_network, ROIRegressor)

    @property
    def target_labels(self) -> list[int]:
        """Labels whose common box is regressed: left ventricular cavity and myocardium (section 2.1)."""
        labels = anatomy_labels(self.dataset_json["labels"], self.required_anatomies)
        return [labels[anatomy] for anatomy in self.required_anatomies]

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Build the loaders; the regressor is not mirrored at prediction, since the mean of four boxes is no box."""
        loaders = super().get_dataloaders()
        if self.regresses:
            self.inference_allowed_mirroring_axes = None
        return loaders

    def _build_loss(self) -> nn.Module:
        return CornerLoss(self.label_manager.ignore_label) if self.regresses else super()._build_loss()

    def train_step(self, batch: dict) -> dict:
        """Take a step of nnU-Net's; the regressor's target is the box of the labels."""
        return super().train_step(self._with_box_target(batch) if self.regresses else batch)

    def validation_step(self, batch: dict) -> dict:
        """Take a step of nnU-Net's; its pseudo Dice of a regressor is the overlap of two boxes."""
        return super().validation_step(self._with_box_target(batch) if self.regresses else batch)

    def _with_box_target(self, batch: dict) -> dict:
        """Replace the label map (B, 1, H, W) by the tight box of the target labels, drawn as label 1.

        A slice whose box is not known, because pixels without a reference may extend it, gets the ignore label
        everywhere: loss and pseudo Dice leave it out.
        """
        target, ignore = batch["target"], self.label_manager.ignore_label
        labels = torch.tensor(self.target_labels, device=target.device, dtype=target.dtype)
        corners, present = corners_of_mask(torch.isin(target[:, 0], labels))
        box = (draw_corners(corners, target.shape[-2:]) & present[:, None, None])[:, None]
        drawn = box.to(target.dtype)
        if ignore is not None:
            drawn[_may_grow(box, ignored_mask(target, ignore))] = ignore
        return {**batch, "target": drawn}

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does; for the regressor, add the error of the boxes to the summary."""
        super().perform_actual_validation(save_probabilities)
        if self.regresses and self.local_rank == 0:
            self._report_boxes()

    def _report_boxes(self) -> None:
        validation = Path(self.output_folder) / "validation"
        references = Path(self.preprocessed_dataset_folder_base) / "gt_segmentations"
        try:
            ending, ignore = self.dataset_json["file_ending"], self.label_manager.ignore_label
            lines = add_roi_report(validation, references, self.target_labels, ending, ignore)
        except UserError as error:  # after hours of training a fold without any target is no reason to fail
            lines = {"not computed": str(error)}
        for name, line in lines.items():
            self.print_to_log_file(f"ROI error, {name}: {line}")


def _may_grow(box: torch.Tensor, ignored: torch.Tensor) -> torch.Tensor:
    """Which slices have pixels without a reference that may extend the box around what is annotated, (B,).

    The target is connected in a slice. If a part of it lay outside the box, it would cross the ring of pixels around
    the box; it cannot where all of them have a reference. Without a box, any pixel without a reference may hold one.

    Args:
        box: Drawn boxes (B, 1, H, W), boolean.
        ignored: Pixels without a reference, of the same shape.
    """
    grown = F.max_pool2d(box.float(), 3, stride=1, padding=1) > 0
    matters = torch.where(box.flatten(1).any(1)[:, None, None, None], grown & ~box, True)
    return (matters & ignored).flatten(1).any(1)
