"""Where the stages of a trained system lie: result folders, folds and checkpoints, found without torch.

nnU-Net writes a trained configuration into `nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION`. A configuration with
a `previous_stage` needs the one before it, of the same trainer unless its plans name a `coarse_trainer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.label_values import refuse_regions

FINAL = "checkpoint_final.pth"


@dataclass(frozen=True)
class StageFolder:
    """One trained configuration.

    Attributes:
        folder: `TRAINER__PLANS__CONFIGURATION`.
        trainer: Class name of its trainer.
        plans_name: Name of its plans.
        configuration: Name of the configuration.
        checkpoints: Fold -> checkpoint file, in the order in which they are averaged.
    """

    folder: Path
    trainer: str
    plans_name: str
    configuration: str
    checkpoints: Mapping[str, Path]


def find_stages(
    folder: Path | str, folds: Sequence[str | int] | None = None, checkpoint: str = FINAL
) -> list[StageFolder]:
    """Find a trained configuration and everything it crops from.

    Args:
        folder: Result folder of the last stage, or a folder that holds one system's result folders.
        folds: Folds to average, such as `(0, 1)` or `("all",)`, the same for each stage. None takes each stage's
            trained folds, and `fold_all` only where there is no other.
        checkpoint: File name in the fold folders.

    Returns:
        Stages, first stage first.

    Raises:
        UserError: If a stage, a fold or a file of it is missing, the choice is not clear, or the labels are regions.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a result folder of nnU-Net (TRAINER__PLANS__CONFIGURATION).")
    if not (folder / "plans.json").is_file():
        folder = _last_stage_in(folder)
    stages: list[StageFolder] = []
    wanted_by = None
    while True:
        stage, previous = _read_stage(folder, folds, checkpoint, wanted_by)
        if any(stage.folder == later.folder for later in stages):
            raise UserError(f"{folder}/plans.json: {stage.configuration} is its own previous stage; correct the plans.")
        stages.insert(0, stage)
        if previous is None:
            return stages
        folder, wanted_by = previous, stage


def _read_stage(
    folder: Path, folds: Sequence[str | int] | None, checkpoint: str, wanted_by: StageFolder | None
) -> tuple[StageFolder, Path | None]:
    """Return a stage and the folder of the stage before it."""
    if wanted_by is not None and not folder.is_dir():
        raise UserError(
            f"{folder}: {wanted_by.configuration} crops from the prediction of this stage, and it is not there. Train "
            "it (nnunet_cardiac train --all-stages), or copy its result folder beside that of "
            f"{wanted_by.configuration}."
        )
    trainer, plans_name, configuration = _split_name(folder)
    for name in ("plans.json", "dataset.json"):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: {name} is missing; copy the whole result folder of the training.")
    refuse_regions(read_json(folder / "dataset.json").get("labels", {}), f"{folder}/dataset.json")
    plans = read_json(folder / "plans.json")
    configurations = plans["configurations"]
    if configuration not in configurations:
        raise UserError(
            f"{folder}/plans.json has no configuration {configuration!r}, only {', '.join(configurations)}. "
            "Do not rename result folders."
        )
    previous = inherited(configurations, configuration, "previous_stage")
    coarse_trainer = inherited(configurations, configuration, "coarse_trainer") or trainer
    before = None if previous is None else folder.parent / f"{coarse_trainer}__{plans_name}__{previous}"
    checkpoints = _checkpoints(folder, folds, checkpoint)
    return StageFolder(folder, trainer, plans_name, configuration, checkpoints), before


def image_channels(dataset_json: Mapping[str, Any]) -> int:
    """Image channels that a model was trained with."""
    return len(dataset_json.get("channel_names", dataset_json.get("modality", {"0": ""})))


def inherited(configurations: Mapping[str, Any], name: str, key: str) -> Any:
    """Return an entry of a configuration, or of what it `inherits_from`; None if no one has it."""
    seen: set[str] = set()
    while name in configurations and name not in seen:
        seen.add(name)
        if key in configurations[name]:
            return configurations[name][key]
        name = configurations[name].get("inherits_from", "")
    return None


def _split_name(folder: Path) -> tuple[str, str, str]:
    parts = folder.resolve().name.split("__")
    if len(parts) != 3:
        raise UserError(
            f"{folder}: not the name of a result folder; expected TRAINER__PLANS__CONFIGURATION, as nnU-Net wrote it."
        )
    return parts[0], parts[1], parts[2]


def _last_stage_in(folder: Path) -> Path:
    """Return the one result folder in `folder` that no other one crops from."""
    found = sorted(path.parent for path in folder.glob("*__*__*/plans.json"))
    if not found:
        raise UserError(f"{folder}: no plans.json and no result folder TRAINER__PLANS__CONFIGURATION inside.")
    earlier = set()
    for path in found:
        trainer, plans_name, configuration = _split_name(path)
        configurations = read_json(path / "plans.json")["configurations"]
        previous = inherited(configurations, configuration, "previous_stage")
        coarse_trainer = inherited(configurations, configuration, "coarse_trainer") or trainer
        earlier.add(f"{coarse_trainer}__{plans_name}__{previous}")
    last = [path for path in found if path.name not in earlier]
    if len(last) != 1:
        names = "".join(f"\n  {path}" for path in last or found)
        raise UserError(f"{folder} holds several trained systems; give the folder of the last stage of one:{names}")
    return last[0]


def _checkpoints(folder: Path, folds: Sequence[str | int] | None, checkpoint: str) -> dict[str, Path]:
    trained = sorted(path.parent.name.removeprefix("fold_") for path in folder.glob(f"fold_*/{checkpoint}"))
    if not trained:
        others = sorted({path.name for path in folder.glob("fold_*/checkpoint_*.pth")})
        hint = f"; there are {', '.join(others)}: choose one with -chk" if others else "; train a fold first"
        raise UserError(f"{folder}: no fold with {checkpoint}{hint}.")
    if folds is None:
        chosen = [fold for fold in trained if fold != "all"] or ["all"]
    else:
        chosen = [str(fold) for fold in folds]
        missing = [fold for fold in chosen if fold not in trained]
        if missing:
            raise UserError(
                f"{folder}: {checkpoint} is missing in fold {', '.join(missing)}; trained are {', '.join(trained)}. "
                "Choose among them with -f, or train the missing ones."
            )
    return {fold: folder / f"fold_{fold}" / checkpoint for fold in chosen}
