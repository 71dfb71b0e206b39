"""The contract: what a network is trained on is what it predicts on.

One case goes through dataset, loader and the transforms that draw nothing, and through the network as nnU-Net's
predictor calls it. Every array that reaches the computing part in training has to reach it at prediction, too: the
window's position and size, what is masked, coarse channels, intensities, the number of slices seen together and padding
are all in it. What differs by intent is named here:

* Errors of simulated coarse labels and the shift of windows (`jitter`) are drawn at random; they are off here.
* Networks on nnU-Net's own patches (`2d`, `3d_fullres`, `3d_joint`) are trained on patches drawn anywhere and predict
  on tiles, as nnU-Net does; only size and content are compared.
* Of a heart larger than the window, or an image larger than a patch of stacks, training draws a part anywhere and
  prediction has parts at fixed places; size, content and region are compared.
* Batch normalisation has the statistics of a batch in training and running ones at prediction; networks whose batch is
  one stack do without (`test_one_statistic.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnunet_cardiac.architectures.ops.fitting import pad_centred
from nnunet_cardiac.cascade.roi import RegionRule, find_region

E2A = "nnunet_cardiac.architectures.e2a_unet.E2AUNet"
SPECIALISTS = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"
HALSR = "nnunet_cardiac.architectures.halsr_net.HALSRNet"

SHAPE = (6, 90, 75)


def narrow(entry: dict[str, Any]) -> None:
    """Make the network of a configuration small."""
    arguments = entry["architecture"]["arch_kwargs"]
    name = entry["architecture"]["network_class_name"].rpartition(".")[2]
    small = {
        "ROIRegressor": {"features": [4, 4, 8, 8], "hidden": 16, "grid": 3},
        "ClassifierGuidedNet": {"features": [4, 8, 8], "heads": 2, "layers": 1, "hidden": 8},
        "GCAMLocaliser": {"filters": 2},
        "DilatedResidualUNet": {"filters": 2},
        "JointDilatedResidualUNet": {"filters": 2, "coarse_filters": 2},
    }
    if name == "CropFromCoarse" and arguments.get("network_class_name", "").endswith("DilatedResidualUNet"):
        arguments["network_kwargs"] = {**arguments.get("network_kwargs", {}), "filters": 2}
    elif name == "CropFromCoarse":
        arguments.setdefault("network_class_name", SPECIALISTS)
        width = {"base_width": 4} if arguments["network_class_name"] == SPECIALISTS else {"features": [16, 16, 32]}
        arguments["network_kwargs"] = {**arguments.get("network_kwargs", {}), **width}
    else:
        arguments.update(small.get(name, {}))


def narrow_halsr(entry: dict[str, Any]) -> None:
    entry["architecture"]["arch_kwargs"]["network_class_name"] = HALSR
    narrow(entry)


def predicted_labels(labels: np.ndarray) -> np.ndarray:
    """What a first stage may say: the heart a little off, and an island apart from it."""
    coarse = np.roll(labels, (3, -2), (1, 2)).astype(np.uint8)
    coarse[2, 4:7, 60:64] = 2
    return coarse


def boxed(labels: np.ndarray, per_slice: bool = False) -> np.ndarray:
    """The box of left ventricle and myocardium as a regressor without error draws it, by hand."""
    out = np.zeros(labels.shape, np.uint8)
    ends = []
    for plane in labels:
        rows, columns = (np.flatnonzero((plane >= 2).any(axis)) for axis in (1, 0))
        ends.append((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else None)
    held = [end for end in ends if end is not None]
    middle = np.median(held, axis=0).astype(int)
    for plane, end in zip(out, ends, strict=True):
        top, bottom, left, right = (end or (0, 0, 0, 0)) if per_slice else middle
        plane[top:bottom, left:right] = 1
    return out


CROPS = [
    {},
    {"window": 96},
    {"window": 48, "margin": 3},
    {"per_slice": True},
    {"mask_outside": True},
    {"mask_outside": True, "per_slice": True, "margin": 2},
    {"heart_only": False},
    {"window": 64, "margin": 15, "per_slice": True, "mask_outside": True, "heart_only": False},
    {"small": True},
    {"short": True},
]


def assert_among(trained: list[torch.Tensor], predicted: list[torch.Tensor]) -> None:
    """Every single input of training is one of prediction, entry for entry."""
    singles = [one for batch in predicted for one in batch]
    assert trained
    assert singles
    for batch in trained:
        assert any(one.shape == batch[0].shape and torch.equal(one, batch[0]) for one in singles)


def crop_case(seam, spied, trainer_name: str, configuration: str, coarse: Any, change: Any, **options: Any) -> None:
    """Train and predict on one case with coarse labels: `predicted`, or simulated and told what they should be."""
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": (SHAPE, 40, 30, 8)})
    image, labels = data.cases["patient001_frame01"]
    simulated = callable(coarse)
    plans = data.plan(trainer_name, coarse_labels="simulated" if simulated else "predicted", jitter=0, **options)
    trainer = data.trainer(trainer_name, configuration, plans, change)
    trainer.initialize()
    shown = coarse(labels) if simulated else predicted_labels(labels)
    if not simulated:
        data.write_coarse(trainer, {"patient001_frame01": shown})
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy)
    predicted, logits = prediction_inputs(trainer, spy, image, shown)
    assert_among(trained, predicted)
    assert logits.shape == (4, *SHAPE)


@pytest.mark.parametrize("options", [*CROPS, {"paper": True}], ids=str)
@pytest.mark.parametrize("coarse", [None, lambda labels: labels], ids=["predicted", "simulated"])
def test_crocnet_windows(seam, spied, coarse: Any, options: dict[str, Any]) -> None:
    crop_case(seam, spied, "CroCNetTrainer", "2d_crop", coarse, narrow, **options)


@pytest.mark.parametrize("configuration", ["2d_crop_uncoupled", "2d_crop_single"])
def test_crocnet_ablations(seam, spied, configuration: str) -> None:
    crop_case(seam, spied, "CroCNetTrainer", configuration, None, narrow, mask_outside=True)


@pytest.mark.parametrize("options", [*CROPS, {"paper": True}], ids=str)
@pytest.mark.parametrize("simulated", [False, True], ids=["predicted", "simulated"])
def test_halsr_windows(seam, spied, simulated: bool, options: dict[str, Any]) -> None:
    per_slice = options.get("per_slice", options.get("paper", False))
    coarse = (lambda labels: boxed(labels, per_slice)) if simulated else None
    crop_case(seam, spied, "HALSRNetTrainer", "2d_crop", coarse, narrow_halsr, **options)


@pytest.mark.parametrize(
    ("trainer", "localiser", "coarse"),
    [
        ("CroCNetTrainer", {"localiser": "2d_roi", "localiser_trainer": "HALSRNetTrainer"}, boxed),
        ("HALSRNetTrainer", {"localiser": "2d"}, lambda labels: labels),
        ("HALSRNetTrainer", {"localiser": "2d", "localiser_trainer": "CroCNetTrainer"}, lambda labels: labels),
    ],
)
def test_windows_around_what_another_localiser_makes(seam, spied, trainer: str, localiser: dict, coarse: Any) -> None:
    change = narrow if trainer == "CroCNetTrainer" else narrow_halsr
    crop_case(seam, spied, trainer, "2d_crop", coarse, change, **localiser)


def test_a_heart_larger_than_the_window(seam, spied) -> None:
    """Windows of one size alone, inside one region, in training and at prediction."""
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": (SHAPE, 45, 40, 18)})
    image, labels = data.cases["patient001_frame01"]
    data.plan("CroCNetTrainer", coarse_labels="simulated", jitter=0, window=32, margin=3)
    trainer = data.trainer("CroCNetTrainer", "2d_crop", change=narrow)
    trainer.initialize()
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy)
    predicted, _ = prediction_inputs(trainer, spy, image, labels)
    assert {tuple(batch.shape[2:]) for batch in [*trained, *predicted]} == {(32, 32)}
    region = find_region(labels > 0, RegionRule((32, 32), margin=3, multiple=16)).window
    assert max(region.size) > 32
    drawn = torch.stack([batch[0, 0] for batch in trained])
    for values in (drawn, torch.cat([batch[:, 0] for batch in predicted])):
        places = (values[values > 0].long() - 1) % (SHAPE[1] * SHAPE[2])
        rows, columns = places // SHAPE[2], places % SHAPE[2]
        assert region.start[0] <= rows.min() and rows.max() < region.stop[0]  # noqa: PT018 one statement
        assert region.start[1] <= columns.min() and columns.max() < region.stop[1]  # noqa: PT018
    assert len({float(one.max()) for one in drawn}) > 10  # drawn anywhere in the region


@pytest.mark.parametrize(
    "options", [{}, {"per_slice": True}, {"small": True}, {"short": True}, {"paper": True}], ids=str
)
@pytest.mark.parametrize("shape", [SHAPE, (6, 150, 75)], ids=["as others", "larger"])
def test_regressor_sees_whole_slices(seam, spied, shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    Spy, training_inputs, prediction_inputs = spied
    cases = {f"patient{n:03d}_frame01": (SHAPE, 40, 30, 8) for n in range(4)}
    data = seam({**cases, "patient009_frame01": (shape, 120 if shape[1] > 90 else 50, 40, 8)})
    plans = data.plan("HALSRNetTrainer", **options)
    trainer = data.trainer("HALSRNetTrainer", "2d_roi", plans, narrow)
    trainer.initialize()
    assert trainer.training_patch_size == (96, 96)  # what one larger image does not change
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy, 8)
    predicted = []
    for image, _ in data.cases.values():
        seen, _ = prediction_inputs(trainer, spy, image)
        predicted += seen
    assert_among(trained, predicted)
    whole = np.concatenate([np.unique(batch[0][batch[0] > 0].numpy()) for batch in trained if batch[0].max() <= 4e5])
    assert len(whole) > 0


def test_regressor_computes_no_slice_of_zeros(seam, spied) -> None:
    Spy, _, prediction_inputs = spied
    data = seam({"patient001_frame01": (SHAPE, 40, 30, 8)})
    data.plan("HALSRNetTrainer")
    trainer = data.trainer("HALSRNetTrainer", "2d_roi", change=narrow)
    trainer.initialize()
    spy = Spy(trainer.network)
    image = data.cases["patient001_frame01"][0].copy()
    image[[0, 4]] = 0
    seen, logits = prediction_inputs(trainer, spy, image)
    assert [len(batch) for batch in seen] == [4]
    assert (logits.argmax(0)[[0, 4]] == 0).all()
    assert (logits.argmax(0)[[1, 2, 3, 5]] > 0).flatten(1).any(1).all()


@pytest.mark.parametrize("configuration", ["2d_stack", "2d_stack_single"])
@pytest.mark.parametrize("options", [{}, {"small": True}, {"short": True}, {"paper": True}], ids=str)
def test_stacks(seam, spied, options: dict[str, Any], configuration: str) -> None:
    """Whole stacks, or every run of five slices; images smaller than the patch keep no margin."""
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": (SHAPE, 40, 30, 8), "patient002_frame01": ((4, 64, 90), 30, 40, 8)})
    plans = data.plan("ClassifierGuidedTrainer", **options)
    trainer = data.trainer("ClassifierGuidedTrainer", configuration, plans, narrow)
    trainer.initialize()
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy, 10)
    predicted = []
    for image, _ in data.cases.values():
        predicted += prediction_inputs(trainer, spy, image)[0]
    lengths = {len(batch) for batch in predicted}
    assert lengths == ({5, 4} if options.keys() & {"small", "short"} else {6, 4})
    assert trained
    for batch in trained:
        assert any(one.shape == batch.shape and torch.equal(one, batch) for one in predicted)


def test_parts_of_images_larger_than_a_patch_of_stacks(seam, spied) -> None:
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": ((3, 260, 230), 40, 30, 8)})
    data.plan("ClassifierGuidedTrainer")
    trainer = data.trainer("ClassifierGuidedTrainer", "2d_stack", change=narrow)
    trainer.initialize()
    assert trainer.training_patch_size[1:] == (192, 192)
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy, 3)
    predicted, _ = prediction_inputs(trainer, spy, data.cases["patient001_frame01"][0])
    for batch in [*trained, *predicted]:
        assert batch.shape == (3, 1, 192, 192)
        steps = torch.diff(batch[:, 0], dim=2), torch.diff(batch[:, 0], dim=1)
        assert (steps[0] == 1).all()  # a part of the image, whole
        assert (steps[1] == 230).all()


@pytest.mark.parametrize("options", [{}, {"small": True}, {"short": True}, {"paper": True}], ids=str)
@pytest.mark.parametrize("spacing", [(8.0, 1.5, 1.5), (1.5, 1.5, 1.5)], ids=["keep z", "pool z"])
def test_localiser_of_volumes_sees_them_whole(seam, spied, spacing: tuple, options: dict[str, Any]) -> None:
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": ((16, 40, 48), 20, 24, 6), "patient002_frame01": ((9, 33, 40), 20, 20, 6)})
    plans = data.plan("DRUNetTrainer", spacing=on_paper_grid(spacing, options), **options)
    trainer = data.trainer("DRUNetTrainer", "3d_locate", plans, narrow)
    trainer.initialize()
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy, 4)
    predicted = []
    for image, _ in data.cases.values():
        predicted += prediction_inputs(trainer, spy, image)[0]
    assert_among(trained, predicted)
    for image, _ in data.cases.values():  # whole, in the middle
        size = trainer.training_patch_size
        padded = pad_centred(torch.from_numpy(image), size)
        assert any(torch.equal(one[0, 0], padded) for one in trained)


def on_paper_grid(spacing: tuple, options: dict[str, Any]) -> tuple[float, float, float]:
    """The paper's grid for stacks: the arrays of this test are not resampled, so they have to lie on it."""
    return (10.0, 1.25, 1.25) if options.get("paper") and spacing[0] > 3 * spacing[1] else spacing


