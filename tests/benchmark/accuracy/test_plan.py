"""Every row: its plans, its networks and how many slices they see."""

from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS
from nnunet_cardiac.benchmark.accuracy.plan import (
    count_slices,
    mean_slices,
    plans_name,
    training_patch,
    write_plans,
)
from nnunet_cardiac.benchmark.accuracy.rows import ROWS, is_stock, recipes_of
from nnunet_cardiac.files import read_json
from nnunet_cardiac.planning.links import resolved_entry
from nnunet_cardiac.trainers import variants

#: M parameters at full size, from the papers' tables and the documentation of each system.
PARAMETERS = {
    "crocnet-first-stage": (17.06,),
    "crocnet-single": (17.06, 1.648),
    "crocnet-uncoupled": (17.06, 1.648),
    "crocnet": (17.06, 5.338),
    "halsr": (3.847, 10.83),
    "guided-ss": (7.42,),
    "guided-ss-ref": (14.84,),
    "guided-ss-ref-mt": (14.87,),
    "guided-as": (10.58,),
    "guided-as-mt": (10.61,),
    "guided-as-ref": (21.16,),
    "guided": (21.19,),
    "dr-unet-full": (10.15,),
    "dr-unet": (0.639, 10.15),
    "dr-unet-end-to-end": (10.79,),
}


def networks(folder, name, recipe, budget) -> list[nn.Module]:
    """Networks of the stages, as their trainer builds them from the plans."""
    row = ROWS[name]
    path = write_plans(folder, row, recipe, BUDGETS[budget], "simulated")
    built = []
    for stage in row.stages:
        manager = PlansManager(read_json(path))
        configuration = manager.get_configuration(stage.configuration)
        trainer = nnUNetTrainer if is_stock(row) else getattr(variants, row.trainer)
        channels = 1 if configuration.previous_stage_name is None else 4
        built.append(trainer.build_network_architecture(manager, configuration, channels, 4, is_stock(row)))
    return built


@pytest.mark.parametrize("name", ROWS)
def test_every_row_plans_and_builds_its_networks(preprocessed, name) -> None:
    found = networks(preprocessed, name, recipes_of(ROWS[name])[0], "smoke")
    assert len(found) == len(ROWS[name].stages)
    assert all(sum(p.numel() for p in network.parameters()) < 5e6 for network in found)
    for recipe in recipes_of(ROWS[name])[1:]:
        assert write_plans(preprocessed, ROWS[name], recipe, BUDGETS["smoke"], "simulated").is_file()


@pytest.mark.parametrize(("name", "millions"), PARAMETERS.items())
def test_full_networks_have_the_size_of_the_paper(preprocessed, name, millions) -> None:
    found = networks(preprocessed, name, "paper", "gpu-10min")
    sizes = [sum(p.numel() for p in network.parameters()) for network in found]
    assert [size / 1e6 for size in sizes] == pytest.approx(list(millions), rel=2e-3)


@pytest.mark.parametrize("budget", BUDGETS)
def test_switches_reach_the_network(preprocessed, budget) -> None:
    (whole,) = networks(preprocessed, "dr-unet-full", "short", budget)
    (pooled,) = networks(preprocessed, "dr-unet-full-pool-z", "short", budget)
    assert whole.step == (1, 2, 2)
    assert pooled.step == (2, 2, 2)
    _, crop = networks(preprocessed, "dr-unet-pool-z", "short", budget)
    assert crop.inner.step == (2, 2, 2)
    _, halsr = networks(preprocessed, "halsr-no-reconstruction", "short", budget)
    assert halsr.inner.reconstruction is None
    _, halsr = networks(preprocessed, "halsr-no-hapm", "short", budget)
    assert isinstance(halsr.inner.bottleneck, nn.Identity)


@pytest.mark.parametrize("budget", ["cpu-small"])
def test_every_network_sees_the_budgets_slices(preprocessed, budget) -> None:
    wanted = BUDGETS[budget].samples
    for name, row in ROWS.items():
        plans = read_json(write_plans(preprocessed, row, recipes_of(row)[0], BUDGETS[budget], "simulated"))
        assert mean_slices(preprocessed, plans) == 10
        for stage in row.stages:
            own = resolved_entry(plans["configurations"], stage.configuration)
            recipe = own["recipe"]
            samples = recipe["epochs"] * recipe["iterations"] * own["batch_size"]
            seen = samples * count_slices(own, 10.0)
            assert seen == pytest.approx(wanted * stage.samples, rel=0.02), (name, stage.configuration)
            whole = own.get("previous_stage") is None and not stage.localises
            assert not whole or max(training_patch(own)[-2:]) <= 128
            assert own["mirroring"] is False


