"""Training recipes: what one is made of, nnU-Net's own, and how a plans file changes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from nnunet_cardiac.errors import UserError

#: Key of a configuration in the plans file whose entries replace fields of the recipe.
PLANS_KEY = "recipe"

#: Fields of a recipe that say how a network learns; the others say how long, and in which batches.
DECIDED = (
    "optimizer",
    "initial_lr",
    "weight_decay",
    "schedule",
    "milestones",
    "gamma",
    "loss",
    "augmentation",
    "flips",
    "gate_source",
    "gate_warmup",
    "max_gradient_norm",
)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        optimizer: `adam` or `sgd` (Nesterov momentum 0.99).
        initial_lr: Learning rate at the start.
        weight_decay: L2 penalty.
        schedule: `steps` (the rate is multiplied by `gamma` at the milestones) or `poly` (nnU-Net's polynomial decay to
            the last epoch).
        milestones: Epochs of `steps`; none keeps the rate constant. They move with the number of epochs, unless the
            plans say both.
        gamma: Factor at a milestone.
        epochs: Number of epochs.
        batch_size: Samples per step; None takes the plans' value.
        iterations: Steps per epoch; None means one pass over the training images.
        val_iterations: Validation steps per epoch; None means one pass, at most 50.
        loss: `dice` (sigmoid Dice with squares), `dice_sum` (denominator of sums, pushes false positives of absent
            structures down), `bce_dice` (half binary cross-entropy, half Dice), `softmax_dice` (Dice over all classes;
            of a single structure Dice plus binary cross-entropy), `softmax_dice_foreground` (the same without the
            background), `dice_ce` (nnU-Net's) or `gated` (that of the classifier-guided network; others train both
            of its stages without gates).
        gate_source: Who opens the gates of `gated`: the classifier (`pred`), the reference (`gt`) or either
            (`pred_or_gt`).
        gate_warmup: Epochs at the start in which all gates are open, so that the refinement of a class is trained that
            an untrained classifier finds nowhere.
        augmentation: `paper` (the system's own), `nnunet`, or `mild` (small shifts, scales and changes of brightness).
        flips: Whether augmentation flips images in-plane, which makes hearts that do not exist.
        patience: Epochs without a better moving average of the validation Dice after which training stops and the best
            weights become the final ones; None trains all epochs.
        test_time_mirroring: Whether prediction averages over flipped images, as nnU-Net does.
        max_gradient_norm: Longer gradients are shortened to this, where nnU-Net's own limit of 12 is too long.
    """

    optimizer: str = "adam"
    initial_lr: float = 1e-4
    weight_decay: float = 0.0
    schedule: str = "steps"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    epochs: int = 500
    batch_size: int | None = 8
    iterations: int | None = None
    val_iterations: int | None = None
    loss: str = "dice"
    augmentation: str = "paper"
    flips: bool = True
    test_time_mirroring: bool = True
    patience: int | None = None
    gate_source: str = "pred"
    gate_warmup: int = 0
    max_gradient_norm: float | None = None

    def __post_init__(self) -> None:
        """Check the choices, so that a typing error in a plans file is found before training."""
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"recipe: {name} is {getattr(self, name)!r}, expected one of {', '.join(allowed)}.")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"recipe: {name} is {getattr(self, name)!r}, expected true or false.")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"recipe: {name} is {value!r}, expected a positive number.")

    def with_plans(self, configuration: Mapping[str, Any], epochs: int | None = None) -> Recipe:
        """Return the recipe with the entries of a plans configuration's `recipe` put in.

        Milestones and a warm-up that the plans do not name stay at their share of the training: milestones of 100 and
        200 of 500 epochs become 4 and 8 of 20.

        Args:
            configuration: Of the plans.
            epochs: Number of epochs that the name of the trainer says, which wins; None if it says none.

        Raises:
            UserError: If an entry is no field of a recipe.
        """
        changes = configuration.get(PLANS_KEY) or {}
        unknown = sorted(set(changes) - {f.name for f in fields(self)})
        if unknown:
            known = ", ".join(f.name for f in fields(self))
            raise UserError(f"plans: {PLANS_KEY} has unknown entries {', '.join(unknown)}; known are {known}.")
        lasting = epochs or changes.get("epochs", self.epochs)
        # Rounded up: no rate but the first one in a training of a single epoch.
        moved: dict[str, Any] = {
            "milestones": tuple(-(-milestone * lasting // self.epochs) for milestone in self.milestones),
            "gate_warmup": -(-self.gate_warmup * lasting // self.epochs),
        }
        return replace(self, **{**moved, **changes, "epochs": lasting})


#: Fields of a recipe -> what they may be.
CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("adam", "sgd"),
    "schedule": ("steps", "poly"),
    "loss": ("dice", "dice_sum", "bce_dice", "softmax_dice", "softmax_dice_foreground", "dice_ce", "gated"),
    "gate_source": ("pred", "gt", "pred_or_gt"),
    "augmentation": ("paper", "nnunet", "mild"),
}

_SWITCHES = ("flips", "test_time_mirroring")

_POSITIVE = (
    "epochs",
    "initial_lr",
    "gamma",
    "batch_size",
    "iterations",
    "val_iterations",
    "patience",
    "max_gradient_norm",
)

#: nnU-Net 2.8.1's own recipe.
NNUNET = Recipe(
    optimizer="sgd",
    initial_lr=1e-2,
    weight_decay=3e-5,
    schedule="poly",
    epochs=1000,
    batch_size=None,
    iterations=250,
    val_iterations=50,
    loss="dice_ce",
    augmentation="nnunet",
)
