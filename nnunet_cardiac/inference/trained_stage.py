"""One trained configuration in memory: preprocess, predict, export, each by nnU-Net's own functions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot, determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_cardiac.cascade.whole_cases import WholeCase
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.inference.checkpoint import load_checkpoint
from nnunet_cardiac.inference.model_folder import StageFolder, image_channels
from nnunet_cardiac.inference.network import build_network
from nnunet_cardiac.inference.sliding_window import SlidingWindow

#: Entries of a configuration that decide how an image is preprocessed.
_PREPROCESSING = ("spacing", "preprocessor_name", "normalization_schemes", "resampling_fn_data")

#: Readers of nnU-Net whose arrays are those of SimpleITK.
_PLAIN_READERS = ("SimpleITKIO", "NibabelIO", "Tiff3DIO")


@dataclass(frozen=True)
class Prepared:
    """A preprocessed image.

    Attributes:
        data: Image (C, Z, Y, X), float32, in the orientation of the plans.
        properties: nnU-Net's notes of crop and shapes, for the way back.
    """

    data: np.ndarray
    properties: dict[str, Any]


class TrainedStage:
    """A configuration with the networks of its folds.

    Args:
        folder: Where it came from.
        plans: Content of its `plans.json`.
        dataset_json: Content of its `dataset.json`.
        networks: One for each fold, on their device, in evaluation mode.
        window: How they are moved over an image.
    """

    def __init__(
        self,
        folder: StageFolder,
        plans: PlansManager,
        dataset_json: dict[str, Any],
        networks: Sequence[nn.Module],
        window: SlidingWindow,
    ) -> None:
        self.folder = folder
        self.plans = plans
        self.configuration: ConfigurationManager = plans.get_configuration(folder.configuration)
        self.dataset_json = dataset_json
        self.labels = plans.get_label_manager(dataset_json)
        self.networks = list(networks)
        self.window = window
        self._preprocessor = self.configuration.preprocessor_class(verbose=False)

    @classmethod
    def load(
        cls,
        folder: StageFolder,
        device: torch.device,
        *,
        precision: str = "auto",
        mirroring: bool = False,
        batch: int = 1,
        trusted: bool = False,
    ) -> TrainedStage:
        """Load the networks of a configuration.

        Args:
            folder: Result of :func:`find_stages`.
            device: Where to predict.
            precision: See :mod:`nnunet_cardiac.inference.precision`.
            mirroring: Whether to average over mirror images, where the trainer allows it.
            batch: Tiles in a batch.
            trusted: See :func:`load_checkpoint`.

        Raises:
            UserError: If a checkpoint cannot be loaded or does not fit the plans.
        """
        plans = PlansManager(read_json(folder.folder / "plans.json"))
        dataset_json = read_json(folder.folder / "dataset.json")
        reader = plans.plans.get("image_reader_writer", _PLAIN_READERS[0])
        if reader not in _PLAIN_READERS:
            raise UserError(
                f"{folder.folder}/plans.json: images were read with {reader}, which turns them; this command supports "
                f"{', '.join(_PLAIN_READERS)}. Predict with nnUNetv2_predict."
            )
        checkpoints = [load_checkpoint(path, trusted) for path in folder.checkpoints.values()]
        first = checkpoints[0]
        networks = _build_networks(folder, plans, dataset_json, checkpoints)
        mirror_axes = first.get("inference_allowed_mirroring_axes") if mirroring else None
        configuration = plans.get_configuration(folder.configuration)
        window = SlidingWindow(
            patch_size=tuple(configuration.patch_size),
            classes=plans.get_label_manager(dataset_json).num_segmentation_heads,
            device=device,
            mirror_axes=None if mirror_axes is None else tuple(mirror_axes),
            batch=batch,
            precision=precision,
            case=WholeCase.of(configuration.configuration, mirror_axes),
        )
        return cls(folder, plans, dataset_json, [network.to(device).eval() for network in networks], window)

    @property
    def channels(self) -> int:
        """Image channels that the stage was trained with."""
        return image_channels(self.dataset_json)

    @property
    def needs_coarse(self) -> bool:
        """Whether the stage takes the labels of a previous one."""
        return self.configuration.previous_stage_name is not None

    def prepares_like(self, other: TrainedStage) -> bool:
        """Whether an image preprocessed for the other stage is what this stage would have made of it."""
        mine, theirs = self.configuration.configuration, other.configuration.configuration
        same = all(mine.get(key) == theirs.get(key) for key in _PREPROCESSING)
        transposed = self.plans.transpose_forward == other.plans.transpose_forward
        intensities = "foreground_intensity_properties_per_channel"
        # Normalisation within a mask depends on the labels that nnU-Net is given with the image.
        masked = any(mine.get("use_mask_for_norm") or ()) or any(theirs.get("use_mask_for_norm") or ())
        return same and transposed and not masked and self.plans.plans[intensities] == other.plans.plans[intensities]

    def prepare(self, image: np.ndarray, spacing_mm: Sequence[float]) -> Prepared:
        """Crop to the nonzero region, normalise and resample an image (C, Z, Y, X) as the training data were."""
        data, _, properties = self._preprocessor.run_case_npy(
            image, None, {"spacing": list(spacing_mm)}, self.plans, self.configuration, self.dataset_json
        )
        return Prepared(data, properties)

    def with_coarse(self, prepared: Prepared, coarse: np.ndarray) -> np.ndarray:
        """Put the labels of the previous stage behind the image, as nnU-Net does with files of it.

        Args:
            prepared: Preprocessed image.
            coarse: Label map (Z, Y, X) on the grid of the image file.

        Returns:
            Image and one-hot channels (C + K, Z, Y, X).
        """
        properties = prepared.properties
        turned = coarse[None].astype(np.float32).transpose([0, *(axis + 1 for axis in self.plans.transpose_forward)])
        inside = turned[(slice(None), *(slice(*ends) for ends in properties["bbox_used_for_cropping"]))]
        spacing = [properties["spacing"][axis] for axis in self.plans.transpose_forward]
        target = list(self.configuration.spacing)
        target = [spacing[0], *target] if len(target) < len(spacing) else target
        resampled = self.configuration.resampling_fn_seg(inside, prepared.data.shape[1:], spacing, target)
        one_hot = convert_labelmap_to_one_hot(
            resampled[0].astype(np.int8), self.labels.foreground_labels, prepared.data.dtype
        )
        return np.vstack((prepared.data, one_hot))

    def logits(self, data: np.ndarray) -> torch.Tensor:
        """Return logits (K + 1, Z, Y, X), float16 on the CPU, for a preprocessed image."""
        return self.window.logits(self.networks, torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32)))

    def export(self, logits: torch.Tensor, properties: dict[str, Any]) -> np.ndarray:
        """Return the label map (Z, Y, X) on the grid of the image file."""
        # nnU-Net's default of eight threads would be set for the whole process.
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            logits,
            self.plans,
            self.configuration,
            self.labels,
            properties,
            num_threads_torch=torch.get_num_threads(),
        )


def _build_networks(
    folder: StageFolder, plans: PlansManager, dataset_json: dict[str, Any], checkpoints: Sequence[dict[str, Any]]
) -> list[nn.Module]:
    """One network for each checkpoint, so that no weights are copied between cases."""
    configuration = plans.get_configuration(folder.configuration)
    channels = determine_num_input_channels(plans, configuration, dataset_json)
    heads = plans.get_label_manager(dataset_json).num_segmentation_heads
    network = build_network(checkpoints[0]["trainer_name"], plans, configuration, channels, heads)
    networks = [network, *(copy.deepcopy(network) for _ in checkpoints[1:])]
    for built, checkpoint, path in zip(networks, checkpoints, folder.checkpoints.values(), strict=True):
        try:
            built.load_state_dict(checkpoint["network_weights"])
        except RuntimeError as error:
            raise UserError(
                f"{path}: the weights do not fit the network that plans.json describes. Use the plans.json with which "
                f"it was trained.\n{error}"
            ) from error
    return networks
