"""A preprocessed data set of arrays, without nnU-Net's planning, and spies on what a network computes with.

Every pixel of an image has a value of its own, so that an array which reaches a network says where it was cut.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from torch import nn

from nnunet_cardiac.architectures import ClassifierGuidedNet, GCAMLocaliser, ROIRegressor
from nnunet_cardiac.cascade import simulation
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.planning.links import resolved_entry
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.trainers import variants
from nnunet_cardiac.trainers.recipe.augmentation import crop_transforms

NAME = "Dataset990_Seam"
LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
_BLOCK = {"network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet"}
_ARCHITECTURE = {**_BLOCK, "arch_kwargs": {}, "_kw_requires_import": []}


def address_image(shape: tuple[int, int, int], start: int) -> np.ndarray:
    """Image (Z, Y, X) whose voxels are start, start + 1, ...; none is zero."""
    return start + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def heart_labels(shape: tuple[int, int, int], row: int, column: int, size: int = 8) -> np.ndarray:
    """Labels (Z, Y, X) of a ring with a right ventricle to its left, on all slices but the first and the last."""
    y, x = np.mgrid[: shape[1], : shape[2]]
    labels = np.zeros(shape, np.int8)
    inner = slice(1, -1) if shape[0] > 2 else slice(None)
    labels[inner, (abs(y - row) < size) & (abs(x - column + size) < size)] = 1
    labels[inner, (y - row) ** 2 + (x - column) ** 2 < size**2] = 2
    labels[inner, (y - row) ** 2 + (x - column) ** 2 < (size // 2) ** 2] = 3
    return labels


def write_preprocessed(folder: Path, cases: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write images and labels (Z, Y, X), and what nnU-Net keeps beside them, as its preprocessing does."""
    (folder / "data").mkdir(parents=True)
    for case, (image, labels) in cases.items():
        places = {value: np.argwhere(labels[None] == value) for value in (1, 2, 3)}
        about = {"spacing": [8.0, 1.5, 1.5], "class_locations": places, "shape_before_cropping": image.shape}
        pieces = {"chunks": (1, 1, *image.shape[1:]), "blocks": (1, 1, *image.shape[1:])}
        nnUNetDatasetBlosc2.save_case(image[None], labels[None], about, str(folder / "data" / case), **pieces)
    names = sorted(cases)
    dataset = {"channel_names": {"0": "MR"}, "labels": LABELS, "numTraining": len(names), "file_ending": ".nii.gz"}
    splits = [{"train": names, "val": names}]
    for name, content in {"dataset": dataset, "splits_final": splits, "dataset_fingerprint": {}}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


