"""Where the predictions of a stage for the next one lie, and which fold wrote them. Imports no torch and no nnU-Net.

nnU-Net writes those of all folds into one folder, `predicted_next_stage/<configuration>` of the model. A numbered fold
writes its validation cases, which it has not trained on; fold `all` validates what it was trained on and would put its
results in their place. Our trainers let fold `all` write into its own folder. Other trainers do not, so the times
of the files decide who wrote last.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

_ENDINGS = (".b2nd", ".npz")


def shared_folder(model: Path, next_stage: str) -> Path:
    """Folder of the predictions out of fold: nnU-Net's own."""
    return model / "predicted_next_stage" / next_stage


def folder_of_all(model: Path, next_stage: str) -> Path:
    """Folder of what fold `all` predicts of its own training cases."""
    return shared_folder(model / "fold_all", next_stage)


def predicted(folder: Path, cases: Iterable[str]) -> set[str]:
    """Return the cases that a folder holds a prediction of."""
    return {case for case in cases if _file(folder, case) is not None}


def predicted_out_of_fold(model: Path, next_stage: str, cases: Iterable[str]) -> set[str]:
    """Return the cases with a prediction that fold `all` did not write.

    Args:
        model: Folder of the trained configuration, `<trainer>__<plans>__<configuration>`.
        next_stage: Configuration that crops.
        cases: Case names.
    """
    folder = shared_folder(model, next_stage)
    found = {case: path for case in cases if (path := _file(folder, case)) is not None}
    if not (model / "fold_all" / "validation").is_dir():
        return set(found)
    return {case for case, path in found.items() if not _written_by_all(model, path, case)}


def _file(folder: Path, case: str) -> Path | None:
    return next((path for end in _ENDINGS if (path := folder / f"{case}{end}").is_file()), None)


def _written_by_all(model: Path, prediction: Path, case: str) -> bool:
    """Whether the prediction is nearer in time to the validation of fold `all` than to that of a numbered fold."""
    written = prediction.stat().st_mtime
    distance = {
        kind: min((abs(path.stat().st_mtime - written) for path in _validated(model, kind, case)), default=None)
        for kind in ("all", "[0-9]*")
    }
    if distance["all"] is None:
        return False
    return distance["[0-9]*"] is None or distance["all"] < distance["[0-9]*"]


def _validated(model: Path, fold: str, case: str) -> Iterable[Path]:
    return model.glob(f"fold_{fold}/validation/{glob.escape(case)}.*")
