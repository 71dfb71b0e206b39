"""Planned again, an entry keeps what a user wrote; options given now change their own values and nothing else."""

from __future__ import annotations

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.planning.shared_plans import plans_for
from nnunet_cardiac.systems import TRAINERS

HALSR = "HALSRNetTrainer"


def plan(folder, name="nnUNetPlans", trainer="CroCNetTrainer", anew=False, **options):
    return plan_configurations(folder, name, trainer, CropOptions(**options), progress=False, anew=anew)


def configurations(planned) -> dict:
    return read_json(planned.path)["configurations"]


def places(found) -> dict:
    return {change.place: (change.old, change.new) for change in found}


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("kind", ["", "small", "short", "paper"])
def test_planning_again_changes_nothing(preprocessed, trainer, kind) -> None:
    options = {kind: True} if kind else {}
    first = plan(preprocessed, trainer=trainer, **options)
    content = first.path.read_bytes()
    for again in (plan(preprocessed, trainer=trainer, **options), plan(preprocessed, first.path.stem, trainer)):
        assert (again.path, again.kind) == (first.path, first.kind)
        assert (list(again.changed), list(again.kept)) == ([], [])
    assert first.path.read_bytes() == content
    assert len(list(preprocessed.glob("*.backup*"))) == (not kind)  # of nnU-Net's own plans, from the first time


def test_what_the_user_wrote_stays_and_is_named(preprocessed, edit) -> None:
    plan(preprocessed)

    def change(found):
        crop = found["2d_crop"]
        crop["recipe"] = {"initial_lr": 5e-4}
        crop["batch_size"] = 6
        crop["jitter"] = 4
        crop["architecture"]["arch_kwargs"]["network_kwargs"] = {"base_width": 8}
        found["2d_crop_single"]["architecture"]["arch_kwargs"]["network_kwargs"]["layer_scale_init"] = 0.1

    edit(change)
    again = plan(preprocessed)
    crop = configurations(again)["2d_crop"]
    assert (crop["recipe"], crop["batch_size"], crop["jitter"]) == ({"initial_lr": 5e-4}, 6, 4)
    assert crop["architecture"]["arch_kwargs"]["network_kwargs"] == {"base_width": 8}
    single = configurations(again)["2d_crop_single"]["architecture"]["arch_kwargs"]["network_kwargs"]
    assert single == {"mode": "single", "layer_scale_init": 0.1}
    assert list(again.changed) == []
    assert places(again.kept) == {
        "2d_crop: recipe.initial_lr": (5e-4, None),
        "2d_crop: batch_size": (6, None),
        "2d_crop: jitter": (4, 8),
        "2d_crop: architecture.arch_kwargs.network_kwargs.base_width": (8, None),
        "2d_crop_single: architecture.arch_kwargs.network_kwargs.layer_scale_init": (0.1, None),
    }
    forgotten = plan(preprocessed, anew=True)
    assert "recipe" not in configurations(forgotten)["2d_crop"]
    assert configurations(forgotten)["2d_crop"]["jitter"] == 8


def test_what_the_user_wrote_for_a_second_system_stays(preprocessed, edit) -> None:
    plan(preprocessed)
    plan(preprocessed, trainer=HALSR)
    edit(lambda found: found["2d_crop"]["trainers"][HALSR].update(recipe={"patience": 40}))
    again = plan(preprocessed, trainer=HALSR, coarse_labels="simulated")
    entry = configurations(again)["2d_crop"]["trainers"][HALSR]
    assert (entry["recipe"], entry["coarse_labels"]) == ({"patience": 40}, "simulated")
    assert configurations(again)["2d_crop"]["coarse_labels"] == "predicted"
    assert places(again.kept) == {"2d_crop: recipe.patience": (40, None)}