@dataclass
class Seam:
    """A data set, and how to plan, train and predict on it."""

    folder: Path
    shapes: dict[str, tuple[int, int, int]]
    cases: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def plan(self, trainer: str, *, spacing: tuple[float, float, float] = (8.0, 1.5, 1.5), **options: Any) -> str:
        """Write nnU-Net's plans, add a trainer's configurations, and return the name of the plans."""
        depth, *in_plane = np.max(list(self.shapes.values()), axis=0).tolist()
        patch = [-(-n // 16) * 16 for n in in_plane]
        common = {
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 4,
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [False],
            "architecture": _ARCHITECTURE,
            "batch_dice": True,
        }
        flat = {"patch_size": patch, "median_image_size_in_voxels": in_plane, "spacing": list(spacing[1:])}
        solid = {"patch_size": [depth, *patch], "median_image_size_in_voxels": [depth, *in_plane]}
        solid |= {"spacing": list(spacing)}
        plans = {
            "dataset_name": NAME,
            "plans_name": "nnUNetPlans",
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "label_manager": "LabelManager",
            "configurations": {
                "2d": {"data_identifier": "data", **common, **flat},
                "3d_fullres": {"data_identifier": "data", **common, **solid},
            },
        }
        (self.folder / "nnUNetPlans.json").write_text(json.dumps(plans))
        if options.get("localiser") == "2d_roi":  # another system's, in the same plans
            plan_configurations(self.folder, trainer="HALSRNetTrainer", progress=False)
        return plan_configurations(
            self.folder, trainer=trainer, options=CropOptions(**options), progress=False
        ).path.stem

    def trainer(
        self,
        name: str,
        configuration: str,
        plans_name: str = "nnUNetPlans",
        change: Callable[[dict[str, Any]], None] = lambda entry: None,
        plain: bool = True,
        device: str = "cpu",
    ) -> Any:
        """Make a trainer, its plans changed first; `plain` lets its augmentation do nothing but cut."""
        plans = json.loads((self.folder / f"{plans_name}.json").read_text()) | {"continue_training": False}
        entry = plans["configurations"][configuration]
        own = self.folder / resolved_entry(plans["configurations"], configuration)["data_identifier"]
        if not own.exists():
            own.symlink_to(self.folder / "data")  # a grid of its own is the same here
        change(entry)
        dataset = json.loads((self.folder / "dataset.json").read_text())
        trainer = getattr(variants, name)(plans, configuration, 0, dataset, torch.device(device))
        if plain:
            trainer.paper_transforms = lambda patch_size, mirror_axes: crop_transforms(patch_size)
            trainer.recipe = trainer.recipe.with_plans({"recipe": {"augmentation": "paper"}})
        return trainer

    def write_coarse(self, trainer: Any, coarse: dict[str, np.ndarray]) -> None:
        """Write the labels (Z, Y, X) of the first stage where the trainer looks for them."""
        first_stage = Path(trainer.folder_with_segs_from_previous_stage)
        first_stage.mkdir(parents=True, exist_ok=True)
        for case, labels in coarse.items():
            nnUNetDatasetBlosc2.save_seg(labels.astype(np.uint8), str(first_stage / case))


@pytest.fixture
def seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seam]:
    """Function that makes a data set of cases: name -> shape, row, column and size of the heart."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    monkeypatch.setattr(simulation, "corrupt_labels", lambda labels: labels)  # errors are drawn at random
    monkeypatch.setattr(simulation, "_BOX_ERROR", 0)
    torch.manual_seed(0)
    np.random.seed(0)

    def make(cases: dict[str, tuple[tuple[int, int, int], int, int, int]]) -> Seam:
        folder = tmp_path / "nnUNet_preprocessed" / NAME
        made = Seam(folder, {case: shape for case, (shape, *_) in cases.items()})
        start = 1
        for case, (shape, row, column, size) in cases.items():
            image, labels = address_image(shape, start), heart_labels(shape, row, column, size)
            start += image.size
            made.cases[case] = image, labels
        write_preprocessed(folder, made.cases)
        return made

    return make


class Seen(Exception):  # noqa: N818 a signal
    """Raised by a spy that has seen enough, so that nothing is computed."""


class Spy:
    """Keeps what a network computes with; networks that crop, regress, locate or classify have it inside."""

    def __init__(self, network: nn.Module) -> None:
        self.seen: list[torch.Tensor] = []
        self.stops = False
        part = network
        if isinstance(network, CropFromCoarse):
            part = network.inner
        elif isinstance(network, ClassifierGuidedNet):
            part = network.seg
        elif isinstance(network, ROIRegressor):
            part = network.encoder[0]
        elif isinstance(network, GCAMLocaliser):
            part = network.network.prepare
        part.register_forward_pre_hook(self._look)

    def _look(self, module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        self.seen.append(args[0].detach().clone())
        if self.stops:
            raise Seen


def training_inputs(trainer: Any, spy: Spy, steps: int = 6) -> list[torch.Tensor]:
    """What the network computes with in training: inputs of single samples, without the batch axis of the loader."""
    loader = trainer.get_dataloaders()[0]
    spy.seen.clear()
    spy.stops = True
    trainer.network.train()
    for _ in range(steps):
        for sample in next(loader)["data"]:
            with contextlib.suppress(Seen):
                trainer.network(sample[None])
    spy.stops = False
    return list(spy.seen)


def prediction_inputs(
    trainer: Any, spy: Spy, image: np.ndarray, coarse: np.ndarray | None = None
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """What it computes with when nnU-Net's own predictor segments a case (Z, Y, X), and the logits."""
    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    managers = trainer.plans_manager, trainer.configuration_manager
    predictor.manual_initialization(
        trainer.network, *managers, None, trainer.dataset_json, type(trainer).__name__, None
    )
    channels = [image] if coarse is None else [image, *(coarse == value for value in (1, 2, 3))]
    spy.seen.clear()
    data = torch.from_numpy(np.stack(channels).astype(np.float32))
    logits = predictor.predict_sliding_window_return_logits(data)
    return list(spy.seen), logits


@pytest.fixture
def spied() -> tuple[type[Spy], Callable[..., list[torch.Tensor]], Callable[..., Any]]:
    """The spy, and functions that record training and prediction."""
    return Spy, training_inputs, prediction_inputs
