"""The trainer that all systems share: recipe, networks from plans or the paper, patient folds, crop configurations.

A thin layer over nnU-Net's trainer: everything that is not overridden here is nnU-Net's own code. Overridden methods
keep nnU-Net's signatures (a test compares them).
"""

from __future__ import annotations

import contextlib
import os
from copy import deepcopy
from pathlib import Path
from time import time
from typing import Any, ClassVar

import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.checks.checkpoint import check_checkpoint
from nnunet_cardiac.checks.plans import check_patch_size, check_plans
from nnunet_cardiac.cpu_precision import convolves_volumes, cpu_autocast
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import replacing
from nnunet_cardiac.patients.fold_file import check_data, check_fold
from nnunet_cardiac.planning.batch_size import batch_size_for
from nnunet_cardiac.planning.links import missing_links
from nnunet_cardiac.planning.shared_plans import RESOLVED, entries_for, foreign_recipe, plans_for
from nnunet_cardiac.systems import TrainerFacts, is_of_a_system
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers.early_stopping import StopsEarly
from nnunet_cardiac.trainers.folds import write_split
from nnunet_cardiac.trainers.processes import check_shares, without_wrapper
from nnunet_cardiac.trainers.recipe.losses import CrossEntropyDiceLoss, SigmoidDiceLoss, VolumeDiceLoss
from nnunet_cardiac.trainers.recipe.reproducibility import (
    epoch_seed,
    make_deterministic,
    requested_seed,
    seed_generators,
)
from nnunet_cardiac.trainers.recipe.schedules import MilestoneSchedule
from nnunet_cardiac.trainers.samples import TrainsOnWhatItPredicts
from nnunet_cardiac.trainers.stock_predictor import install
from nnunet_cardiac.trainers.workers import limit_threads, limit_workers

#: Cap of a validation pass whose length the recipe leaves open; nnU-Net's own number of validation steps.
_MOST_VALIDATION_STEPS = 50

install()


