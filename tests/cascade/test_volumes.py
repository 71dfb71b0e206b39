"""Windows of three axes: centroid, borders, volumes smaller than the window, crop and paste, training regions."""

import numpy as np
import pytest
import torch

from nnunet_cardiac.architectures.ops.slide import slid
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.cascade.crop import crop, paste
from nnunet_cardiac.cascade.loader import RegionDataset
from nnunet_cardiac.cascade.roi import Box, RegionRule, centred_size, find_region, largest_component

RULE = RegionRule((4, 16, 16), margin=0, multiple=(1, 8, 8), centre="centroid", clamp=True)


def volume(*blobs: tuple[slice, ...], shape=(9, 40, 50)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for blob in blobs:
        mask[blob] = True
    return mask


def test_the_window_is_centred_on_the_centroid() -> None:
    # 2 slices of 8 x 8 voxels and a tail of 8 voxels along x: the tail pulls the centroid by 12 * 16 / 272 only.
    mask = volume(np.s_[4:6, 20:28, 20:28], np.s_[4:6, 24, 28:36])
    window = find_region(mask, RULE).window
    n = 128 + 16
    centre = (5.0, (128 * 24 + 16 * 24.5) / n, (128 * 24 + 16 * 32) / n)
    assert window.start == (3, int(centre[1] - 8), int(centre[2] - 12))  # the tail ends 11.1 from the centroid: 24 wide
    assert window.size == (4, 16, 24)
    assert find_region(mask, RegionRule((4, 16, 16), margin=0, multiple=(1, 8, 8))).window.start == (
        3,
        16,
        20,
    )  # middle of the box


@pytest.mark.parametrize(
    ("blob", "start"),
    [
        (np.s_[0:2, 0:4, 0:4], (0, 0, 0)),  # cut by three borders
        (np.s_[7:9, 36:40, 46:50], (5, 24, 34)),
        (np.s_[4:6, 18:22, 24:26], (3, 12, 17)),
    ],
)
def test_a_window_is_moved_into_the_image(blob, start) -> None:
    mask = volume(blob)
    window = find_region(mask, RULE).window
    assert (window.start, window.size) == (start, (4, 16, 16))
    assert mask[tuple(slice(a, b) for a, b in zip(window.start, window.stop, strict=True))].sum() == mask.sum()


@pytest.mark.parametrize("z", range(3))
def test_a_volume_smaller_than_the_window_is_seen_whole(z: int) -> None:
    mask = volume(np.s_[z : z + 1, 3:5, 7:11], shape=(3, 12, 60))
    window = find_region(mask, RULE).window
    assert all(window.start[i] <= 0 and window.stop[i] >= n for i, n in ((0, 3), (1, 12)))
    assert (window.start[2], window.stop[2]) == (1, 17)


def test_clamping_counts_the_image_and_not_its_padding() -> None:
    mask = volume(np.s_[12:14, 30:34, 30:34], shape=(20, 64, 64))
    image = Box((4, 8, 8), (14, 56, 56))
    assert find_region(mask, RULE, image).window.start == (10, 24, 24)
    assert find_region(np.zeros_like(mask), RULE, image).window.start == (7, 24, 24)


@pytest.mark.parametrize(("multiple", "slices"), [(1, 11), (2, 12), (4, 12)])
def test_a_window_gets_all_slices_of_a_deeper_image(multiple: int, slices: int) -> None:
    rule = RegionRule((4, 16, 16), margin=0, multiple=(multiple, 8, 8), centre="centroid", clamp=True, all_slices=True)
    image = Box((4, 8, 8), (15, 56, 56))  # 11 slices
    for mask in volume(np.s_[5:7, 30:34, 30:34], shape=(20, 64, 64)), np.zeros((20, 64, 64), dtype=bool):
        window = find_region(mask, rule, image).window
        assert window.size == (slices, 16, 16)
        assert window.start[0] <= 4
        assert window.stop[0] >= 15
    shallow = find_region(volume(np.s_[5:7, 30:34, 30:34], shape=(20, 64, 64)), rule, Box((4, 8, 8), (7, 56, 56)))
    assert shallow.window.size == (4, 16, 16)


def test_all_slices_of_a_window_without_slices() -> None:
    with pytest.raises(ValueError, match=r"all_slices needs a window of 3 entries, got \(16, 16\)"):
        RegionRule((16, 16), all_slices=True)


def test_no_slice_of_a_stack_deeper_than_the_window_stays_background(toy_networks) -> None:
    options = {"window": [4, 16, 16], "margin": 0, "multiple": [1, 8, 8], "centre": "centroid", "clamp": True}
    options |= {"network_class_name": f"{toy_networks}.PointwiseNetwork3d", "pass_coarse": False}
    whole, cut = (CropFromCoarse(3, 3, all_slices=flag, **options).eval() for flag in (True, False))
    cut.load_state_dict(whole.state_dict())
    x = torch.zeros(1, 3, 9, 40, 40)
    x[:, 0] = torch.randn(9, 40, 40)
    x[:, 1, 2:4, 18:22, 18:22] = 1
    window = np.s_[..., 12:28, 12:28]
    torch.testing.assert_close(whole(x)[window], whole.inner(x[:, :1])[window])
    for network, slices in (whole, range(9)), (cut, range(1, 5)):
        assert (network(x)[0, 1] > -20).any((1, 2)).nonzero()[:, 0].tolist() == list(slices)


def test_runs_of_slices_are_averaged_by_hand() -> None:
    """A network that says of each slice its place in the run: 0, 1, 2."""
    seen = []

    def network(x):
        seen.append(x[0, 0, :, 0, 0].tolist())
        return torch.arange(x.shape[2], dtype=torch.float32).reshape(1, 1, -1, 1, 1).expand(len(x), 2, -1, 4, 6)

    x = torch.arange(5.0).reshape(1, 1, 5, 1, 1).expand(1, 1, 5, 4, 6)
    mean = slid(network, x, 3)
    assert seen == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert mean.shape == (1, 2, 5, 4, 6)
    assert mean[0, 1, :, 3, 5].tolist() == [0, 0.5, 1, 1.5, 2]  # 0; 1, 0; 2, 1, 0; 2, 1; 2
    assert slid(network, x[:, :, :2], 3)[0, 0, :, 0, 0].tolist() == [0, 1]


def test_an_inner_network_sees_as_many_slices_as_in_training(toy_networks) -> None:
    options = {"window": [3, 16, 16], "margin": 0, "multiple": [1, 8, 8], "centre": "centroid", "clamp": True}
    options |= {"network_class_name": f"{toy_networks}.PointwiseNetwork3d", "pass_coarse": False, "all_slices": True}
    network, whole = CropFromCoarse(3, 3, slide=True, **options).eval(), CropFromCoarse(3, 3, **options).eval()
    whole.load_state_dict(network.state_dict())
    depths = []
    network.inner.register_forward_hook(lambda module, args, out: depths.append(args[0].shape[2]))
    x = torch.zeros(1, 3, 7, 40, 40)
    x[:, 0] = torch.randn(7, 40, 40)
    x[:, 1, 2:4, 18:22, 18:22] = 1
    torch.testing.assert_close(network(x), whole(x))  # a pointwise network says the same in every run
    assert depths == [3] * 5
    with pytest.raises(ValueError, match="slide needs all_slices"):
        CropFromCoarse(3, 3, slide=True, **{**options, "all_slices": False})


@pytest.mark.parametrize("seed", range(20))
def test_crop_and_paste_are_inverse_in_three_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 12, 3))
    start = tuple(int(n) for n in rng.integers(-6, 12, 3))
    window = Box(start, tuple(a + int(n) for a, n in zip(start, rng.integers(1, 14, 3), strict=True)))
    image = torch.randn(2, *shape)
    patch = crop(image, window, fill=-7.0)
    assert torch.equal(paste(patch, window, image.clone()), image)
    for index in np.ndindex(*window.size):
        voxel = tuple(a + i for a, i in zip(start, index, strict=True))
        inside = all(0 <= v < n for v, n in zip(voxel, shape, strict=True))
        assert patch[(0, *index)] == (image[(0, *voxel)] if inside else -7.0)