def test_slices_of_a_sample_by_hand(preprocessed) -> None:
    def counted(name, number):
        row = ROWS[name]
        plans = read_json(write_plans(preprocessed, row, recipes_of(row)[0], BUDGETS["cpu-small"], "simulated"))
        own = resolved_entry(plans["configurations"], row.stages[number].configuration)
        return count_slices(own, 10.0), own["recipe"]["iterations"]

    assert counted("nnunet-2d", 0) == (1, 60)  # 12000 / (25 epochs * 8)
    assert counted("nnunet-2d-double", 0) == (1, 120)
    assert counted("guided", 0) == (5, 48)  # 12000 / (25 epochs * 2 * 5 slices)
    assert counted("nnunet-3d", 0) == (10, 24)  # 12000 / (25 epochs * 2 patches of 10 slices)
    assert counted("dr-unet", 0) == (10, 24)  # the localiser sees whole volumes
    assert counted("dr-unet", 1) == counted("dr-unet-full", 0) == counted("dr-unet-end-to-end", 0) == (5, 48)
    assert counted("dr-unet-full-pool-z", 0) == (8, 30)  # three poolings of the slices


def test_rows_of_a_family_share_their_plans_and_first_stage(preprocessed) -> None:
    budget = BUDGETS["smoke"]
    first = write_plans(preprocessed, ROWS["crocnet"], "short", budget, "simulated")
    content = first.read_bytes()
    assert write_plans(preprocessed, ROWS["crocnet-single"], "short", budget, "simulated") == first
    assert first.read_bytes() == content
    plans = read_json(first)
    crops = ["2d_crop", "2d_crop_uncoupled", "2d_crop_single"]
    assert sorted(plans["configurations"]["2d"]["next_stage"]) == sorted(crops)
    assert plans["configurations"]["2d"]["validate"]  # it hands its predictions on
    assert not any(resolved_entry(plans["configurations"], name)["validate"] for name in crops)


def test_families_and_recipes_have_plans_of_their_own() -> None:
    names = {plans_name(row, recipe) for row in ROWS.values() for recipe in recipes_of(row)}
    families = {(row.trainer, row.plans, recipe) for row in ROWS.values() for recipe in recipes_of(row)}
    assert len(names) == len(families)
    assert not names & {"nnUNetPlans", "nnUNetResEncUNetMPlans"}  # nnU-Net's own stay as they are


def test_recipes_in_the_plans(preprocessed) -> None:
    def recipe(name, number, which, budget="gpu-10min"):
        row = ROWS[name]
        plans = read_json(write_plans(preprocessed, row, which, BUDGETS[budget], "simulated"))
        return resolved_entry(plans["configurations"], row.stages[number].configuration)

    paper = recipe("crocnet", 0, "paper")
    # Milestones 100 and 200 of 500 epochs, at 40 epochs.
    assert paper["recipe"]["milestones"] == [8, 16]
    assert (paper["recipe"]["loss"], paper["recipe"]["augmentation"]) == ("dice", "paper")
    short = recipe("crocnet", 1, "short")["recipe"]
    assert (short["initial_lr"], short["loss"], short["augmentation"]) == (3e-3, "dice_ce", "nnunet")
    plain = recipe("crocnet", 1, "plain", "cpu-small")
    assert plain["recipe"]["augmentation"] == "paper"
    assert plain["mirroring"] is True
    learns = ("initial_lr", "loss", "schedule")
    assert [plain["recipe"][name] for name in learns] == [short[name] for name in learns]
    assert recipe("halsr", 0, "plain")["recipe"]["augmentation"] == "mild"  # the regressor keeps its own
    stock = recipe("halsr", 1, "nnunet")["recipe"]
    assert (stock["optimizer"], stock["initial_lr"], stock["loss"]) == ("sgd", 1e-2, "dice_ce")
    box = recipe("halsr", 0, "nnunet")["recipe"]
    assert (box["augmentation"], box["initial_lr"]) == ("mild", 1e-3)
    assert all(entry["patience"] is None for entry in (paper["recipe"], short, stock, box))
    baseline = recipe("nnunet-2d-double", 0, "nnunet")
    assert set(baseline["recipe"]) == {"epochs", "iterations", "val_iterations"}
    assert baseline["training_minutes"] == 20
    assert paper["training_minutes"] == 10


def test_a_first_stage_of_another_budget_is_planned_anew(preprocessed) -> None:
    small = read_json(write_plans(preprocessed, ROWS["guided"], "short", BUDGETS["cpu-small"], "simulated"))
    full = read_json(write_plans(preprocessed, ROWS["guided"], "short", BUDGETS["gpu-10min"], "simulated"))
    sides = [resolved_entry(plans["configurations"], "2d_stack")["training_patch_size"][-2:] for plans in (small, full)]
    assert sides == [[128, 128], [192, 192]]
