"""What a trainer needs for cropping configurations: region data, the check of the first stage, mirroring."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.cascade.loader import RegionDataset
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.cascade.simulation import CoarseSimulation
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.fold_file import DRAWN_FOLDS, read_folds
from nnunet_cardiac.planning.coarse_predictions import folder_of_all, predicted, predicted_out_of_fold, shared_folder
from nnunet_cardiac.planning.slice_crops import CROP_NETWORK
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.dr_unet import GCAM_LOCALISER
from nnunet_cardiac.systems.halsr import ROI_REGRESSOR
from nnunet_cardiac.trainers.base import CardiacTrainer
from nnunet_cardiac.trainers.recipe.augmentation import ZerosStayZero

_SHOWN_CASES = 10


class CropTrainer(CardiacTrainer):
    """Base of trainers with a configuration that crops from a coarse prediction.

    Attributes:
        segmenter: Dotted path of the paper's network inside the window.
        pass_coarse: Whether the segmenter sees the coarse labels beside the image.
    """

    segmenter: ClassVar[str]
    pass_coarse: ClassVar[bool] = True
    output_folder_base: str

    def on_configured(self) -> None:
        """Find the coarse predictions where the plans name another trainer of the first stage."""
        super().on_configured()
        if self.crops and self.coarse_trainer != type(self).__name__:
            stage = f"{self.coarse_trainer}__{self.plans_manager.plans_name}__{self._previous_stage}"
            base = Path(self.output_folder_base).parent
            self.folder_with_segs_from_previous_stage = str(shared_folder(base / stage, self.configuration_name))

    @property
    def coarse_trainer(self) -> str:
        """Trainer of the first stage: this one, unless the plans name another."""
        return self.configuration_manager.configuration.get("coarse_trainer", type(self).__name__)

    @property
    def _previous_stage(self) -> str:
        return self.configuration_manager.previous_stage_name

    @property
    def crops(self) -> bool:
        """Whether this configuration crops from the result of a previous stage."""
        return self.is_cascaded

    @property
    def region_rule(self) -> RegionRule:
        """How the window is found: the arguments of the network in the plans."""
        return RegionRule.from_plans(self._crop_kwargs(self.configuration_manager))

    @property
    def training_patch_size(self) -> tuple[int, ...]:
        """Size of a training patch: the window, if this configuration crops."""
        return self.region_rule.window if self.crops else super().training_patch_size

    # ---------------------------------------------------------------------------------------------------- networks

    @classmethod
    def default_architecture(cls, configuration_manager: ConfigurationManager) -> tuple[str, dict[str, Any]]:
        """Return the coarse network, or the crop around the segmenter for a configuration with a previous stage."""
        if configuration_manager.previous_stage_name is None:
            return super().default_architecture(configuration_manager)
        kwargs = cls._crop_kwargs(configuration_manager)
        cls.complete_architecture(kwargs, configuration_manager)
        return CROP_NETWORK, kwargs

    @classmethod
    def complete_architecture(cls, kwargs: dict[str, Any], configuration_manager: ConfigurationManager) -> None:
        """Fill in the segmenter, and whether it sees the coarse labels."""
        if configuration_manager.previous_stage_name is not None:
            kwargs.setdefault("network_class_name", cls.segmenter)
            kwargs.setdefault("pass_coarse", cls.pass_coarse)

    @staticmethod
    def _crop_kwargs(configuration_manager: ConfigurationManager) -> dict[str, Any]:
        """Arguments of `CropFromCoarse` in the plans; none if the plans leave the network to the trainer."""
        if configuration_manager.network_arch_class_name != CROP_NETWORK:
            return {}
        return dict(configuration_manager.network_arch_init_kwargs)

    def _do_i_compile(self) -> bool:
        """Do not compile what finds a box in a stack: shapes depend on the data, so it would be compiled again."""
        return not (self.crops or self.predicts_stacks) and super()._do_i_compile()

    # -------------------------------------------------------------------------------------------------------- data

    @property
    def sees_stacks(self) -> bool:
        """Whether samples are slices in training and stacks at prediction, or windows of stacks."""
        return self.crops or super().sees_stacks

    def guarded_transforms(self, transforms: BasicTransform) -> BasicTransform:
        """Leave zero what the rule zeroes outside the box of the heart."""
        masks = self.crops and self.region_rule.mask_outside
        return ZerosStayZero(transforms) if masks else super().guarded_transforms(transforms)

    @property
    def places_samples(self) -> bool:
        """Whether this package says where a sample lies: on the region, if this configuration crops."""
        return self.crops

    def sample_datasets(self, train: Any, val: Any) -> tuple[Any, Any]:
        """Load datasets of regions if this configuration crops."""
        if not self.crops:
            return super().sample_datasets(train, val)
        jitter = self.configuration_manager.configuration.get("jitter", 8)
        return (
            self._regions(train.identifiers, self._sample_size, jitter),
            self._regions(val.identifiers, self.region_rule.window, 0),
        )

    def _count_images(self, dataset: Any) -> int:
        # The shape is all that is wanted, and coarse predictions may be missing where they are simulated.
        plain = self.dataset_class(self.preprocessed_dataset_folder, list(dataset.identifiers))
        return super()._count_images(plain)

    def _regions(self, cases: list[str], size: tuple[int, ...], jitter: int | Sequence[int]) -> RegionDataset:
        missing = set(self._without_coarse_prediction(cases))
        folder = self.preprocessed_dataset_folder
        with_coarse = self.dataset_class(
            folder, [c for c in cases if c not in missing], self.folder_with_segs_from_previous_stage
        )
        simulated = self.dataset_class(folder, sorted(missing))
        return RegionDataset(with_coarse, simulated, self.region_rule, size, jitter, self._coarse_simulation())

    def _coarse_simulation(self) -> CoarseSimulation:
        """What the first stage makes: the labels of all structures, the box of some of them, or a map of the heart."""
        structures = tuple(int(value) for value in self.label_manager.foreground_labels)
        configuration = self.plans_manager.get_configuration(self._previous_stage)
        network = configuration.network_arch_class_name
        if network == GCAM_LOCALISER:
            return CoarseSimulation("map", structures)
        if network != ROI_REGRESSOR:
            return CoarseSimulation("labels", structures)
        named = anatomy_labels(self.dataset_json["labels"])
        centre = TRAINERS[self.coarse_trainer.split("_")[0]].boxed or tuple(named)
        boxed = tuple(named[anatomy] for anatomy in centre if anatomy in named)
        per_slice = bool(configuration.network_arch_init_kwargs.get("per_slice"))
        return CoarseSimulation("box", structures, boxed, per_slice)

    # ------------------------------------------------------------------------------------------------- first stage

    # Fold `all` is validated on what it was trained on. Its predictions must not pass for those out of fold, so they
    # lie in a folder of their own, which only the validation of fold `all` of a cropping configuration reads.

    def on_train_start(self) -> None:
        """Refuse to start without the coarse predictions that this fold needs."""
        if self.crops:
            train, val = self.do_split()
            self._require_coarse_predictions(val if self._simulates_coarse_labels else [*train, *val])
        super().on_train_start()

    @property
    def _simulates_coarse_labels(self) -> bool:
        return self.configuration_manager.configuration.get("coarse_labels") == "simulated"

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Validate as nnU-Net does, after checking that the coarse predictions are there."""
        base, coarse = self.output_folder_base, self.folder_with_segs_from_previous_stage
        if self.crops:
            cases = self.do_split()[1]
            self._require_coarse_predictions(cases)
            self.folder_with_segs_from_previous_stage = str(self._coarse_folder(cases))
        if self.fold == "all":
            self.output_folder_base = self.output_folder  # nnU-Net takes it for `predicted_next_stage` alone here
        try:
            super().perform_actual_validation(save_probabilities)
        finally:
            self.output_folder_base, self.folder_with_segs_from_previous_stage = base, coarse

    def _coarse_model(self) -> Path:
        """Result folder of the first stage."""
        return Path(self.folder_with_segs_from_previous_stage).parent.parent

    def _coarse_folder(self, cases: list[str]) -> Path:
        """Folder of the coarse predictions for validation: out of fold, or fold `all`'s own where some are missing."""
        own = folder_of_all(self._coarse_model(), self.configuration_name)
        if self.fold == "all" and self._without_coarse_prediction(cases) and predicted(own, cases) == set(cases):
            return own
        return Path(self.folder_with_segs_from_previous_stage)

    def _without_coarse_prediction(self, cases: list[str]) -> list[str]:
        """Cases that no network has predicted which has not been trained on them."""
        return sorted(set(cases) - predicted_out_of_fold(self._coarse_model(), self.configuration_name, cases))

    def _require_coarse_predictions(self, cases: list[str]) -> None:
        missing = self._without_coarse_prediction(cases)
        if self.fold == "all" and self._simulates_coarse_labels:  # what is missing is for its validation alone
            missing = sorted(set(missing) - predicted(self._coarse_folder(cases), missing))
        if not missing:
            return
        shown = ", ".join(missing[:_SHOWN_CASES]) + (", ..." if len(missing) > _SHOWN_CASES else "")
        commands = "\n".join(f"  {command}" for command in self._commands_for(missing))
        linked = (
            f"First stages that other trainers train need a link in the plans, too: {self.plan_command}\n"
            if self._unlinked
            else ""
        )
        commands = commands or "  (none: splits_final.json validates these cases in no fold; add them to one)"
        instead = (
            "; training cases have simulated coarse labels, cases for validation need predictions."
            if self._simulates_coarse_labels
            else f", or accept simulated coarse labels for training cases:\n  {self.plan_command} --coarse simulated"
        )
        raise UserError(
            f"{self.configuration_name} crops from the predictions of "
            f"{self._previous_stage}, and those of {len(missing)} of {len(set(cases))} cases "
            f"are missing in {self.folder_with_segs_from_previous_stage}: {shown}.\nThe first stage writes them when "
            "it validates a fold; fold all, which is validated on what it was trained on, does not count. "
            f"{linked}Run\n{commands}\n(with --val for a fold that is trained already){instead}"
        )

    def _commands_for(self, missing: list[str]) -> list[str]:
        """First-stage trainings whose validation writes the missing predictions."""
        splits = read_folds(Path(self.preprocessed_dataset_folder_base))
        if self.fold == "all" and self._simulates_coarse_labels:
            folds: list[Any] = ["all"]
        elif splits is None:
            folds = list(range(DRAWN_FOLDS))
        else:
            folds = [i for i, split in enumerate(splits) if set(split["val"]) & set(missing)]
        base = [
            "nnUNetv2_train",
            self.plans_manager.dataset_name,
            self._previous_stage,
        ]
        options = ["-tr", self.coarse_trainer, "-p", self.plans_manager.plans_name, "-device", self.device.type]
        return [shlex.join([*base, str(fold), *options]) for fold in folds]
