"""Whose a recipe and a batch size of a plans file are, read through the trainers as nnU-Net makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as stock_module

from nnunet_cardiac.files import read_json
from nnunet_cardiac.planning.batch_size import batch_size_for
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.planning.shared_plans import plans_for
from nnunet_cardiac.systems.crocnet import RECIPE as CROCNET
from nnunet_cardiac.systems.halsr import RECIPE as HALSR
from nnunet_cardiac.trainers import variants

CROC, HALSR_NET = "CroCNetTrainer", "HALSRNetTrainer"
MINE = {"initial_lr": 0.0123}


def plan(folder, trainer=CROC):
    return plan_configurations(folder, trainer=trainer, progress=False)


@pytest.fixture
def trainer(preprocessed, monkeypatch, tmp_path):
    """Function that makes a trainer on the plans in the folder, without data."""
    results = Path(tmp_path / "results")
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_raw"):
        monkeypatch.setattr(stock_module, name, _Folder(results), raising=False)

    def make(name: str, configuration: str, plans: str = "nnUNetPlans"):
        content = {**read_json(preprocessed / f"{plans}.json"), "continue_training": False}  # as nnUNetv2_train does
        described = read_json(preprocessed / "dataset.json")
        return getattr(variants, name)(content, configuration, 0, described, torch.device("cpu"))

    return make


class _Folder(str):
    """What `nnunetv2.paths` has instead of a string."""

    def __new__(cls, path):
        return super().__new__(cls, str(path))

    def is_set(self) -> bool:
        return True


def batch(made) -> tuple[int, str]:
    lines = []
    made.print_to_log_file = lambda *words, **_: lines.append(" ".join(map(str, words)))
    made._set_batch_size_and_oversample()
    return made.batch_size, "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------- recipes


def test_a_recipe_of_2d_stays_in_2d(preprocessed, edit, trainer) -> None:
    plan(preprocessed)
    plan(preprocessed, HALSR_NET)
    edit(lambda found: found["2d"].update(recipe=MINE))
    assert trainer(CROC, "2d").recipe.initial_lr == 0.0123
    for name, configurations in {
        CROC: ("2d_crop", "2d_crop_single", "2d_crop_uncoupled"),
        HALSR_NET: ("2d", "2d_roi", "2d_crop"),
    }.items():
        for configuration in configurations:
            usual = {CROC: CROCNET, HALSR_NET: HALSR}[name]
            assert trainer(name, configuration).recipe == usual, (name, configuration)
    assert "belongs under 'trainers', 'HALSRNetTrainer'" in batch(trainer(HALSR_NET, "2d"))[1]
    assert "trainers" not in batch(trainer(CROC, "2d"))[1]


def test_a_recipe_of_2d_is_that_of_the_one_system_in_the_plans(preprocessed, edit, trainer) -> None:
    edit(lambda found: found["2d"].update(recipe=MINE))
    assert trainer(CROC, "2d").recipe.initial_lr == trainer(HALSR_NET, "2d").recipe.initial_lr == 0.0123
    plan(preprocessed, HALSR_NET)
    assert trainer(HALSR_NET, "2d").recipe.initial_lr == 0.0123
    assert trainer(HALSR_NET, "2d_crop").recipe == HALSR


def test_a_second_system_needs_the_recipe_alone(preprocessed, edit, trainer) -> None:
    plan(preprocessed)
    plan(preprocessed, HALSR_NET)
    edit(lambda found: found["2d"].update(recipe={"epochs": 7}, trainers={HALSR_NET: {"recipe": MINE}}))
    halsr = trainer(HALSR_NET, "2d")
    assert (halsr.recipe.initial_lr, halsr.recipe.epochs) == (0.0123, HALSR.epochs)
    assert halsr.configuration_manager.patch_size == [256, 224]
    assert trainer(CROC, "2d").recipe.epochs == 7


def test_what_differs_is_enough_in_a_cropping_configuration_too(preprocessed, edit, trainer) -> None:
    plan(preprocessed)
    edit(lambda found: found["2d_crop"].update(trainers={HALSR_NET: {"batch_size": 5}}))
    edit(lambda found: found["2d"].update(recipe=MINE))
    halsr = trainer(HALSR_NET, "2d_crop")
    assert halsr.region_rule.window == (112, 112)
    assert halsr.recipe == HALSR
    assert batch(halsr)[0] == 5


def test_end_to_end_takes_no_recipe_of_the_multi_stage_system(preprocessed, edit, trainer) -> None:
    for name in ("DRUNetTrainer", "DRUNetEndToEndTrainer"):
        plan(preprocessed, name)
    edit(lambda found: found["3d_fullres"].update(recipe=MINE))
    assert trainer("DRUNetTrainer", "3d_fullres").recipe.initial_lr == 0.0123
    assert trainer("DRUNetTrainer", "3d_crop").recipe.initial_lr == 1e-4
    assert trainer("DRUNetTrainer", "3d_locate").recipe.initial_lr == 1e-4
    assert trainer("DRUNetEndToEndTrainer", "3d_joint").recipe.initial_lr == 1e-4
    assert trainer("DRUNetEndToEndTrainer", "3d_fullres").recipe.initial_lr == 1e-4


def test_a_configuration_of_the_users_inherits_the_recipe(preprocessed, edit, trainer) -> None:
    plan(preprocessed)

    def add(found):
        found["2d_crop"]["recipe"] = MINE
        found["2d_crop_wide"] = {"inherits_from": "2d_crop"}
        found["2d_crop_own"] = {"inherits_from": "2d_crop", "recipe": {"epochs": 3}}

    edit(add)
    assert trainer(CROC, "2d_crop_wide").recipe.initial_lr == 0.0123
    own = trainer(CROC, "2d_crop_own").recipe
    assert (own.initial_lr, own.epochs) == (1e-4, 3)


def test_plans_without_names_of_trainers_are_read_as_before_but_for_the_leak(preprocessed, edit, trainer) -> None:
    plan(preprocessed)

    def early(found):
        for entry in found.values():
            entry.pop("planned_for", None)
            entry.pop("planned", None)
        found["2d"]["recipe"] = MINE

    edit(early)
    assert trainer(CROC, "2d").recipe.initial_lr == 0.0123
    assert trainer(CROC, "2d_crop").recipe == CROCNET


def test_notes_of_planning_reach_no_network(preprocessed, trainer) -> None:
    plan(preprocessed)
    for configuration in ("2d", "2d_crop"):
        made = trainer(CROC, configuration)
        _, kwargs = made.resolved_architecture(made.configuration_manager)
        assert "planned" not in str(kwargs)


# --------------------------------------------------------------------------------------------------------- batch sizes


def test_the_recipe_of_the_trainer_wins_over_nnunets_batch(preprocessed, trainer) -> None:
    plan(preprocessed)
    size, log = batch(trainer(CROC, "2d"))
    assert size == 8
    assert "A step has 8 samples: the trainer's recipe; batch_size 49 in nnUNetPlans.json is what nnU-Net" in log
    assert batch(trainer(CROC, "2d_crop"))[0] == 8
    assert batch(trainer("CroCNetTrainer_nnUNetRecipe", "2d"))[0] == 49


def test_the_users_batch_wins_over_the_recipe_of_the_trainer(preprocessed, edit, trainer) -> None:
    plan(preprocessed)
    edit(lambda found: (found["2d"].update(batch_size=12), found["2d_crop"].update(batch_size=6)))
    assert batch(trainer(CROC, "2d")) == (12, "A step has 12 samples: batch_size of 2d in nnUNetPlans.json.")
    assert batch(trainer(CROC, "2d_crop"))[0] == 6
    assert batch(trainer(CROC, "2d_crop_single"))[0] == 8  # shares the data of 2d and nothing else
    plan(preprocessed)  # again: the note of what nnU-Net wrote stays
    assert batch(trainer(CROC, "2d"))[0] == 12


def test_the_recipe_in_the_plans_wins_over_both(preprocessed, edit, trainer) -> None:
    plan(preprocessed)
    edit(lambda found: found["2d_crop"].update(batch_size=6, recipe={"batch_size": 3}))
    assert batch(trainer(CROC, "2d_crop")) == (
        3,
        "A step has 3 samples: recipe.batch_size of 2d_crop in nnUNetPlans.json, which goes before batch_size 6 of "
        "2d_crop.",
    )


def test_a_configuration_of_the_users_has_and_inherits_its_batch(preprocessed, edit, trainer) -> None:
    plan(preprocessed)

    def add(found):
        found["2d_bs4"] = {"inherits_from": "2d", "batch_size": 4}  # the example in nnU-Net's documentation
        found["2d_plain"] = {"inherits_from": "2d"}
        found["2d_crop"]["batch_size"] = 5
        found["2d_crop_wide"] = {"inherits_from": "2d_crop"}

    edit(add)
    assert [batch(trainer(CROC, name))[0] for name in ("2d_bs4", "2d_plain", "2d_crop_wide")] == [4, 8, 5]


def test_batches_of_whole_stacks(preprocessed, edit, trainer) -> None:
    plan(preprocessed, "ClassifierGuidedTrainer")
    made = trainer("ClassifierGuidedTrainer", "2d_stack")
    assert batch(made)[0] == 1
    edit(lambda found: found["2d_stack"].update(batch_size=2))
    assert batch(trainer("ClassifierGuidedTrainer", "2d_stack"))[0] == 2
    edit(lambda found: found["2d_stack"].pop("planned"))  # of an earlier version, which wrote 1
    assert batch(trainer("ClassifierGuidedTrainer", "2d_stack"))[0] == 2


def test_without_a_note_nobody_knows_what_nnunet_wrote(preprocessed, edit) -> None:
    edit(lambda found: found["2d"].update(batch_size=12))
    plans = plans_for([CROC], read_json(preprocessed / "nnUNetPlans.json"))
    size, reason = batch_size_for(plans, "2d", 8, 12)
    assert size == 8
    assert "recipe.batch_size would change it" in reason
