"""Can this version of nnU-Net, and this package, work with a plans file?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_cardiac.checks.problems import Problems
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow.folders import dataset_number

#: Top-level keys of nnU-Net v1, whose plans were pickles.
_V1_KEYS = {"plans_per_stage", "num_stages", "base_num_features", "num_pool_per_axis"}

#: Keys of a configuration before nnU-Net 2.5, which moved them to `architecture.arch_kwargs`.
_OLD_KEYS = {
    "UNet_class_name",
    "UNet_base_num_features",
    "conv_kernel_sizes",
    "pool_op_kernel_sizes",
    "unet_max_num_features",
}


def check_plans(plans: Mapping[str, Any], path: Path | str) -> None:
    """Check that a plans file comes from a matching nnU-Net and holds a usable `2d` configuration.

    Args:
        plans: Content of the plans file.
        path: Where it came from, for the message.

    Raises:
        UserError: With all problems found and the command that makes new plans.
    """
    problems = Problems()
    configurations = plans.get("configurations")
    if _V1_KEYS & plans.keys() or not isinstance(configurations, Mapping):
        found = ", ".join(sorted(_V1_KEYS & plans.keys())) or "no 'configurations'"
        problems.add(f"{path}: {found}; these are no plans of nnU-Net v2. {_plan_again(plans)}")
    elif "2d" not in configurations:
        found = ", ".join(configurations) or "none"
        problems.add(f"{path}: configurations {found}; expected 2d too. {_plan_again(plans)}")
    else:
        for name in configurations:
            _check_configuration(plans, name, path, problems)
    problems.raise_if_any("plans")


def _check_configuration(plans: Mapping[str, Any], name: str, path: Path | str, problems: Problems) -> None:
    configurations = plans["configurations"]
    chain, current = [name], configurations[name]
    while (parent := current.get("inherits_from")) is not None:
        if parent not in configurations or parent in chain:
            reason = "which inherits from itself" if parent in chain else "which does not exist"
            problems.add(f"{path}: {name} inherits from {parent!r}, {reason}. {_plan_again(plans)}")
            return
        chain.append(parent)
        current = configurations[parent]
    merged: dict[str, Any] = {}
    for ancestor in reversed(chain):
        merged |= configurations[ancestor]
    _check_age(plans, name, merged, path, problems)
    _check_spacing(plans, name, merged, path, problems)


def _check_age(
    plans: Mapping[str, Any], name: str, merged: Mapping[str, Any], path: Path | str, problems: Problems
) -> None:
    old = ", ".join(sorted(_OLD_KEYS & merged.keys()))
    if old:
        problems.add(
            f"{path}: {name} has the keys {old} of nnU-Net before 2.5, which 2.8 ignores or guesses from; expected "
            f"'architecture' alone. {_plan_again(plans)}"
        )
    elif "architecture" not in merged:
        problems.add(f"{path}: {name} has no 'architecture'; nnU-Net 2.5 and later write it. {_plan_again(plans)}")


def _check_spacing(
    plans: Mapping[str, Any], name: str, merged: Mapping[str, Any], path: Path | str, problems: Problems
) -> None:
    # A configuration derived from 2d keeps its two spacings, whatever it is called.
    expected = 2 if name == "2d" else 3 if name.startswith("3d") else None
    spacing = merged.get("spacing", ())
    if expected is not None and len(spacing) != expected:
        problems.add(
            f"{path}: {name} has spacing {list(spacing)}; expected {expected} numbers (mm). {_plan_again(plans)}"
        )


def _plan_again(plans: Mapping[str, Any]) -> str:
    number = dataset_number(Path(plans["dataset_name"])) if "dataset_name" in plans else "ID"
    return f"Plan again with: nnUNetv2_plan_and_preprocess -d {number}"


def check_patch_size(patch_size: Sequence[int], divisor: int | Sequence[int], place: str) -> None:
    """Check that a network takes the patch of the plans, before data are unpacked for training.

    nnU-Net plans patches for its own networks; for images below 100 pixels they may not fit others.

    Args:
        patch_size: Sides in voxels.
        divisor: What the network needs them to be multiples of, a number for all sides or one for each.
        place: Plans file and configuration, for the message.

    Raises:
        UserError: If a side is no multiple.
    """
    divisors = [divisor] * len(patch_size) if isinstance(divisor, int) else list(divisor)
    if any(side % n for side, n in zip(patch_size, divisors, strict=True)):
        needed = [-(-side // n) * n for side, n in zip(patch_size, divisors, strict=True)]
        raise UserError(
            f"{place}: patch_size is {list(patch_size)}, and the network needs multiples of "
            f"{divisor if isinstance(divisor, int) else divisors}. Change it to "
            f"{needed} there; nothing has to be preprocessed again."
        )
