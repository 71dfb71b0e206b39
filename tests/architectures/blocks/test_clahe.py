"""CLAHE against scikit-image, and as the input stage of a network."""

import numpy as np
import pytest
import torch
from skimage import data, exposure, transform

from nnunet_cardiac.architectures import DilatedResidualUNet, GCAMLocaliser, JointDilatedResidualUNet
from nnunet_cardiac.architectures.ops.clahe import SliceEqualisation, equalise_slices


def picture(shape: tuple[int, int]) -> np.ndarray:
    """A photograph in [0, 1] with a dark half."""
    image = transform.resize(data.camera().astype(float), shape, anti_aliasing=True)
    image[:, : shape[1] // 2] *= 0.3
    return (image - image.min()) / (image.max() - image.min())


@pytest.mark.parametrize(
    ("shape", "mean", "largest"), [((512, 512), 0.005, 0.03), ((400, 330), 0.007, 0.05), ((241, 250), 0.02, 0.12)]
)
def test_equals_scikit_image(shape: tuple[int, int], mean: float, largest: float) -> None:
    """Scikit-image spreads whole counts and overshoots in small tiles; the larger the tiles, the closer the results."""
    image = picture(shape)
    wanted = exposure.equalize_adapthist(image, clip_limit=0.01, nbins=256)
    found = equalise_slices(torch.tensor(image, dtype=torch.float32)[None])[0].numpy()
    assert np.abs(image - wanted).mean() > 0.04  # what it is compared with did something
    assert np.abs(found - wanted).mean() < mean
    assert np.abs(found - wanted).max() < largest
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.998


def test_one_tile_without_a_limit_is_histogram_equalisation() -> None:
    image = picture((64, 64))
    found = equalise_slices(torch.tensor(image)[None], clip_limit=1.0, tiles=1)[0].numpy()
    bins = np.minimum((image * 256).astype(int), 255)
    ranks = np.cumsum(np.bincount(bins.ravel(), minlength=256))[bins] / bins.size
    np.testing.assert_allclose(found, (ranks - ranks.min()) / (ranks.max() - ranks.min()), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 5, 3), (2, 8, 8), (1, 1, 40)])
def test_small_and_constant_slices_are_no_trouble(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    found = equalise_slices(torch.rand(shape))
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert not equalise_slices(torch.full(shape, 3.0)).any()


def test_offset_and_scale_of_the_input_do_not_matter() -> None:
    image = torch.rand(3, 40, 48, dtype=torch.float64)
    torch.testing.assert_close(equalise_slices(7 * image - 3), equalise_slices(image), rtol=0, atol=1e-3)


def test_volumes_are_standardised_and_padding_stays_zero() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, 5, 32, 40)
    x[:, :, 3:] = 0
    y = SliceEqualisation()(x)
    torch.testing.assert_close(y[:, :, :3].mean((2, 3, 4)), torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[:, :, :3].std((2, 3, 4), correction=0), torch.ones(2, 2))
    assert not y[:, :, 3:].any()
    torch.testing.assert_close(SliceEqualisation()(x[:, :, :3]), y[:, :, :3])


@pytest.mark.parametrize("network", [DilatedResidualUNet, JointDilatedResidualUNet])
def test_networks_equalise_their_input_once_in_training_and_prediction(network) -> None:
    torch.manual_seed(0)
    plain, equalising = (network(1, 3, filters=2, clahe=clahe) for clahe in (False, "slice"))
    equalising.load_state_dict(plain.state_dict())
    x = torch.rand(2, 1, 2, 16, 24) ** 3
    y = SliceEqualisation()(x)
    torch.testing.assert_close(equalising.train()(x), plain.train()(y))
    torch.testing.assert_close(equalising.eval()(x), plain.eval()(y))


def test_the_localiser_equalises_too() -> None:
    torch.manual_seed(0)
    plain, equalising = (GCAMLocaliser(1, 2, filters=2, clahe=clahe).eval() for clahe in (False, "slice"))
    equalising.load_state_dict(plain.state_dict())
    x = torch.rand(1, 1, 2, 16, 24) ** 3
    torch.testing.assert_close(equalising.heat(x), plain.heat(SliceEqualisation()(x)))


def test_a_slice_is_the_same_in_a_run_and_in_a_volume() -> None:
    x = torch.rand(1, 1, 6, 16, 24) ** torch.linspace(0.3, 4, 6).view(1, 1, 6, 1, 1)
    whole = SliceEqualisation()(x)
    torch.testing.assert_close(SliceEqualisation()(x[:, :, 2:5]), whole[:, :, 2:5])
    torch.testing.assert_close(whole.mean((3, 4)), torch.zeros(1, 1, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.std((3, 4), unbiased=False), torch.ones(1, 1, 6))


def test_models_of_earlier_versions_keep_the_statistics_of_all_slices() -> None:
    x = torch.rand(1, 1, 6, 16, 24) ** torch.linspace(0.3, 4, 6).view(1, 1, 6, 1, 1)
    by_hand = equalise_slices(x[0, 0])
    by_hand = (by_hand - by_hand.mean()) / by_hand.std(unbiased=False)
    torch.testing.assert_close(DilatedResidualUNet(1, 2, filters=2, clahe=True).prepare(x)[0, 0], by_hand)
    with pytest.raises(ValueError, match="clahe is 'all', expected 'slice', true or false"):
        DilatedResidualUNet(1, 2, clahe="all")