VOLUMES = [
    {},
    {"window": 32},
    {"mask_outside": True},
    {"heart_only": False},
    {"small": True},
    {"short": True},
]


@pytest.mark.parametrize(
    ("options", "coarse", "clahe"),
    [
        *((options, coarse, False) for options in VOLUMES for coarse in ("predicted", "simulated")),
        ({}, "predicted", True),  # equalisation is the same for all windows
        ({"paper": True}, "predicted", True),
        ({"paper": True}, "simulated", True),
    ],
    ids=str,
)
@pytest.mark.parametrize("spacing", [(8.0, 1.5, 1.5), (1.5, 1.5, 1.5)], ids=["keep z", "pool z"])
def test_windows_of_volumes(seam, spied, coarse: str, spacing: tuple, options: dict[str, Any], clahe: bool) -> None:
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": ((16, 48, 48), 20, 30, 6)})
    image, labels = data.cases["patient001_frame01"]
    grid = on_paper_grid(spacing, options)
    plans = data.plan("DRUNetTrainer", spacing=grid, coarse_labels=coarse, jitter=0, **options)

    def change(entry: dict[str, Any]) -> None:
        narrow(entry)
        entry["architecture"]["arch_kwargs"]["network_kwargs"]["clahe"] = clahe
        entry["jitter"] = 0

    trainer = data.trainer("DRUNetTrainer", "3d_crop", plans, change)
    trainer.initialize()
    shown = (labels > 0).astype(np.uint8)
    if coarse == "predicted":
        shown[4, 2:5, 40:44] = 1  # another piece
        data.write_coarse(trainer, {"patient001_frame01": shown})
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy, 4)
    predicted, _ = prediction_inputs(trainer, spy, image, shown)
    assert_among(trained, predicted)


