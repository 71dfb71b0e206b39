"""HALSR-Net: a regressed region of interest, then a network with hybrid attention and latent-space reconstruction.

Fakhfakh, Sarry and Clarysse, "HALSR-Net: improving CNN segmentation of cardiac left ventricle MRI with hybrid attention
and latent space reconstruction", Computerized Medical Imaging and Graphics 123, 2025.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask, draw_corners
from nnunet_cardiac.architectures.roi_regressor import ROIRegressor
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.regions import Boxes, add_roi_reports, compare_boxes, known_boxes, slice_boxes
from nnunet_cardiac.evaluation.regressed_boxes import regressed_boxes
from nnunet_cardiac.label_values import ignored_mask
from nnunet_cardiac.systems import TRAINERS, TrainerFacts
from nnunet_cardiac.systems.halsr import HALSR_NET, TRAINER
from nnunet_cardiac.trainers.crop import CropTrainer
from nnunet_cardiac.trainers.recipe.losses import CornerLoss


class HALSRNetTrainer(CropTrainer):
    """Train the stages of HALSR-Net.

    Configuration `2d` trains `HALSRNet` on whole slices, `2d_roi` the `ROIRegressor`, `2d_crop` `HALSRNet` on the
    window around the regressed box, which sees the image alone. Plans that name a network of this package train that.
    """

    facts: ClassVar[TrainerFacts] = TRAINERS[TRAINER]
    segmenter: ClassVar[str] = HALSR_NET
    pass_coarse: ClassVar[bool] = False

    @property
    def regresses(self) -> bool:
        """Whether this configuration regresses a box instead of segmenting."""
        return isinstance(self._bare_network, ROIRegressor)

    @property
    def target_labels(self) -> list[int]:
        """Labels whose common box is regressed: left ventricular cavity and, if it is labelled, myocardium."""
        labels = anatomy_labels(self.dataset_json["labels"], self.facts.anatomies)
        return [labels[anatomy] for anatomy in self.facts.boxed or labels if anatomy in labels]

    @property
    def places_samples(self) -> bool:
        """Whether this package says where a sample lies; a regressor sees whole slices."""
        return self.regresses or super().places_samples

    @property
    def shrinks_samples(self) -> bool:
        """Whether slices larger than the patch are shrunk as a whole; a box has to be seen whole."""
        return self.regresses

    @property
    def may_be_mirrored(self) -> bool:
        """Whether prediction may average mirror images; the mean of four boxes is no box."""
        return not self.regresses

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
        """Compare the corners as regressed, and the boxes as drawn; one process does it, so nothing here may wait."""
        try:
            cases = list(self._boxes_of_cases())
            reports = {
                **compare_boxes([(regressed, true, mm) for regressed, _, true, mm in cases], "roi"),
                **compare_boxes([(drawn, true, mm) for _, drawn, true, mm in cases], "roi_drawn"),
            }
        except UserError as error:  # after hours of training a fold without any target is no reason to fail
            self.print_to_log_file(f"ROI error, not computed: {error}")
            return
        add_roi_reports(Path(self.output_folder) / "validation" / "summary.json", reports)
        for name, report in reports.items():
            self.print_to_log_file(f"ROI error, {name}: {report}")

    def _boxes_of_cases(self) -> Iterator[tuple[Boxes, Boxes, Boxes, Sequence[float]]]:
        """Regressed, drawn and true boxes (Z, 4) of each predicted case, and the size (row, column) of its pixels."""
        ending = self.dataset_json["file_ending"]
        references = Path(self.preprocessed_dataset_folder_base) / "gt_segmentations"
        network = cast("ROIRegressor", self._bare_network.eval())  # what a configuration that regresses has
        known = set(self.dataset_class.get_identifiers(self.preprocessed_dataset_folder))
        for path in sorted((Path(self.output_folder) / "validation").glob(f"*{ending}")):
            case = path.name.removesuffix(ending)
            if case not in known:  # left by a validation of other data
                continue
            image, _, _, properties = self.dataset_class(self.preprocessed_dataset_folder, [case]).load_case(case)
            stack = torch.from_numpy(np.array(image[:], np.float32)).to(self.device)
            regressed = regressed_boxes(network, stack, self.training_patch_size[-2:], properties)
            reference, mm = self._read_labels(references / path.name)
            true = known_boxes(reference, self.target_labels, self.label_manager.ignore_label)
            yield regressed, slice_boxes(self._read_labels(path)[0] > 0), true, mm

    def _read_labels(self, path: Path) -> tuple[npt.NDArray[np.integer], Sequence[float]]:
        """Label map with its axes in nnU-Net's order, slices first, and the size (row, column) of a pixel in mm."""
        labels, properties = self.plans_manager.image_reader_writer_class().read_seg(str(path))
        order = self.plans_manager.transpose_forward
        return labels[0].transpose(order), [float(properties["spacing"][axis]) for axis in order[1:]]


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
