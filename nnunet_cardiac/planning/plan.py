"""Add the configurations that a trainer needs to nnU-Net's plans file."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.patients.cohort import Cohort, read_patients
from nnunet_cardiac.patients.fold_file import FILE_NAME, fold_warnings, known_cases
from nnunet_cardiac.patients.repeated import shown_groups
from nnunet_cardiac.patients.splits import patient_splits
from nnunet_cardiac.patients.tables import find_tables
from nnunet_cardiac.planning.entries import fresh_entries
from nnunet_cardiac.planning.links import link, missing_links, resolved_entry, unlink_missing
from nnunet_cardiac.planning.options import PAPER, CropOptions, decided_values, remembered, with_options
from nnunet_cardiac.planning.orientation_record import with_record
from nnunet_cardiac.planning.repeated import groups_by_image
from nnunet_cardiac.planning.replanning import (
    Change,
    as_json,
    changes,
    noted,
    planned_options,
    replanned,
    with_noted_batch,
)
from nnunet_cardiac.planning.shared_plans import (
    OTHERS,
    OWNER,
    entries_for,
    planned_entry,
    planned_trainers,
    with_configurations,
    with_data_of,
)
from nnunet_cardiac.planning.targets import Target, current_entries, find_target
from nnunet_cardiac.systems import FIRST_TRAINER, TRAINERS

logger = logging.getLogger(__name__)

_NOTHING_SAID = CropOptions()


@dataclass(frozen=True)
class Planned:
    """What planning did.

    Attributes:
        path: The plans file.
        kind: Of the plans: `Small`, `Short`, `Paper`, or empty for nnU-Net's own.
        entries: Configurations of the trainer that were added or kept, by name.
        changed: Values that are others than before.
        kept: Values that the user wrote and that stay, with what would have been planned.
        linked: First stage and configuration that crops from it, where `next_stage` did not name it.
        unlinked: First stage and configuration in its `next_stage` that is not there any more.
    """

    path: Path
    kind: str
    entries: dict[str, dict[str, Any]]
    changed: Sequence[Change]
    kept: Sequence[Change]
    linked: Sequence[tuple[str, str]]
    unlinked: Sequence[tuple[str, str]]


def plan_configurations(
    preprocessed: Path,
    plans_name: str = "nnUNetPlans",
    trainer: str = FIRST_TRAINER,
    options: CropOptions = _NOTHING_SAID,
    progress: bool = True,
    anew: bool = False,
    raw: Path | None = None,
) -> Planned:
    """Add a trainer's configurations to a plans file, or plan them again.

    The file is replaced atomically and only if something changes; the previous one stays beside it as
    `<plans>.json.backup`, `.backup2` and so on. With `options.small`, `short` or `paper` the given plans stay as they
    are and `<plans>Small.json`, `<plans>Short.json` or `<plans>Paper.json` is written; plans that are of such a kind
    already are planned again as what they are. What a user wrote into an entry stays, see
    :mod:`nnunet_cardiac.planning.replanning`.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`, planned and preprocessed for the system's base, `2d` or
            `3d_fullres`.
        plans_name: Name of the plans file without ending.
        trainer: Name in the registry.
        options: The user's choices.
        progress: Whether to show a progress bar.
        anew: Forget earlier options and the user's own values.
        raw: `nnUNet_raw/<dataset>`, if it is there.

    Returns:
        What was planned and what became of earlier entries.

    Raises:
        UserError: If the plans file or the preprocessed data is missing or of another kind, or labels do not fit.
    """
    base = TRAINERS[trainer].base
    target = find_target(preprocessed, plans_name, options.kind, base)
    names = read_json(preprocessed / "dataset.json")["labels"]
    current = {} if anew else current_entries(target, trainer)
    earlier = {name: value for entry in current.values() for name, value in planned_options(entry).items()}
    hold = remembered(earlier, options.given)
    decided = decided_values(options.given, hold)
    fresh = fresh_entries(target, preprocessed, trainer, names, with_options(hold), progress)
    merged = {
        n: replanned(current[n], entry, decided) if n in current else as_json(entry) for n, entry in fresh.items()
    }
    entries = {name: noted(entry, fresh[name], hold, target.kind) for name, entry in merged.items()}
    before = target.plans["configurations"] if target.path.is_file() else {}
    old = {name: entry for name in entries if (entry := planned_entry(before, name, trainer)) is not None}
    new, moved = _with_entries(target, entries, trainer)
    linked = _link_all(new)
    unlinked = [
        (coarse, gone) for coarse in new["configurations"] for gone in unlink_missing(new["configurations"], coarse)
    ]
    _write(target.path, with_record(new, preprocessed, raw))
    return Planned(
        target.path,
        target.kind,
        {name: entry for name, entry in entries.items() if name != base or target.kind == PAPER},
        [*(change for name in old for change in changes(name, old[name], entries[name])), *moved],
        [change for name in current if name in fresh for change in _kept(name, entries[name], fresh[name])],
        linked,
        unlinked,
    )


def _kept(name: str, entry: Mapping[str, Any], fresh: Mapping[str, Any]) -> Iterator[Change]:
    """Values of an entry that were not planned."""
    for change in changes(name, as_json(fresh), entry):
        if change.path[0] != "data_identifier":
            yield Change(name, change.path, change.new, change.old)


def _with_entries(
    target: Target, entries: Mapping[str, Mapping[str, Any]], trainer: str
) -> tuple[dict[str, Any], list[Change]]:
    """Plans with the entries, and the data folders that moving plans had left behind in entries of single trainers."""
    plans, base = target.plans, TRAINERS[trainer].base
    if target.kind == PAPER and TRAINERS[trainer].is_for_volumes:
        # nnU-Net preprocesses what it finds outside `trainers`, so the paper's grid has to be there.
        plans["configurations"][base].setdefault(OWNER, trainer)
    new = with_configurations(plans, entries, trainer)
    with_noted_batch(new["configurations"][base])
    moved: list[Change] = []
    for name, entry in new["configurations"].items():
        for other, own in entry.get(OTHERS, {}).items():
            with_data = with_data_of(entry, own)
            if with_data != own:
                moved += changes(f"{name} of {other}", own, with_data)
                entry[OTHERS][other] = with_data
    return new, moved


def _link_all(plans: dict[str, Any]) -> list[tuple[str, str]]:
    """Let every first stage name the configurations that crop from it, in place; those of users are not linked yet.

    Raises:
        UserError: If a first stage is not in the plans.
    """
    configurations = plans["configurations"]
    linked = []
    for trainer in ("", *planned_trainers(configurations)):
        view = entries_for([trainer], configurations)
        for name in view:
            coarse = resolved_entry(view, name).get("previous_stage")
            if coarse is not None and coarse not in view:
                raise UserError(
                    f"plans {plans.get('plans_name')!r}: configuration {name!r} crops from {coarse!r}, which is not "
                    f"there; expected one of {', '.join(view)}. Correct its previous_stage."
                )
        for coarse, name in list(missing_links(view)):
            link(configurations[coarse], name)
            linked.append((coarse, name))
    return list(dict.fromkeys(linked))


def _write(path: Path, plans: Mapping[str, Any]) -> None:
    """Write plans if they are new or others than in the file, which is kept as a backup then."""
    if not path.is_file():
        write_json(path, plans)
    elif plans != read_json(path):
        shutil.copy2(path, _free_backup_name(path))
        write_json(path, plans)


def ensure_patient_splits(
    preprocessed: Path, raw: Path | None, cohort: Cohort | None = None, progress: bool = False
) -> Path:
    """Make sure that nnU-Net trains with folds by patient; patients who share an image count as one.

    A split that comes with the raw data set is taken over; else one is drawn. A split that is there already stays.
    Warnings say what was guessed of the patients, which patients are on both sides of a fold, and which are in none.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        raw: `nnUNet_raw/<dataset>`, if known.
        cohort: Whose the training cases are; by default what the tables of the raw data set or the names say.
        progress: Whether to show a progress bar while images are compared.

    Returns:
        The file `splits_final.json`.

    Raises:
        UserError: If there are fewer patients than folds.
    """
    path = preprocessed / FILE_NAME
    if cohort is None:
        cohort = read_patients(known_cases(preprocessed), [] if raw is None else find_tables(raw))
    groups = groups_by_image(preprocessed, raw, cohort, progress)
    if not path.is_file():
        given = raw / FILE_NAME if raw is not None else None
        if given is not None and given.is_file():
            splits = read_json(given)
        else:
            splits = patient_splits(cohort.cases, patients=cohort.by_case, groups=groups)
            if groups:
                logger.warning(
                    "%s: %s show the same images; the folds keep them together.",
                    preprocessed.name,
                    shown_groups(groups),
                )
        write_json(path, splits)
    cohort.warn(preprocessed.name)
    for warning in fold_warnings(preprocessed, cohort):
        logger.warning("%s", warning)
    return path


def _free_backup_name(path: Path) -> Path:
    """First of `.backup`, `.backup2`, ... that does not exist: no earlier plans are ever lost."""
    candidate, number = path.with_name(f"{path.name}.backup"), 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.backup{number}")
    return candidate
