"""Classifier-guided two-stage network: all slices of a stack at once, refined, and gated by what a slice holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import nn

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.architectures.classifier_guided import ClassifierGuidedNet
from nnunet_cardiac.architectures.ops.stack_packing import pack, real_slices
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.presence import ALL_LEVELS, add_presence_report, presence_score, presence_table
from nnunet_cardiac.evaluation.slice_levels import slice_levels
from nnunet_cardiac.label_values import ignored_mask
from nnunet_cardiac.systems import TRAINERS, TrainerFacts, is_of_a_system
from nnunet_cardiac.systems.classifier_guided import CLASSIFIER_GUIDED, TRAINER
from nnunet_cardiac.trainers.base import CardiacTrainer
from nnunet_cardiac.trainers.processes import gathered
from nnunet_cardiac.trainers.recipe.augmentation import ZerosStayZero, stack_transforms
from nnunet_cardiac.trainers.recipe.gated_loss import ClassifierGuidedLoss, StagesLoss, presence_target


class ClassifierGuidedTrainer(CardiacTrainer):
    """Train the classifier-guided network on whole stacks.

    Configuration `2d_stack` trains `ClassifierGuidedNet`, `2d_stack_single` one stage of it slice by slice. Plans that
    name a network of this package train that.
    """

    facts: ClassVar[TrainerFacts] = TRAINERS[TRAINER]

    def on_configured(self) -> None:
        """Refuse configurations that are not of whole stacks."""
        super().on_configured()
        if len(self.configuration_manager.spacing) != 2 or len(self.configuration_manager.patch_size) != 3:
            raise UserError(
                f"{type(self).__name__} trains on whole stacks of slices, and configuration "
                f"{self.configuration_name!r} is none (expected a spacing of 2 numbers and a patch_size of 3). Train "
                "2d_stack; if the plans have none: "
                f"{self.plan_command}"
            )
        self._presence: list[tuple[torch.Tensor, ...]] = []

    @classmethod
    def complete_architecture(cls, kwargs: dict[str, Any], configuration_manager: ConfigurationManager) -> None:
        """Fill in the normalisation whose statistics are the same in training and at prediction."""
        super().complete_architecture(kwargs, configuration_manager)
        name = configuration_manager.network_arch_class_name
        if name == CLASSIFIER_GUIDED or not is_of_a_system(name):
            kwargs.setdefault("squeeze", "slice")

    @property
    def structures(self) -> dict[str, int]:
        """Structure -> label value, in the order of the network's foreground channels."""
        return anatomy_labels(self.dataset_json["labels"], self.facts.anatomies)

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
        ignore = self.label_manager.ignore_label
        if self.recipe.loss == "gated":
            return ClassifierGuidedLoss(gate_source=self.recipe.gate_source, ignore_label=ignore)
        return StagesLoss(super()._build_loss(), ignore_label=ignore)

    @property
    def background_is_output(self) -> bool:
        """The background is a constant in the second stage."""
        return False

    # -------------------------------------------------------------------------------------------------------- data

    @property
    def sees_stacks(self) -> bool:
        """Whether samples are stacks; they are, in training and at prediction."""
        return True

    @property
    def places_samples(self) -> bool:
        """Whether this package says where a sample lies: stacks are seen whole, or in runs of slices."""
        return True

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 nnU-Net's name
        self,
    ) -> tuple[Any, bool, Any, tuple[int, ...]]:
        """Augment in-plane only: slices are far apart."""
        rotation, _, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        initial_patch_size[0] = self.training_patch_size[0]
        self._sample_size = tuple(int(n) for n in initial_patch_size)
        return rotation, True, initial_patch_size, mirror_axes

    def guarded_transforms(self, transforms: BasicTransform) -> BasicTransform:
        """Leave what fills a stack or a slice up empty, whatever the augmentation does to intensities."""
        return ZerosStayZero(transforms)

    def paper_transforms(self, patch_size: Sequence[int], mirror_axes: Sequence[int]) -> BasicTransform:
        """Build the augmentation of section 3: rotation, shift, flip and crop."""
        return stack_transforms(patch_size, mirror_axes)

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
        # Before the step: nnU-Net's writes background over pixels without a reference, in the batch itself.
        labels = pack(batch["target"], real_slices(batch["data"]))
        target = presence_target(labels, len(self.structures) + 1, self.label_manager.ignore_label)
        with self._listening() as said:
            result = super().validation_step(batch)
        self._presence.append(tuple(part.cpu() > 0 for part in (*target, torch.cat(said))))
        return result

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """Log the classifier's accuracy and F1 on the validation batches."""
        super().on_validation_epoch_end(val_outputs)
        seen = list(chain(*gathered(self._presence)))
        if seen:
            truth, known, found = (torch.cat(part).numpy() for part in zip(*seen, strict=True))
            for k, name in enumerate(self.structures):
                score = presence_score(truth[known[:, k], k], found[known[:, k], k])
                self.print_to_log_file(f"Presence of {name}: {score}")

    @contextlib.contextmanager
    def _listening(self) -> Iterator[list[torch.Tensor]]:
        """Collect what the classifier says of each stack: in evaluation the network returns its effect alone."""
        said: list[torch.Tensor] = []
        handle = self._bare_network.get_submodule("classifier").register_forward_hook(
            lambda module, args, out: said.append(out)
        )
        try:
            yield said
        finally:
            handle.remove()

    # -------------------------------------------------------------------------------------------------- validation

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, and add what the gates said by structure and slice level to the summary."""
        if not self.classifies:
            super().perform_actual_validation(save_probabilities)
            return
        with self._recording_gates() as gates:
            super().perform_actual_validation(save_probabilities)
        parts = list(chain(*gathered(self._compared(gates))))
        if self.local_rank == 0 and parts:
            *arrays, levels = zip(*parts, strict=True)
            truth, known, found = (np.concatenate(part) for part in arrays)
            table = presence_table(truth, found, list(chain(*levels)), list(self.structures), known)
            add_presence_report(Path(self.output_folder) / "validation", table)
            for name, scores in table.items():
                for level, score in scores.items():
                    where = "" if level == ALL_LEVELS else f" ({level})"
                    self.print_to_log_file(f"Presence of {name}{where}: {score}")

    @contextlib.contextmanager
    def _recording_gates(self) -> Iterator[list[torch.Tensor]]:
        """Collect which structures are shown on the slices (S, K) of each case, as the gate was told."""
        gates: list[torch.Tensor] = []
        handle = self._bare_network.get_submodule("gate").register_forward_hook(
            lambda module, args, out: gates.append(args[1].cpu())
        )
        try:
            yield gates
        finally:
            handle.remove()

    def _compared(self, gates: Sequence[torch.Tensor]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]]:
        """Presence in the reference, where it is known and as gated, (S, K) each, and slice levels, of own cases."""
        cases = self.do_split()[1]
        if self.is_ddp:  # as nnU-Net deals them
            cases = cases[self.local_rank :: torch.distributed.get_world_size()]
        dataset = self.dataset_class(self.preprocessed_dataset_folder, list(cases))
        compared = []
        # A validation that predicts nothing, as of a budget without one, gates nothing.
        for case, shown in zip(dataset.identifiers, gates, strict=bool(gates)):
            image, labels, _, _ = dataset.load_case(case)
            labels = np.asarray(labels[0])
            real = real_slices(torch.from_numpy(np.asarray(image))[None])[0].numpy()
            truth = np.stack([(labels == value).any((1, 2)) for value in self.structures.values()], axis=1)
            ignored = ignored_mask(labels, self.label_manager.ignore_label).any((1, 2))
            found = np.zeros_like(truth)  # a slice of zeros alone is shown as background
            found[real] = shown.numpy()
            compared.append((truth, truth | ~ignored[:, None], found, slice_levels(labels, self.structures)))
        return compared
