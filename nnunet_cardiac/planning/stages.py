"""Which nnU-Net trainings a configuration needs, which of them are done, and what prevents them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.patients.fold_file import check_data, check_fold, count_folds, known_cases, read_folds
from nnunet_cardiac.planning.coarse_predictions import folder_of_all, predicted, predicted_out_of_fold, shared_folder
from nnunet_cardiac.planning.shared_plans import plans_for
from nnunet_cardiac.workflow.folders import dataset_number


@dataclass(frozen=True)
class TrainingSetup:
    """One trainer on one data set.

    Attributes:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        results: `nnUNet_results/<dataset>`; need not exist.
        trainer: Class name, the value of `-tr`.
        plans_name: Name of the plans file without ending.
        device: `cuda`, `cpu` or `mps`.
    """

    preprocessed: Path
    results: Path
    trainer: str
    plans_name: str
    device: str

    @property
    def configurations(self) -> Mapping[str, Any]:
        """The plans' configurations.

        Raises:
            UserError: If there is no plans file.
        """
        path = self.preprocessed / f"{self.plans_name}.json"
        if not path.is_file():
            raise UserError(
                f"{path}: no such plans file. Plan first: "
                f"nnUNetv2_plan_and_preprocess -d {dataset_number(self.preprocessed)} -c 2d"
            )
        return plans_for([self.trainer.split("_")[0]], read_json(path))["configurations"]

    def chain(self, configuration: str) -> list[str]:
        """Return the configuration and its previous stages, first stage first.

        Raises:
            UserError: If the plans lack one of them.
        """
        configurations = self.configurations
        names = [configuration]
        while True:
            if names[0] not in configurations:
                raise UserError(
                    f"{self.plans_name}.json of {self.preprocessed.name} has no configuration {names[0]!r}; it has "
                    f"{', '.join(configurations)}. Add the cropping ones: nnunet_cardiac plan "
                    f"-d {self.preprocessed.name} -p {self.plans_name} -tr {self.trainer.split('_')[0]}"
                )
            previous = configurations[names[0]].get("previous_stage")
            if previous is None:
                return names
            names.insert(0, previous)

    def check(self, stages: Sequence[str], folds: Sequence[str]) -> None:
        """Refuse what cannot be trained, before anything is.

        Args:
            stages: Configurations that will be trained.
            folds: Folds of the last one.

        Raises:
            UserError: If a stage is not preprocessed, or the file of folds names unknown cases or lacks a fold.
        """
        self.check_folds(folds)
        for stage in stages:
            entry = self._resolved(stage)
            if "data_identifier" in entry:
                check_data(self.preprocessed, stage, entry["data_identifier"], self.plans_name)

    def check_folds(self, folds: Sequence[str]) -> None:
        """Refuse folds that the data set does not have.

        Raises:
            UserError: With the folds that there are.
        """
        for fold in folds:
            check_fold(self.preprocessed, fold)

    def _resolved(self, configuration: str) -> dict[str, Any]:
        """A configuration with all that it inherits."""
        own = self.configurations[configuration]
        parent = own.get("inherits_from")
        return {**(self._resolved(parent) if parent else {}), **own}

    def command(self, configuration: str, fold: str, *options: str, trainer: str | None = None) -> list[str]:
        """Return the stock command that trains one fold, with another trainer if one is named."""
        words = ["nnUNetv2_train", self.preprocessed.name, configuration, fold, "-tr", trainer or self.trainer]
        return [*words, "-p", self.plans_name, "-device", self.device, *options]

    def model_folder(self, configuration: str, trainer: str | None = None) -> Path:
        """Return the folder into which nnU-Net writes a configuration."""
        return self.results / f"{trainer or self.trainer}__{self.plans_name}__{configuration}"

    def missing_step(self, configuration: str, fold: str, next_stage: str | None, options: Sequence[str]) -> list[str]:
        """Return the command that finishes one fold, or nothing if it is finished.

        Finished means a final checkpoint, a validation summary and, before a next stage, the predictions for it.
        """
        trainer = self._trainer_before(next_stage)
        model = self.model_folder(configuration, trainer)
        folder = model / f"fold_{fold}"
        if not (folder / "checkpoint_final.pth").is_file():
            resumable = any((folder / f"checkpoint_{name}.pth").is_file() for name in ("latest", "best"))
            return self.command(configuration, fold, *options, *(["--c"] if resumable else []), trainer=trainer)
        validated = (folder / "validation" / "summary.json").is_file()
        if validated and (next_stage is None or self._has_predicted(model, fold, next_stage)):
            return []
        return self.command(configuration, fold, *options, "--val", trainer=trainer)

    def _trainer_before(self, next_stage: str | None) -> str:
        """The trainer of the stage before a cropping configuration, whose plans may name another than ours."""
        if next_stage is None:
            return self.trainer
        return self.configurations[next_stage].get("coarse_trainer", self.trainer)

    def _has_predicted(self, model: Path, fold: str, next_stage: str) -> bool:
        """Whether a fold has written what the next stage needs of it."""
        folds = read_folds(self.preprocessed)
        if fold == "all":
            cases = known_cases(self.preprocessed) or {c for f in folds or () for c in (*f["train"], *f["val"])}
            folders = (folder_of_all(model, next_stage), shared_folder(model, next_stage))
            return any(cases <= predicted(folder, cases) for folder in folders)
        cases = set() if folds is None else set(folds[int(fold)]["val"])
        return cases <= predicted_out_of_fold(model, next_stage, cases)

    def all_stages(self, configuration: str, folds: Sequence[str], options: Sequence[str] = ()) -> list[list[str]]:
        """Return the commands that train a configuration with everything before it; what is done is left out.

        A previous stage needs all numbered folds, also before fold `all`: a training case must be cropped from the
        prediction of a network that has not seen it. Where the plans say that missing coarse labels are simulated, the
        same folds as of the configuration are enough.

        Raises:
            UserError: If the data set does not have one of the folds.
        """
        self.check_folds(folds)
        stages = self.chain(configuration)
        every = [str(fold) for fold in range(count_folds(self.preprocessed))]
        wanted = list(folds)
        trainings: list[tuple[str, str | None, list[str]]] = []
        for stage, following in reversed(list(zip(stages, [*stages[1:], None], strict=True))):
            if following is not None and self.configurations[following].get("coarse_labels") != "simulated":
                wanted = every
            trainings.insert(0, (stage, following, wanted))
        steps = [
            self.missing_step(stage, fold, next_stage, options) for stage, next_stage, f in trainings for fold in f
        ]
        return [step for step in steps if step]
