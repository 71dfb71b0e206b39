"""The Python API refuses what it cannot segment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference import CardiacPredictor


@pytest.fixture
def predictor(write_system: Callable[..., Path]) -> CardiacPredictor:
    return CardiacPredictor.from_folder(write_system("nnUNet"), device="cpu", precision="fp32")


@pytest.mark.parametrize(
    ("image", "spacing", "message"),
    [
        (np.ones((2, 5, 8, 8)), (8, 1, 1), r"2 channels, and the model was trained with 1 \(cineMRI\)"),
        (np.ones((8, 8)), (8, 1, 1), r"shape \(8, 8\), expected"),
        (np.ones((1, 5, 8, 8)), (8, 0, 1), "three positive sizes"),
        (np.ones((5, 8, 8)), (1, 1), "three positive sizes"),
        (np.full((5, 8, 8), np.nan), (8, 1, 1), "320 of 320 values of the image are not finite"),
        (np.zeros((5, 8, 8)), (8, 1, 1), "zero everywhere"),
    ],
)
def test_bad_arrays(predictor: CardiacPredictor, image: np.ndarray, spacing: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        predictor.predict(image, spacing)


def test_the_frame_that_cannot_be_used_is_named(predictor: CardiacPredictor) -> None:
    frames = np.ones((9, 1, 2, 8, 8), np.float32)
    frames[6] = 0
    with pytest.raises(UserError, match=r"^Frame 7 of 9: The image is zero everywhere"):
        predictor.predict_frames(frames, (8, 1.5, 1.5))
    with pytest.raises(UserError, match=r"^The image is zero everywhere"):
        predictor.predict_frames(frames[6:7], (8, 1.5, 1.5))


def test_single_slice_and_unchanged_input(predictor: CardiacPredictor, heart: np.ndarray) -> None:
    image = heart[2:3].copy()
    labels = predictor.predict(image, (8.0, 1.5, 1.5))
    assert labels.shape == image.shape
    np.testing.assert_array_equal(image, heart[2:3])
    # A 2D network sees slices alone, but nnU-Net normalises the volume: the same slice twice has the same labels.
    twice = predictor.predict(np.concatenate([image, image]), (8.0, 1.5, 1.5))
    np.testing.assert_array_equal(twice, np.concatenate([labels, labels]))


def test_names_of_labels(predictor: CardiacPredictor) -> None:
    assert predictor.labels == {"RV": 1, "MYO": 2, "LV": 3}
    assert predictor.channels == 1


def test_bad_options(write_system: Callable[..., Path]) -> None:
    model = write_system("nnUNet")
    with pytest.raises(UserError, match="precision is 'half'"):
        CardiacPredictor.from_folder(model, precision="half")


def test_the_ignore_label_is_no_structure(write_system: Callable[..., Path]) -> None:
    model = write_system("nnUNet")
    content = read_json(model / "dataset.json")
    write_json(model / "dataset.json", {**content, "labels": {**content["labels"], "ignore": 4}})
    predictor = CardiacPredictor.from_folder(model, device="cpu", precision="fp32")
    assert predictor.labels == {name: value for name, value in content["labels"].items() if value != 0}
    found = predictor.predict(np.random.default_rng(0).normal(size=(3, 32, 32)), (8.0, 1.5, 1.5))
    assert found.max() < 4