def test_options_hold_until_they_are_given_anew(preprocessed) -> None:
    plan(preprocessed, coarse_labels="simulated", window=96, per_slice=True, heart_only=False)
    again = plan(preprocessed, mask_outside=True)
    crop = configurations(again)["2d_crop"]
    kwargs = crop["architecture"]["arch_kwargs"]
    assert (crop["coarse_labels"], kwargs["window"], kwargs["per_slice"]) == ("simulated", [96, 96], True)
    assert (kwargs["heart_only"], kwargs["mask_outside"]) == (False, True)
    changed = {place.partition(": ")[2]: values for place, values in places(again.changed).items()}
    assert changed == {"architecture.arch_kwargs.mask_outside": (False, True)}

    back = plan(preprocessed, coarse_labels="predicted", per_slice=False, heart_only=True)
    crop = configurations(back)["2d_crop"]
    kwargs = crop["architecture"]["arch_kwargs"]
    assert (crop["coarse_labels"], kwargs["per_slice"], kwargs["mask_outside"]) == ("predicted", False, True)
    assert "heart_only" not in kwargs


def test_an_option_wins_over_what_the_user_wrote(preprocessed, edit) -> None:
    plan(preprocessed)
    edit(lambda found: found["2d_crop"].update(coarse_labels="simulated", jitter=2))
    assert configurations(plan(preprocessed))["2d_crop"]["coarse_labels"] == "simulated"
    again = plan(preprocessed, coarse_labels="predicted")
    assert configurations(again)["2d_crop"]["coarse_labels"] == "predicted"
    assert configurations(again)["2d_crop"]["jitter"] == 2


def test_another_localiser_forgets_the_trainer_of_the_earlier_one(preprocessed) -> None:
    plan(preprocessed, trainer=HALSR, localiser="2d", localiser_trainer="CroCNetTrainer")
    again = plan(preprocessed, trainer=HALSR, localiser="2d_roi")
    crop = configurations(again)["2d_crop"]
    assert crop["previous_stage"] == "2d_roi"
    assert "coarse_trainer" not in crop


def test_a_new_margin_measures_the_window_again_unless_it_was_given(preprocessed) -> None:
    def window(planned) -> list[int]:
        return configurations(planned)["2d_crop"]["architecture"]["arch_kwargs"]["window"]

    # The heart spans columns 59 to 140: 82 and twice the margin, rounded up to a multiple of 16.
    assert window(plan(preprocessed)) == [112, 112]
    assert window(plan(preprocessed, margin=40)) == [176, 176]
    assert window(plan(preprocessed, window=128)) == [128, 128]
    assert window(plan(preprocessed, margin=15)) == [128, 128]


def test_new_data_change_what_was_measured_and_not_what_was_written(preprocessed, edit, monkeypatch) -> None:
    from nnunet_cardiac.planning import hearts as module

    plan(preprocessed)
    edit(lambda found: found["2d_crop_single"]["architecture"]["arch_kwargs"].update(window=[160, 160]))
    original = module.reference_labels
    monkeypatch.setattr(module, "reference_labels", lambda *_: (labels.repeat(2, 2) for labels in original()))
    again = plan(preprocessed)
    kwargs = {name: entry["architecture"]["arch_kwargs"] for name, entry in again.entries.items()}
    assert kwargs["2d_crop"]["window"] == [208, 208]  # 164 + 30 pixels
    assert kwargs["2d_crop_single"]["window"] == [160, 160]
    assert places(again.changed)["2d_crop: architecture.arch_kwargs.window"] == ([112, 112], [208, 208])
    assert places(again.kept)["2d_crop_single: architecture.arch_kwargs.window"] == ([160, 160], [208, 208])


def test_entries_of_earlier_versions_count_as_the_users(preprocessed, edit) -> None:
    plan(preprocessed, window=96, coarse_labels="simulated", jitter=5)

    def forget(found):
        for entry in found.values():
            entry.pop("planned", None)

    edit(forget)
    again = plan(preprocessed, per_slice=True)
    crop = configurations(again)["2d_crop"]
    kwargs = crop["architecture"]["arch_kwargs"]
    assert (kwargs["window"], crop["coarse_labels"], crop["jitter"]) == ([96, 96], "simulated", 5)
    assert kwargs["per_slice"] is True


def test_a_network_of_the_users_choice_gets_no_arguments_of_another(preprocessed, edit) -> None:
    plan(preprocessed, small=True)
    own = {"network_class_name": "nnunet_cardiac.architectures.halsr_net.HALSRNet", "arch_kwargs": {"gates": False}}
    edit(lambda found: found["2d"].update(architecture=own), "nnUNetPlansSmall")
    again = plan(preprocessed, small=True)
    assert configurations(again)["2d"]["architecture"] == own


