"""`plan --short`: the papers' networks with the recipe that the table's rows `short` have, in plans of their own."""

from __future__ import annotations

import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS
from nnunet_cardiac.benchmark.accuracy.plan import training_patch, write_plans
from nnunet_cardiac.benchmark.accuracy.rows import ROWS
from nnunet_cardiac.files import read_json
from nnunet_cardiac.planning.links import resolved_entry
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.planning.shared_plans import plans_for
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.recipe import DECIDED, Recipe
from nnunet_cardiac.trainers import variants


def planned(preprocessed, trainer: str, **options) -> tuple[str, dict]:
    """Name and content of the plans of a trainer, as it reads them."""
    path = plan_configurations(preprocessed, trainer=trainer, options=CropOptions(**options), progress=False).path
    return path.stem, plans_for([trainer], read_json(path))


def size(plans: dict, trainer: str, configuration: str) -> int:
    """Parameters of the network that a trainer builds."""
    manager = PlansManager(plans)
    own = manager.get_configuration(configuration)
    channels = 1 if own.previous_stage_name is None else 4
    network = getattr(variants, trainer).build_network_architecture(manager, own, channels, 4, False)
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("trainer", TRAINERS)
def test_networks_are_the_papers_and_smaller_in_small_plans(preprocessed, trainer) -> None:
    (_, own), (short_name, short), (small_name, small) = (
        planned(preprocessed, trainer, **options) for options in ({}, {"short": True}, {"small": True})
    )
    assert (short_name, small_name) == ("nnUNetPlansShort", "nnUNetPlansSmall")
    for name in (one.name for one in TRAINERS[trainer].configurations if not one.needs_paper_plans):
        full = size(own, trainer, name)
        assert size(short, trainer, name) == full
        assert size(small, trainer, name) < full


@pytest.mark.parametrize(
    "name", ["crocnet", "crocnet-single", "halsr", "halsr-no-roi", "guided", "dr-unet", "dr-unet-full"]
)
def test_the_recipe_is_the_one_of_the_table(preprocessed, name) -> None:
    row = ROWS[name]
    _, plans = planned(preprocessed, row.trainer, short=True)
    table = read_json(write_plans(preprocessed, row, "short", BUDGETS["cpu-small"], "simulated"))
    for stage in row.stages:
        own, tested = (resolved_entry(found["configurations"], stage.configuration) for found in (plans, table))
        recipe, wanted = (Recipe().with_plans(entry) for entry in (own, tested))
        for field in (*DECIDED, "patience", "batch_size"):
            assert getattr(recipe, field) == getattr(wanted, field), field
        assert recipe.epochs == 100
        assert recipe.iterations is None  # an epoch is a pass
        if not stage.localises:
            assert training_patch(own)[:-2] == training_patch(tested)[:-2]  # as many slices in a sample


def test_given_plans_stay_and_systems_share_the_short_ones(preprocessed) -> None:
    given = (preprocessed / "nnUNetPlans.json").read_bytes()
    planned(preprocessed, "CroCNetTrainer", short=True)
    path = plan_configurations(
        preprocessed, trainer="HALSRNetTrainer", options=CropOptions(short=True), progress=False
    ).path
    losses = [
        plans_for([trainer], read_json(path))["configurations"]["2d"]["recipe"]["loss"]
        for trainer in ("CroCNetTrainer", "HALSRNetTrainer")
    ]
    assert losses == ["dice_ce", "bce_dice"]
    assert (preprocessed / "nnUNetPlans.json").read_bytes() == given
