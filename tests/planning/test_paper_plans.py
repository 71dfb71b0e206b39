"""`plan --paper`: the numbers of the papers, checked against what they print."""

from __future__ import annotations

import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_cardiac import cli
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.paper import paper_notes
from nnunet_cardiac.planning.paper_grid import STACKS
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.planning.request import on_grid
from nnunet_cardiac.planning.shared_plans import plans_for
from nnunet_cardiac.planning.volume_sizes import VolumeGeometry
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers import variants


def plan(folder, trainer, **options):
    return plan_configurations(folder, trainer=trainer, options=CropOptions(paper=True, **options), progress=False)


def read(planned, trainer) -> PlansManager:
    return PlansManager(plans_for([trainer], read_json(planned.path)))


def network(manager, trainer, configuration, channels=None):
    own = manager.get_configuration(configuration)
    channels = channels or (1 if own.previous_stage_name is None else 4)
    return getattr(variants, trainer).build_network_architecture(manager, own, channels, 4, False)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_system_has_plans_of_its_paper(preprocessed, trainer) -> None:
    given = (preprocessed / "nnUNetPlans.json").read_bytes()
    planned = plan(preprocessed, trainer)
    assert (planned.path.name, planned.kind) == ("nnUNetPlansPaper.json", "Paper")
    assert (preprocessed / "nnUNetPlans.json").read_bytes() == given
    manager = read(planned, trainer)
    for name in planned.entries:
        assert Recipe().with_plans(manager.get_configuration(name).configuration) == TRAINERS[trainer].paper.recipe
        network(manager, trainer, name)


def test_crocnet(preprocessed) -> None:
    """The authors' code: 128 x 128 around one image's box, 15 pixels, zero outside, all coarse labels."""
    manager = read(plan(preprocessed, "CroCNetTrainer"), "CroCNetTrainer")
    crop = manager.get_configuration("2d_crop")
    kwargs = crop.network_arch_init_kwargs
    assert (kwargs["window"], kwargs["margin"], kwargs["per_slice"]) == ([128, 128], 15, True)
    assert (kwargs["mask_outside"], kwargs["heart_only"]) == (True, False)
    assert (crop.configuration["jitter"], crop.configuration["coarse_labels"]) == (0, "predicted")
    base = manager.get_configuration("2d")
    assert (base.patch_size, base.spacing, base.data_identifier) == ([224, 224], [1.5, 1.5], "nnUNetPlans_2d")
    recipe = base.configuration["recipe"]
    assert (recipe["initial_lr"], recipe["milestones"], recipe["epochs"], recipe["loss"]) == (
        1e-4,
        [100, 200],
        500,
        "dice",
    )
    assert sum(p.numel() for p in network(manager, "CroCNetTrainer", "2d").parameters()) == pytest.approx(
        17.06e6, rel=1e-3
    )


def test_halsr(preprocessed) -> None:
    planned = plan(preprocessed, "HALSRNetTrainer")
    manager = read(planned, "HALSRNetTrainer")
    crop, roi = (manager.get_configuration(name) for name in ("2d_crop", "2d_roi"))
    assert roi.network_arch_init_kwargs["per_slice"] is crop.network_arch_init_kwargs["per_slice"] is True
    for own in (crop, roi, manager.get_configuration("2d")):
        recipe = own.configuration["recipe"]
        assert (recipe["batch_size"], recipe["initial_lr"], recipe["optimizer"]) == (32, 1e-3, "adam")
        assert recipe["patience"] == 20
    assert crop.configuration["coarse_labels"] == "predicted"


def test_classifier_guided(preprocessed) -> None:
    manager = read(plan(preprocessed, "ClassifierGuidedTrainer"), "ClassifierGuidedTrainer")
    stack = manager.get_configuration("2d_stack")
    assert stack.spacing == [1.3, 1.3]
    assert stack.configuration["training_patch_size"] == [24, 192, 192]  # whole stacks
    recipe = stack.configuration["recipe"]
    assert (recipe["initial_lr"], recipe["schedule"], recipe["milestones"], recipe["epochs"]) == (
        1e-4,
        "steps",
        [],
        200,
    )
    assert recipe["loss"] == "gated"