class CardiacTrainer(TrainsOnWhatItPredicts, StopsEarly):
    """Base of all trainers of this package; not for use as `-tr` itself.

    Attributes:
        facts: What the file of the system says of the trainer.
        own_recipe: Recipe in the place of the system's, of a `_nnUNetRecipe` variant.
        recipe: What is trained with: entries of `recipe` in the plans' configuration replace its fields, and so does a
            `batch_size` that a user wrote there, see `nnunet_cardiac.planning.batch_size`.
        epochs: Number of epochs of a `_Nepochs` variant, or None.
    """

    facts: ClassVar[TrainerFacts]
    recipe: Recipe
    own_recipe: ClassVar[Recipe | None] = None
    epochs: ClassVar[int | None] = None
    _unlinked: bool = False
    _split_is_checked: bool = False

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 nnU-Net's signature
    ) -> None:
        check_plans(plans, f"{plans.get('plans_name')}.json")
        names = [trainer.__name__ for trainer in type(self).__mro__]
        self._recipe_of_another = foreign_recipe(names, plans, configuration)
        self._unlinked = configuration in {
            name for _, name in missing_links(entries_for(names, plans["configurations"]))
        }
        plans = plans_for(names, plans)
        anatomy_labels(dataset_json["labels"], self.facts.anatomies)
        super().__init__(plans, configuration, fold, dataset_json, device)
        self._write_down_network()
        self.recipe = (self.own_recipe or self.facts.recipe).with_plans(
            self.configuration_manager.configuration, type(self).epochs
        )
        self.initial_lr = self.recipe.initial_lr
        self.weight_decay = self.recipe.weight_decay
        self.num_epochs = self.recipe.epochs
        self.enable_deep_supervision = False  # none of the papers has it
        self.save_every = 10
        self.seed = requested_seed()
        self.on_configured()

    def on_configured(self) -> None:
        """Last step of construction: subclasses refuse configurations that they cannot train.

        They have no `__init__` of their own, so that nnU-Net's five parameters are spelled out once.
        """

    # ---------------------------------------------------------------------------------------------------- networks

    @classmethod
    def default_architecture(cls, configuration_manager: ConfigurationManager) -> tuple[str, dict[str, Any]]:
        """Return the dotted path and arguments of the system's network for a configuration whose plans name none."""
        kwargs: dict[str, Any] = {}
        cls.complete_architecture(kwargs, configuration_manager)
        return cls.facts.network, kwargs

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """Build the plans' network if it is one of this package's, else the paper's default.

        Raises:
            UserError: If the network refuses its arguments in the plans, such as switches that contradict each other.
        """
        name, kwargs = cls.resolved_architecture(configuration_manager)
        try:
            return get_network_from_plans(
                name, kwargs, [], num_input_channels, num_output_channels, deep_supervision=enable_deep_supervision
            )
        except (TypeError, ValueError, ImportError) as error:
            plans = plans_manager.plans.get("plans_name", "plans")
            raise UserError(
                f"{plans}.json, network {name} with arch_kwargs {kwargs}: {str(error).rstrip('.')}. Change "
                "'architecture' of the configuration in the plans file."
            ) from error

    @classmethod
    def resolved_architecture(cls, configuration_manager: ConfigurationManager) -> tuple[str, dict[str, Any]]:
        """Return the dotted path and all arguments of the network of a configuration.

        Plans of a result folder say what was trained; arguments that are new since are not filled in there.
        """
        written = configuration_manager.configuration.get(RESOLVED)
        if written is not None:
            return written["network_class_name"], deepcopy(written["arch_kwargs"])
        if not is_of_a_system(configuration_manager.network_arch_class_name):
            return cls.default_architecture(configuration_manager)
        kwargs = deepcopy(configuration_manager.network_arch_init_kwargs)
        cls.complete_architecture(kwargs, configuration_manager)
        return configuration_manager.network_arch_class_name, kwargs

    def _write_down_network(self) -> None:
        """Note the network in the plans of the result folder, so that prediction need not import the trainer."""
        name, kwargs = self.resolved_architecture(self.configuration_manager)
        entry = self.plans_manager.plans["configurations"][self.configuration_name]
        entry[RESOLVED] = {"network_class_name": name, "arch_kwargs": deepcopy(kwargs)}

    @classmethod
    def complete_architecture(cls, kwargs: dict[str, Any], configuration_manager: ConfigurationManager) -> None:
        """Fill in what plans may leave open; subclasses add to it."""

    def initialize(self) -> None:
        """Seed before the weights are drawn, if a seed was asked for, and check batch and patch size."""
        if self.seed is not None:
            make_deterministic(self.seed)  # the same in all processes, so that they start with the same weights
        limit_threads(self)
        super().initialize()
        divisor = getattr(self._bare_network, "divisor", 1)
        check_patch_size(self.training_patch_size, divisor, self._place_in_plans())

    def _place_in_plans(self) -> str:
        path = os.path.join(self.preprocessed_dataset_folder_base, f"{self.plans_manager.plans_name}.json")
        return f"{path}, configuration {self.configuration_name!r}"

    @property
    def plan_command(self) -> str:
        """The command that plans the configurations of this trainer again, in the same plans."""
        manager, trainer = self.plans_manager, type(self).__name__.split("_")[0]
        return f"nnunet_cardiac plan -d {manager.dataset_name} -p {manager.plans_name} -tr {trainer}"

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Leave networks without deep supervision alone; nnU-Net calls this whatever the trainer says."""
        if self.enable_deep_supervision:
            decoder: Any = self._bare_network.decoder
            decoder.deep_supervision = enabled

    # ------------------------------------------------------------------------------------------------------ recipe

    def _set_batch_size_and_oversample(self) -> None:
        size, reason = batch_size_for(
            self.plans_manager.plans,
            self.configuration_name,
            self.recipe.batch_size,
            self.configuration_manager.batch_size,
        )
        self.configuration_manager.configuration["batch_size"] = size
        check_shares(size, self.needs_equal_shares, self._place_in_plans())
        super()._set_batch_size_and_oversample()
        self.print_to_log_file(f"A step has {size} samples: {reason}.")
        if self._recipe_of_another is not None:
            self.print_to_log_file(
                f"WARNING: {self._place_in_plans()}, has a recipe of {self._recipe_of_another}, which is not used "
                f"here. One for this trainer belongs under 'trainers', {type(self).__name__.split('_')[0]!r}."
            )

    @property
    def needs_equal_shares(self) -> bool:
        """Whether processes that train together need equal numbers of samples a step; few networks do."""
        return False

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Build optimiser and schedule of the recipe."""
        if self.recipe.optimizer == "sgd":
            optimizer, _ = super().configure_optimizers()
        else:
            optimizer = torch.optim.Adam(
                self.network.parameters(),
                self.initial_lr,
                weight_decay=self.weight_decay,
                fused=self.device.type in ("cpu", "cuda"),  # one kernel instead of some for each of 300 tensors
            )
        if self.recipe.max_gradient_norm is not None:
            optimizer.register_step_pre_hook(self._shorten_gradient)
        if self.recipe.schedule == "poly":
            return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)
        return optimizer, MilestoneSchedule(optimizer, self.initial_lr, self.recipe.milestones, self.recipe.gamma)

    def _shorten_gradient(self, *_: Any) -> None:
        """Shorten the gradient before a step of the optimiser; nnU-Net has undone the scale of autocast by then."""
        if self.recipe.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.max_gradient_norm)

    def _build_loss(self) -> nn.Module:
        if self.recipe.loss == "dice_ce":
            return super()._build_loss()
        common = {"ddp": self.is_ddp, "ignore_label": self.label_manager.ignore_label}
        if self.recipe.loss == "bce_dice":
            return CrossEntropyDiceLoss(**common)
        if self.recipe.loss.startswith("softmax_dice"):
            return VolumeDiceLoss(background=self.recipe.loss == "softmax_dice", **common)
        squared = self.recipe.loss == "dice"
        return SigmoidDiceLoss(self.background_is_output, squared, smooth=1e-5 if squared else 1.0, **common)

    @property
    def background_is_output(self) -> bool:
        """Whether channel 0 is an output of the network with a loss of its own, or a constant."""
        return True

    # -------------------------------------------------------------------------------------------------------- data

    def on_train_start(self) -> None:
        """Refuse data and folds that do not fit before anything is built."""
        self.do_split()
        super().on_train_start()

    def do_split(self) -> tuple[list[str], list[str]]:
        """Return nnU-Net's split after checking, the first time, that there is one by patient for this fold.

        nnU-Net's own folds would put one heart on both sides, and so would what it draws for a fold that the file
        lacks.

        Raises:
            UserError: If this configuration is not preprocessed, a fold names unknown cases, or there is no such fold.
        """
        if not self._split_is_checked:
            base, plans = Path(self.preprocessed_dataset_folder_base), self.plans_manager.plans_name
            check_data(base, self.configuration_name, self.configuration_manager.data_identifier, plans)
            check_fold(base, self.fold)
            if self.local_rank == 0:
                write_split(base, self.fold, self.print_to_log_file)
            if self.is_ddp:
                torch.distributed.barrier()
            self._split_is_checked = True
        return super().do_split()

    def _set_epoch_length(self, train: Any, val: Any) -> None:
        """One pass over the images, unless the recipe says a number."""
        # That of all processes together: their shares may differ, and then so would the lengths of their epochs.
        batch = self.configuration_manager.batch_size
        steps = self.recipe.iterations or -(-self._count_images(train) // batch)
        val_steps = self.recipe.val_iterations or -(-self._count_images(val) // batch)
        self.num_iterations_per_epoch = steps
        self.num_val_iterations_per_epoch = min(val_steps, self.recipe.val_iterations or _MOST_VALIDATION_STEPS)
        self.print_to_log_file(
            f"An epoch has {self.num_iterations_per_epoch} training and {self.num_val_iterations_per_epoch} "
            f"validation steps of {batch} samples."
        )

    def _count_images(self, dataset: Any) -> int:
        """Number of slices for two-dimensional training patches, of volumes otherwise."""
        if len(self.training_patch_size) == 3:
            return len(dataset.identifiers)
        return sum(dataset.load_case(identifier)[0].shape[1] for identifier in dataset.identifiers)

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Build the loaders with as many workers as there are cores.

        With a seed the samples are made in this process, because nnU-Net's workers have no fixed order.
        """
        limit_workers(self, repeatable=self.seed is not None)
        self._seed_epoch()
        return super().get_dataloaders()

    # -------------------------------------------------------------------------------------------------------- loop

    def on_train_epoch_start(self) -> None:
        """Start an epoch with draws of its own, if a seed was asked for."""
        self._seed_epoch()
        super().on_train_epoch_start()

    def _seed_epoch(self) -> None:
        if self.seed is not None:
            seed_generators(epoch_seed(self.seed, self.local_rank, self.current_epoch))

    def train_step(self, batch: dict) -> dict:
        """Take nnU-Net's step, on slices in bfloat16 on processors that compute in it."""
        with cpu_autocast(self.device, convolves_volumes(self.network)):
            return super().train_step(batch)

    def validation_step(self, batch: dict) -> dict:
        """Take nnU-Net's step, in the precision of training."""
        with cpu_autocast(self.device, convolves_volumes(self.network)):
            return super().validation_step(batch)

    def on_epoch_end(self) -> None:
        """Log how long the rest will take, and stop if the recipe's patience is over.

        Raises:
            EarlyStop: For `run_training`.
        """
        super().on_epoch_end()
        left = self.num_epochs - self.current_epoch
        if left > 0:
            started = self.logger.get_value("epoch_start_timestamps", step=-1)
            minutes = left * (time() - started) / 60
            self.print_to_log_file(
                f"Epoch {self.current_epoch} of {self.num_epochs} done, about {minutes:.0f} min left for training"
            )
        if self.recipe.patience is not None:
            self._stop_without_progress(self.recipe.patience)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, but unwrapped: DDP may send buffers to processes that have fewer cases."""
        wrapped, self.network = self.network, without_wrapper(self.network)
        try:
            super().perform_actual_validation(save_probabilities)
        finally:
            self.network = wrapped

    def save_checkpoint(self, filename: str) -> None:
        """Write the checkpoint under a temporary name first: a job killed here keeps the previous one."""
        writes = self.local_rank == 0 and not self.disable_checkpointing
        with replacing(filename) if writes else contextlib.nullcontext(filename) as path:
            super().save_checkpoint(str(path))

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """Load after checking that the file is whole."""
        if isinstance(filename_or_checkpoint, str):
            check_checkpoint(Path(filename_or_checkpoint))
        super().load_checkpoint(filename_or_checkpoint)
