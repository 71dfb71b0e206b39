"""Which nnU-Net trainings a configuration needs, and which of them are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.folders import dataset_number
from nnunet_cardiac.trainer_plans import plans_for


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

    def command(self, configuration: str, fold: str, *options: str) -> list[str]:
        """Return the stock command that trains one fold."""
        words = ["nnUNetv2_train", self.preprocessed.name, configuration, fold, "-tr", self.trainer]
        return [*words, "-p", self.plans_name, "-device", self.device, *options]

    def model_folder(self, configuration: str) -> Path:
        """Return the folder into which nnU-Net writes a configuration."""
        return self.results / f"{self.trainer}__{self.plans_name}__{configuration}"

    def missing_step(self, configuration: str, fold: str, next_stage: str | None, options: Sequence[str]) -> list[str]:
        """Return the command that finishes one fold, or nothing if it is finished.

        Finished means a final checkpoint, a validation summary and, before a next stage, the predictions for it.
        """
        folder = self.model_folder(configuration) / f"fold_{fold}"
        if not (folder / "checkpoint_final.pth").is_file():
            resumable = any((folder / f"checkpoint_{name}.pth").is_file() for name in ("latest", "best"))
            return self.command(configuration, fold, *options, *(["--c"] if resumable else []))
        validated = (folder / "validation" / "summary.json").is_file()
        if validated and (next_stage is None or self._handed_on(configuration, fold, next_stage)):
            return []
        return self.command(configuration, fold, *options, "--val")

    def _handed_on(self, configuration: str, fold: str, next_stage: str) -> bool:
        folder = self.model_folder(configuration) / "predicted_next_stage" / next_stage
        done = {file.stem for file in folder.glob("*.b2nd")} | {file.stem for file in folder.glob("*.npz")}
        splits = self.preprocessed / "splits_final.json"
        if fold == "all" or not splits.is_file():
            return bool(done)
        return set(read_json(splits)[int(fold)]["val"]) <= done

    def all_stages(self, configuration: str, folds: Sequence[str], options: Sequence[str] = ()) -> list[list[str]]:
        """Return the commands that train a configuration with everything before it; what is done is left out.

        A previous stage needs all five folds, because a training case must be cropped from the prediction of a network
        that has not seen it, unless the plans say that missing coarse labels are simulated.
        """
        stages = self.chain(configuration)
        commands = []
        for stage, following in zip(stages, [*stages[1:], None], strict=True):
            simulated = following and self.configurations[following].get("coarse_labels") == "simulated"
            needs_all = following is not None and not simulated and "all" not in folds
            for fold in ["0", "1", "2", "3", "4"] if needs_all else folds:
                command = self.missing_step(stage, fold, following, options)
                if command:
                    commands.append(command)
        return commands