@pytest.mark.parametrize("kind", ["small", "short", "paper"])
def test_plans_of_a_kind_stay_of_that_kind(preprocessed, kind) -> None:
    """What the message on missing coarse predictions tells: `plan -p nnUNetPlansSmall --coarse simulated`."""
    first = plan(preprocessed, **{kind: True})
    before = configurations(first)
    again = plan(preprocessed, first.path.stem, coarse_labels="simulated")
    assert again.path == first.path
    after = configurations(again)
    for name in ("2d_crop", "2d_crop_uncoupled", "2d_crop_single"):
        assert after[name]["coarse_labels"] == "simulated"
        assert after[name]["architecture"] == before[name]["architecture"]
        assert after[name]["recipe"] == before[name]["recipe"]
    assert after["2d"]["architecture"] == before["2d"]["architecture"]
    # Another system that is planned there is of the same kind.
    halsr = plan(preprocessed, first.path.stem, HALSR)
    assert halsr.path == first.path
    assert plans_for([HALSR], read_json(first.path))["configurations"]["2d_crop"]["recipe"]["loss"] == "bce_dice"


def test_small_plans_of_earlier_versions_stay_small(preprocessed, edit) -> None:
    first = plan(preprocessed, small=True)
    edit(lambda found: [entry.pop("planned", None) for entry in found.values()], "nnUNetPlansSmall")
    before = configurations(first)["2d_crop"]["architecture"]
    again = plan(preprocessed, "nnUNetPlansSmall", coarse_labels="simulated")
    assert (again.path, again.kind) == (first.path, "Small")
    assert configurations(again)["2d_crop"]["architecture"] == before
    assert configurations(again)["2d_crop"]["coarse_labels"] == "simulated"


@pytest.mark.parametrize("trainer", TRAINERS)
def test_plans_of_a_kind_need_not_those_they_came_from(preprocessed, trainer) -> None:
    """As after moving them to another data set."""
    first = plan(preprocessed, trainer=trainer, small=True)
    content = configurations(first)
    (preprocessed / "nnUNetPlans.json").unlink()
    again = plan(preprocessed, "nnUNetPlansSmall", trainer)
    assert (again.kind, list(again.changed), list(again.kept)) == ("Small", [], [])
    assert configurations(again) == content


def test_kinds_are_not_mixed(preprocessed) -> None:
    plan(preprocessed, small=True)
    with pytest.raises(
        UserError, match=r"plans of --small, and --short starts from nnU-Net's own. Give -p nnUNetPlans"
    ):
        plan(preprocessed, "nnUNetPlansSmall", short=True)


def test_full_networks_that_were_copied_into_small_plans_become_small(preprocessed) -> None:
    plan(preprocessed, trainer=HALSR)
    plan(preprocessed, small=True)  # copies HALSR-Net's entries as they are
    again = plan(preprocessed, "nnUNetPlansSmall", HALSR)
    entry = plans_for([HALSR], read_json(again.path))["configurations"]["2d_crop"]
    assert entry["architecture"]["arch_kwargs"]["network_kwargs"] == {"features": [32, 64, 128, 256, 512]}


def test_nnunet_planning_again_is_followed(preprocessed) -> None:
    """nnU-Net replaces its own configurations and keeps the others: links and notes are made again."""
    planned = plan(preprocessed)
    plans = read_json(planned.path)
    plans["configurations"]["2d"] = {
        "data_identifier": "nnUNetPlans_2d",
        "batch_size": 20,
        "patch_size": [256, 224],
        "spacing": [1.5, 1.5],
        "architecture": plans["configurations"]["2d"]["architecture"],
    }
    write_json(planned.path, plans)
    again = plan(preprocessed)
    base = configurations(again)["2d"]
    assert base["next_stage"] == ["2d_crop", "2d_crop_uncoupled", "2d_crop_single"]
    assert base["planned"] == {"values": {"batch_size": 20}}