@pytest.mark.parametrize(
    ("trainer_name", "configuration"),
    [
        ("CroCNetTrainer", "2d"),
        ("HALSRNetTrainer", "2d"),
        ("DRUNetTrainer", "3d_fullres"),
        ("DRUNetEndToEndTrainer", "3d_fullres"),
        ("DRUNetEndToEndTrainer", "3d_joint"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"small": True}, {"short": True}], ids=str)
def test_patches_and_tiles(seam, spied, trainer_name: str, configuration: str, options: dict[str, Any]) -> None:
    """As nnU-Net: equal size, pieces of the image as they are, zeros around it."""
    Spy, training_inputs, prediction_inputs = spied
    data = seam({"patient001_frame01": (SHAPE, 40, 30, 8)})
    plans = data.plan(trainer_name, **options)
    trainer = data.trainer(trainer_name, configuration, plans, lambda entry: narrow(entry) if options else None)
    trainer.initialize()
    spy = Spy(trainer.network)
    trained = training_inputs(trainer, spy, 2)
    image, _ = data.cases["patient001_frame01"]
    predicted, _ = prediction_inputs(trainer, spy, image)
    assert {batch.shape[1:] for batch in trained} == {batch.shape[1:] for batch in predicted}
    for batch in [*trained, *predicted]:
        for plane in batch[:1].flatten(0, -3):
            held = plane > 0
            places = plane[held].long() - 1
            rows, columns = held.nonzero().T
            offset = places - rows * SHAPE[2] - columns
            assert len(offset.unique()) <= 1