@pytest.mark.parametrize("padding", [(0, 0, 0, 0, 0, 0), (3, 5, 8, 1, 4, 7)])
@pytest.mark.parametrize("corner", [(0, 0, 0), (5, 30, 41), (2, 14, 20)])
def test_the_network_equals_the_inner_one_in_the_window_whatever_the_padding(toy_networks, corner, padding) -> None:
    torch.manual_seed(0)
    name = f"{toy_networks}.PointwiseNetwork3d"
    options = {"window": [4, 16, 16], "margin": 0, "multiple": [1, 8, 8], "centre": "centroid", "clamp": True}
    network = CropFromCoarse(3, 3, network_class_name=name, pass_coarse=False, **options).eval()
    x = torch.zeros(1, 3, 6, 35, 46)
    x[:, 0] = torch.randn(6, 35, 46)
    z, row, column = corner
    x[:, 1, z : z + 1, row : row + 4, column : column + 4] = 1
    x = torch.nn.functional.pad(x, padding)
    left, _, top, _, front, _ = padding
    start = (min(max(z - 2, 0), 2), min(max(row - 6, 0), 19), min(max(column - 6, 0), 30))
    found = network(x)
    window = tuple(slice(a + p, a + p + n) for a, p, n in zip(start, (front, top, left), (4, 16, 16), strict=True))
    expected = torch.full_like(found, -20.0)
    expected[:, 0] = 0
    expected[(..., *window)] = network.inner(x[:, :1])[(..., *window)]
    torch.testing.assert_close(found, expected)


