"""Classifier-guided two-stage network: all slices of a stack at once, refined, and gated by what a slice holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import nn

from nnunet_cardiac.architectures.blocks.stack_packing import pack, real_slices
from nnunet_cardiac.architectures.classifier_guided import ClassifierGuidedNet
from nnunet_cardiac.augmentation import RealSlicesOnly, stack_transforms
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.presence import ALL_LEVELS, add_presence_report, presence_score, presence_table
from nnunet_cardiac.evaluation.slice_levels import slice_levels
from nnunet_cardiac.gated_loss import ClassifierGuidedLoss, StagesLoss, one_hot
from nnunet_cardiac.recipes import CLASSIFIER_GUIDED as RECIPE
from nnunet_cardiac.recipes import Recipe
from nnunet_cardiac.registry import TRAINERS, anatomy_labels
from nnunet_cardiac.systems import CLASSIFIER_GUIDED
from nnunet_cardiac.trainers.base import CardiacTrainer
from nnunet_cardiac.trainers.processes import gathered


class ClassifierGuidedTrainer(CardiacTrainer):
    """Train the classifier-guided network on whole stacks.

    Configuration `2d_stack` trains `ClassifierGuidedNet`, `2d_stack_single` one stage of it slice by slice. Plans that
    name a network of this package train that.
    """

    recipe: ClassVar[Recipe] = RECIPE
    required_anatomies: ClassVar[tuple[str, ...]] = TRAINERS["ClassifierGuidedTrainer"].anatomies

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 nnU-Net's signature
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if len(self.configuration_manager.spacing) != 2 or len(self.configuration_manager.patch_size) != 3:
            name = type(self).__name__
            raise UserError(
                f"{name} trains on whole stacks of slices, and configuration {configuration!r} is none (expected a "
                f"spacing of 2 numbers and a patch_size of 3). Train 2d_stack; if the plans have none: nnunet_cardiac "
                f"plan -d {self.plans_manager.dataset_name} -tr {name.split('_')[0]}"
            )
        self._presence: list[tuple[torch.Tensor, torch.Tensor]] = []

    @classmethod
    def default_architecture(cls, configuration_manager: ConfigurationManager) -> tuple[str, dict[str, Any]]:
        """Return the full network."""
        return CLASSIFIER_GUIDED, {}

    @property
    def structures(self) -> dict[str, int]:
        """Structure -> label value, in the order of the network's foreground channels."""
        return anatomy_labels(self.dataset_json["labels"], self.required_anatomies)

    @property
    def classifies(self) -> bool:
        """Whether the network says which structures a slice holds."""
        return isinstance(self._bare_network, ClassifierGuidedNet) and self._bare_network.classifier is not None

    def _do_i_compile(self) -> bool:
        """Do not compile: the number of slices differs from stack to stack, so it would be compiled again."""
        return False

    @property
    def needs_equal_shares(self) -> bool:
        """The network takes one stack after the other, and where norms are synchronised, all processes as many."""
        return True

    def _build_loss(self) -> nn.Module:
        if self.recipe.loss == "gated":
            return ClassifierGuidedLoss(gate_source=self.recipe.gate_source)
        return StagesLoss(super()._build_loss())

    @property
    def background_is_output(self) -> bool:
        """The background is a constant in the second stage."""
        return False

    # -------------------------------------------------------------------------------------------------------- data

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 nnU-Net's name
        self,
    ) -> tuple[Any, bool, Any, tuple[int, ...]]:
        """Augment and mirror in-plane only: slices are far apart, and base and apex are not to be swapped."""
        rotation, _, initial_patch_size, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        initial_patch_size[0] = self.training_patch_size[0]
        if self.inference_allowed_mirroring_axes is not None:
            self.inference_allowed_mirroring_axes = (1, 2)
        return rotation, True, initial_patch_size, (1, 2)

    def guarded_transforms(self, transforms: BasicTransform) -> BasicTransform:
        """Leave slices that fill a stack up empty, whatever the augmentation does to intensities."""
        return RealSlicesOnly(transforms)

    def paper_transforms(self, patch_size: Sequence[int], mirror_axes: Sequence[int]) -> BasicTransform:
        """Build the augmentation of section 3: rotation, shift, flip and crop."""
        return stack_transforms(patch_size)

    def on_train_start(self) -> None:
        """Start, and say so if a structure is in no training case."""
        super().on_train_start()
        dataset = self.dataset_class(self.preprocessed_dataset_folder, self.do_split()[0])
        seen = [dataset.load_case(case)[3]["class_locations"] for case in dataset.identifiers]
        for name, value in self.structures.items():
            if not any(len(locations.get(value, ())) for locations in seen):
                self.print_to_log_file(
                    f"WARNING: no training case of this fold holds {name} (label {value}). The classifier will learn "
                    "that it is never there, and it will never be shown."
                )

    # -------------------------------------------------------------------------------------------------------- loop

    def on_train_epoch_start(self) -> None:
        """Open all gates during the warm-up."""
        super().on_train_epoch_start()
        self.loss.gates_open = self.current_epoch < self.recipe.gate_warmup

    def on_validation_epoch_start(self) -> None:
        """Forget the slices of the last epoch."""
        super().on_validation_epoch_start()
        self._presence = []

    def validation_step(self, batch: dict) -> dict:
        """Take nnU-Net's step and keep what the classifier said."""
        if not self.classifies:
            return super().validation_step(batch)
        with self._listening() as said:
            result = super().validation_step(batch)
        found = torch.cat(said)
        real = real_slices(batch["data"].to(found.device))
        labels = pack(batch["target"].to(real.device), real)[:, 0].long()
        truth = one_hot(labels, len(self.structures) + 1).flatten(2).amax(2)
        self._presence.append((truth.cpu() > 0, found.cpu() > 0))
        return result

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """Log the classifier's accuracy and F1 on the validation batches."""
        super().on_validation_epoch_end(val_outputs)
        seen = [pair for pairs in gathered(self._presence) for pair in pairs]
        if seen:
            truth, found = (torch.cat(part).numpy() for part in zip(*seen, strict=True))
            for k, name in enumerate(self.structures):
                self.print_to_log_file(f"Presence of {name}: {presence_score(truth[:, k], found[:, k])}")

    @contextlib.contextmanager
    def _listening(self) -> Iterator[list[torch.Tensor]]:
        """Collect what the classifier says of each stack: in evaluation the network returns its effect alone."""
        said: list[torch.Tensor] = []
        handle = self._bare_network.classifier.register_forward_hook(lambda module, args, out: said.append(out))
        try:
            yield said
        finally:
            handle.remove()

    # -------------------------------------------------------------------------------------------------- validation

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, and add the classifier's scores by structure and slice level to the summary."""
        super().perform_actual_validation(save_probabilities)
        _, cases = self.do_split()  # in all processes: they may wait for each other in it
        if self.classifies and self.local_rank == 0:
            table = presence_table(*self._classify(cases), list(self.structures))
            add_presence_report(Path(self.output_folder) / "validation", table)
            for name, scores in table.items():
                for level, score in scores.items():
                    where = "" if level == ALL_LEVELS else f" ({level})"
                    self.print_to_log_file(f"Presence of {name}{where}: {score}")

    @torch.inference_mode()
    def _classify(self, cases: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Presence in the reference and as classified, (S, K) each, and the level of each slice, of whole cases."""
        dataset = self.dataset_class(self.preprocessed_dataset_folder, list(cases))
        network = self._bare_network.eval()
        truth, found, levels = [], [], []
        for case in dataset.identifiers:
            image, labels, _, _ = dataset.load_case(case)
            labels = np.asarray(labels[0])
            truth.append(np.stack([(labels == value).any((1, 2)) for value in self.structures.values()], axis=1))
            stack = pad_nd_image(np.asarray(image), shape_must_be_divisible_by=[1, *network.divisor])
            said = network.stages(torch.from_numpy(stack).float()[None].to(self.device)).presence
            found.append(said.cpu().numpy() > 0)
            levels += slice_levels(labels, self.structures)
        return np.concatenate(truth), np.concatenate(found), levels
