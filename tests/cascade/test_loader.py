"""Training regions follow the coarse prediction, with jitter, and simulate it where it is missing."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from nnunet_cardiac.cascade import loader as loader_module
from nnunet_cardiac.cascade.corruption import corrupt_labels
from nnunet_cardiac.cascade.loader import RegionDataset, sample_jitter
from nnunet_cardiac.cascade.roi import RegionRule, find_region

SHAPE = (5, 60, 80)


class ArrayDataset:
    """What nnU-Net's dataset promises, from arrays in memory."""

    def __init__(self, cases: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> None:
        self.cases = cases
        self.identifiers = sorted(cases)

    def load_case(self, identifier: str):
        image, labels, coarse = self.cases[identifier]
        return image, labels, coarse, {"spacing": [1, 1, 1], "class_locations": {}}


def make_case(y: int, x: int, coarse: bool = True):
    """A heart of 8 x 10 pixels at (y, x) on all slices; the image holds each voxel's own address."""
    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(1, *SHAPE)
    labels = np.zeros((1, *SHAPE), dtype=np.int16)
    labels[:, :, y : y + 8, x : x + 10] = 3
    labels[:, :, y : y + 8, x : x + 3] = 1
    return image, labels, labels[0].astype(np.uint8) if coarse else None


def dataset(predicted: dict | None = None, simulated: dict | None = None, **kwargs) -> RegionDataset:
    options = {"rule": RegionRule(window=(32, 32), margin=4), "size": (48, 48), "jitter": 0} | kwargs
    return RegionDataset(ArrayDataset(predicted or {}), ArrayDataset(simulated or {}), **options)


def test_region_is_centred_on_the_coarse_heart() -> None:
    regions = dataset({"a": make_case(20, 30)})
    image, labels, coarse, properties = regions.load_case("a")
    assert image.shape == labels.shape == (1, 1, 48, 48)
    assert coarse.shape == (1, 48, 48)
    assert coarse[0, 20:28, 19:29].all()  # centre of the heart (24, 35) is the centre of the region (24, 24)
    assert coarse.astype(bool).sum() == 80
    assert properties["class_locations"][1].tolist() == [[0, 0, 24, 24]]
    assert properties["spacing"] == [1, 1, 1]


def test_image_labels_and_coarse_are_cut_alike_also_outside_the_image() -> None:
    image, labels, coarse, _ = dataset({"a": make_case(0, 70)}).load_case("a")
    inside = labels[0, 0] >= 0  # nnU-Net marks padding by -1
    assert inside.sum() == 30 * 31  # enlarged box y 0-12, x 66-80 (clipped), so the region is y -18..30, x 49..97
    np.testing.assert_array_equal(coarse[0][inside], labels[0, 0][inside])
    assert (image[0, 0][~inside] == 0).all()
    address = image[0, 0][inside].astype(int)
    np.testing.assert_array_equal(labels[0, 0][inside] > 0, make_case(0, 70)[1].ravel()[address] > 0)


def test_every_slice_is_drawn() -> None:
    np.random.seed(0)
    regions = dataset({"a": make_case(20, 30)})
    slices = {int(regions.load_case("a")[0][0, 0, 24, 24] // (60 * 80)) for _ in range(60)}
    assert slices == set(range(5))


def test_jitter_moves_the_region_by_at_most_its_size() -> None:
    np.random.seed(0)
    regions = dataset({"a": make_case(20, 30)}, jitter=6)
    starts = np.array([np.argwhere(regions.load_case("a")[2][0])[0] for _ in range(200)]) - [20, 19]
    assert np.abs(starts).max() == 6
    assert len({tuple(s) for s in starts}) > 50
    assert all(abs(j) <= n for n, j in zip((0, 3), sample_jitter((0, 3)), strict=True))


def test_missing_predictions_are_simulated_and_differ_between_draws() -> None:
    np.random.seed(1)
    regions = dataset({"a": make_case(20, 30)}, {"b": make_case(10, 10, coarse=False)})
    assert regions.identifiers == ["a", "b"]
    draws = [regions.load_case("b") for _ in range(20)]
    assert len({coarse.tobytes() for _, _, coarse, _ in draws}) > 10
    overlap = [((c > 0) & (seg[0] > 0)).sum() / max((seg[0] > 0).sum(), 1) for _, seg, c, _ in draws]
    assert 0.5 < np.mean(overlap) < 1


def test_volume_window_hands_out_volumes() -> None:
    regions = dataset(
        {"a": make_case(20, 30)}, rule=RegionRule((4, 32, 32), margin=4, multiple=(2, 16, 16)), size=(4, 48, 48)
    )
    image, _, coarse, properties = regions.load_case("a")
    assert image.shape == (1, 4, 48, 48)
    assert coarse.shape == (4, 48, 48)
    assert properties["class_locations"][1].tolist() == [[0, 2, 24, 24]]


def test_per_slice_rule_follows_each_slice() -> None:
    image, labels, coarse = make_case(20, 30)
    coarse[2] = 0
    coarse[2, 40:48, 50:60] = 3
    np.random.seed(0)
    regions = dataset({"a": (image, labels, coarse)}, rule=RegionRule((32, 32), margin=4, per_slice=True))
    for _ in range(20):
        assert regions.load_case("a")[2][0, 20:28, 19:29].all()


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (RegionRule((32, 32), margin=4), 80),
        (RegionRule((32, 32), margin=4, per_slice=True), 80),
        (RegionRule((32, 32), margin=4, heart_only=False), 80 + 9),
        (RegionRule((5, 32, 32), margin=4, multiple=(1, 16, 16)), 5 * 80),
    ],
)
def test_predictions_are_shown_as_at_inference(rule: RegionRule, shown: int) -> None:
    image, labels, coarse = make_case(20, 30)
    coarse[:, 15:18, 42:45] = 2  # apart from the heart, within the region
    size = (5, 48, 48) if len(rule.window) == 3 else (48, 48)
    assert (dataset({"a": (image, labels, coarse)}, rule=rule, size=size).load_case("a")[2] > 0).sum() == shown
    assert (coarse == 2).sum() == 5 * 9


def test_slices_in_a_row_are_drawn_from_all_slices() -> None:
    """A window of three slices that has all of them at prediction: every run of three is as likely."""
    np.random.seed(4)
    image, labels, coarse = make_case(20, 30)
    rule = RegionRule((3, 32, 32), margin=4, multiple=(1, 16, 16), centre="centroid", clamp=True, all_slices=True)
    regions = dataset({"a": (image, labels, coarse)}, rule=rule, size=(3, 48, 48), jitter=(1, 0, 0))
    firsts = []
    for _ in range(600):
        drawn, _, shown, _ = regions.load_case("a")
        slices = drawn[0].max((1, 2)) // (SHAPE[1] * SHAPE[2])  # the image holds each voxel's own address
        assert np.diff(slices).tolist() == [1, 1]
        assert (shown > 0).sum((1, 2)).tolist() == [80] * 3  # in-plane the window stays on the heart
        firsts.append(int(slices[0]))
    counts = np.bincount(firsts, minlength=SHAPE[0] - 2)
    assert len(counts) == SHAPE[0] - 2 == 3
    assert counts.min() > 150


def test_nnunet_loader_draws_the_region_itself() -> None:
    labels = SimpleNamespace(all_labels=[0, 1, 2, 3], has_ignore_label=False)
    loader = nnUNetDataLoader(dataset({"a": make_case(20, 30)}), 4, (48, 48), (32, 32), labels, 1.0)
    batch = loader.generate_train_batch()
    assert batch["data"].shape == (4, 1, 48, 48)
    assert batch["target"].shape == (4, 2, 48, 48)  # reference and coarse labels
    assert (batch["target"][:, 1, 20:28, 19:29] > 0).all()


def test_survives_pickling_into_workers() -> None:
    np.random.seed(3)
    regions = dataset({"a": make_case(20, 30)})
    copy = pickle.loads(pickle.dumps(regions))
    np.random.seed(3)
    expected = regions.load_case("a")[0]
    np.random.seed(3)
    np.testing.assert_array_equal(copy.load_case("a")[0], expected)


def test_corruption_keeps_labels_and_repeats_with_a_seed() -> None:
    labels = make_case(20, 30)[1][0]
    np.random.seed(5)
    first = corrupt_labels(labels)
    np.random.seed(5)
    np.testing.assert_array_equal(corrupt_labels(labels), first)
    assert first.dtype == labels.dtype
    assert set(np.unique(first)) <= {0, 1, 3}
    assert (first != labels).any()


def test_simulated_labels_go_on_beyond_the_ends_as_often_as_those_of_a_first_stage() -> None:
    labels = np.zeros((4, 40, 40), dtype=np.uint8)
    labels[:2, 10:30, 10:30] = 1
    np.random.seed(1)
    stacks = [corrupt_labels(labels) for _ in range(1000)]
    beyond = np.mean([stack[2, 18:22, 18:22].all() for stack in stacks])
    missing = np.mean([not stack[1, 18:22, 18:22].any() for stack in stacks])
    assert 0.43 < beyond < 0.52  # in every second slice beside an end, of which one in twenty is dropped
    assert 0.04 < missing < 0.12  # one in forty is the empty slice's, and one in twenty is dropped
    sizes = [(stack[2] > 0).sum() / 400 for stack in stacks if stack[2, 18:22, 18:22].all()]
    assert np.quantile(sizes, 0.01) == pytest.approx(0.25)  # four pixels of taper and one of another size on each side
    assert np.mean([stack[3, 18:22, 18:22].all() for stack in stacks]) < 0.02  # islands alone


def test_simulated_coarse_labels_of_a_region_see_its_neighbouring_slices() -> None:
    image, labels, _ = make_case(20, 30)
    labels[:] = 0
    labels[0, 1, 20:40, 30:50] = 3  # one labelled slice; the loader draws from all
    regions = dataset(simulated={"a": (image, labels, None)})
    np.random.seed(2)
    drawn = [regions.load_case("a")[1:3] for _ in range(600)]
    assert all(coarse.shape == (1, *reference.shape[2:]) for reference, coarse in drawn)
    empty = [(coarse == 3).sum() for reference, coarse in drawn if not (reference == 3).any()]
    assert any(n > 200 for n in empty)


@pytest.mark.parametrize("labels", [np.zeros((2, 8, 8), dtype=np.uint8), np.ones((1, 4, 4), dtype=np.uint8)])
def test_corruption_of_empty_and_full_slices(labels: np.ndarray) -> None:
    np.random.seed(0)
    for _ in range(20):
        assert set(np.unique(corrupt_labels(labels))) <= {0, 1}


@pytest.mark.parametrize(("per_slice", "searched"), [(False, 1), (True, SHAPE[0])])
def test_a_case_is_searched_once(monkeypatch: pytest.MonkeyPatch, per_slice: bool, searched: int) -> None:
    masks = []

    def find(mask, rule):
        masks.append(mask)
        return find_region(mask, rule)

    monkeypatch.setattr(loader_module, "find_region", find)
    rule = RegionRule(window=(32, 32), margin=4, per_slice=per_slice)
    regions = dataset({"a": make_case(20, 30)}, rule=rule)
    for _ in range(5):
        regions.load_case("a")
    assert len(masks) == searched