class ArrayDataset:
    """One case of nnU-Net's dataset, from arrays."""

    def __init__(self, labels: np.ndarray | None) -> None:
        self.identifiers = [] if labels is None else ["a"]
        self.labels = labels

    def load_case(self, identifier: str):
        address = np.arange(self.labels.size, dtype=np.float32).reshape(1, *self.labels.shape)
        return address, self.labels[None].astype(np.int16), self.labels.astype(np.uint8), {}


@pytest.mark.parametrize("simulated", [False, True])
def test_training_windows_lie_in_the_volume(simulated: bool) -> None:
    labels = volume(np.s_[0:5, 30:38, 2:8]).astype(np.uint8)  # near two borders
    datasets = [ArrayDataset(labels), ArrayDataset(None)]
    regions = RegionDataset(*(datasets[::-1] if simulated else datasets), RULE, (4, 16, 16), jitter=(1, 6, 6))
    starts = set()
    for _ in range(100):
        image, reference, coarse, _ = regions.load_case("a")
        assert image.shape == reference.shape == (1, 4, 16, 16)
        assert coarse.shape == (4, 16, 16)
        assert (reference >= 0).all()  # nnU-Net marks what lies outside the volume by -1
        starts.add(np.unravel_index(int(image[0, 0, 0, 0]), labels.shape))
    z, row, column = (sorted({s[i] for s in starts}) for i in range(3))
    assert set(z) <= {0, 1}
    assert len(z) == 2
    assert row[-1] == 24
    assert len(row) > 3
    assert column[0] == 0
    assert len(column) > 1


def test_a_short_volume_is_never_cut_by_the_jitter() -> None:
    labels = volume(np.s_[0:1, 18:22, 18:22], shape=(3, 40, 40)).astype(np.uint8)
    regions = RegionDataset(ArrayDataset(labels), ArrayDataset(None), RULE, (4, 16, 16), jitter=(3, 6, 6))
    for _ in range(30):
        reference = regions.load_case("a")[1]
        assert (reference[0] >= 0).any((1, 2)).sum() == 3


def test_centred_size_by_hand() -> None:
    assert centred_size(Box((2, 0), (5, 10)), (3.0, 5.0)) == (4, 10)


def test_largest_component_equals_labelling_the_whole() -> None:
    from scipy import ndimage

    rng = np.random.default_rng(0)
    for _ in range(10):
        mask = rng.random((6, 9, 11)) > 0.85
        whole, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
        sizes = [np.count_nonzero(whole == i + 1) for i in range(count)]
        np.testing.assert_array_equal(largest_component(mask), whole == 1 + int(np.argmax(sizes)))
    assert not largest_component(np.zeros((2, 3, 4), dtype=bool)).any()


def test_an_unknown_centre_is_refused() -> None:
    with pytest.raises(ValueError, match="centre is 'middle', expected 'box' or 'centroid'"):
        RegionRule(centre="middle")