def test_dr_unet(preprocessed) -> None:
    """Vesal et al., sections 3.3 and 4: 10 x 1.25 x 1.25 mm, 16 x 256 x 256, CLAHE, 32 filters, Keep Z, GCAM crops."""
    trainer = "DRUNetTrainer"
    planned = plan(preprocessed, trainer)
    manager = read(planned, trainer)
    base, locate, crop = (manager.get_configuration(name) for name in ("3d_fullres", "3d_locate", "3d_crop"))
    assert (base.spacing, base.patch_size) == ([10.0, 1.25, 1.25], [16, 256, 256])
    assert base.data_identifier == crop.data_identifier == "nnUNetPlansPaper_3d_fullres"
    assert base.median_image_size_in_voxels == [10.0, 307.0, 259.0]  # 256 and 216 pixels of 1.5 mm
    # 256 x 1.5 mm on 128 pixels in-plane; slices stay as they are.
    assert locate.spacing == [10.0, pytest.approx(3.0, abs=0.01), pytest.approx(3.0, abs=0.01)]
    assert locate.data_identifier == "nnUNetPlansPaper_3d_locate"
    assert (crop.spacing, crop.configuration["coarse_labels"]) == ([10.0, 1.25, 1.25], "predicted")
    assert crop.configuration["jitter"] == [0, 0, 0]
    assert crop.network_arch_init_kwargs["window"][0] == 12  # all slices
    inner = network(manager, trainer, "3d_crop").inner
    for built in (network(manager, trainer, "3d_fullres"), inner):
        assert sum(p.numel() for p in built.parameters()) == pytest.approx(10.15e6, rel=1e-3)
        assert built.step == (1, 2, 2)
    for name in ("3d_fullres", "3d_locate"):
        assert manager.get_configuration(name).network_arch_init_kwargs["clahe"] is True
    assert crop.network_arch_init_kwargs["network_kwargs"]["clahe"] is True
    # nnU-Net preprocesses what is outside `trainers`.
    outside = PlansManager(read_json(planned.path)).get_configuration("3d_fullres")
    assert (outside.spacing, outside.data_identifier) == ([10.0, 1.25, 1.25], "nnUNetPlansPaper_3d_fullres")


def test_the_window_is_measured_on_the_papers_grid() -> None:
    volumes = VolumeGeometry((10.0, 1.5, 1.5), [(8, 100, 101)], [(10, 256, 216)])
    moved = on_grid(volumes, STACKS)
    assert moved.spacing == (10.0, 1.25, 1.25)
    assert moved.hearts == [(8, 120, 122)]  # 100 * 1.2, 101 * 1.2 = 121.2
    assert moved.shapes == [(10, 307, 259)]


def test_end_to_end_on_the_padded_and_on_the_downsampled_image(preprocessed) -> None:
    trainer = "DRUNetEndToEndTrainer"
    planned = plan(preprocessed, trainer)
    manager = read(planned, trainer)
    joint, low = (manager.get_configuration(name) for name in ("3d_joint", "3d_joint_low"))
    assert (joint.spacing, joint.patch_size) == ([10.0, 1.25, 1.25], [16, 256, 256])
    assert low.spacing[0] == 10.0
    assert max(low.patch_size[1:]) == 128
    assert low.data_identifier == "nnUNetPlansPaper_3d_joint_low"
    for name in ("3d_joint", "3d_joint_low"):
        built = network(manager, trainer, name)
        assert sum(p.numel() for p in built.parameters()) == pytest.approx(10.79e6, rel=1e-3)
        assert built.coarse.step == (1, 2, 2)


def test_both_variants_of_the_3d_dr_unet_share_the_grid(preprocessed) -> None:
    for trainer in ("DRUNetEndToEndTrainer", "DRUNetTrainer"):
        planned = plan(preprocessed, trainer)
    for trainer in ("DRUNetEndToEndTrainer", "DRUNetTrainer"):
        base = read(planned, trainer).get_configuration("3d_fullres")
        assert (base.spacing, base.data_identifier) == ([10.0, 1.25, 1.25], "nnUNetPlansPaper_3d_fullres")


def test_other_volumes_keep_nnunets_grid(preprocessed, edit) -> None:
    edit(lambda found: found["3d_fullres"].update(spacing=[1.25, 1.25, 1.25], patch_size=[88, 160, 160]))
    manager = read(plan(preprocessed, "DRUNetTrainer"), "DRUNetTrainer")
    base = manager.get_configuration("3d_fullres")
    assert (base.spacing, base.data_identifier) == ([1.25, 1.25, 1.25], "nnUNetPlans_3d_fullres")
    assert base.network_arch_init_kwargs["filters"] == 16  # Table 2


def test_options_change_what_the_paper_has(preprocessed) -> None:
    manager = read(plan(preprocessed, "CroCNetTrainer", window=96, heart_only=True), "CroCNetTrainer")
    kwargs = manager.get_configuration("2d_crop").network_arch_init_kwargs
    assert (kwargs["window"], kwargs["per_slice"]) == ([96, 96], True)
    assert "heart_only" not in kwargs


def test_the_command_says_what_is_the_papers_and_what_to_preprocess(preprocessed, monkeypatch, capsys) -> None:
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed.parent))
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert cli.main(["--quiet", "plan", "-d", "901", "-tr", "DRUNetTrainer", "--paper"]) == 0
    out = capsys.readouterr().out
    for name in ("3d_fullres", "3d_locate"):
        assert f"To do: nnUNetv2_preprocess -d 901 -c {name} -plans_name nnUNetPlansPaper\n" in out
    assert "Of the paper: short-axis stacks: 10 x 1.25 x 1.25 mm" in out
    assert "Ours: low resolution" in out
    assert "Not in plans: volumes larger than the patch" in out


def test_the_command_names_what_changed_and_what_was_kept(preprocessed, monkeypatch, capsys, edit) -> None:
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed.parent))
    monkeypatch.delenv("nnUNet_raw", raising=False)
    command = ["--quiet", "plan", "-d", "901", "--whole-coarse"]
    assert cli.main(command) == 0
    edit(lambda found: found["2d_crop"].update(recipe={"epochs": 9}))
    capsys.readouterr()
    assert cli.main([*command[:-1], "--no-whole-coarse", "--coarse", "simulated"]) == 0
    out = capsys.readouterr().out
    assert 'Changed: 2d_crop: coarse_labels "predicted" -> "simulated"\n' in out
    assert "Changed: 2d_crop: architecture.arch_kwargs.heart_only false -> none\n" in out
    assert "Kept, yours: 2d_crop: recipe.epochs 9; planned: none\n" in out


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ({"background": 0, "RV": 1, "MYO": 2, "LV": 3}, "Not of the paper: the data set names RV, which is segmented"),
        ({"background": 0, "LV": 1}, "Not of the paper: the data set does not name MYO"),
    ],
)
def test_structures_that_differ_from_the_papers_are_named(labels, line) -> None:
    assert any(found.startswith(line) for found in paper_notes(TRAINERS["HALSRNetTrainer"], labels))
    assert not any(
        "Not of" in found for found in paper_notes(TRAINERS["HALSRNetTrainer"], {"background": 0, "LV": 2, "MYO": 1})
    )


@pytest.mark.parametrize(
    ("labels", "window"),
    [
        # Left cavity alone, with a radius of 18: 35 pixels and twice 10, up to 64. With the wall, 26: 51 and 20, 80.
        ({"background": 0, "LV": 1}, [64, 64]),
        ({"background": 0, "MYO": 1, "LV": 2}, [80, 80]),
    ],
)
def test_halsr_net_on_the_left_ventricle_alone(preprocessed, monkeypatch, labels, window) -> None:
    import numpy as np

    from nnunet_cardiac.planning import hearts as configurations

    original = configurations.reference_labels
    shift = 3 - max(labels.values())
    monkeypatch.setattr(
        configurations, "reference_labels", lambda *_: (np.maximum(found - shift, 0) for found in original())
    )
    write_json(preprocessed / "dataset.json", {"labels": labels})
    planned = plan(preprocessed, "HALSRNetTrainer")
    assert planned.entries["2d_crop"]["architecture"]["arch_kwargs"]["window"] == window
