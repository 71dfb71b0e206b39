"""The localiser: what it exports, and what it does where nothing or two places light up."""

import pytest
import torch

from nnunet_cardiac.architectures import GCAMLocaliser
from nnunet_cardiac.cascade.roi import RegionRule, find_region


@pytest.fixture
def localiser() -> GCAMLocaliser:
    torch.manual_seed(0)
    return GCAMLocaliser(1, 4, filters=2)


def lit(localiser: GCAMLocaliser, monkeypatch: pytest.MonkeyPatch, heat: torch.Tensor) -> torch.Tensor:
    """Label map (Z, Y, X) that the localiser exports for a given activation map."""
    monkeypatch.setattr(localiser, "heat", lambda x: heat[None])
    with torch.inference_mode():
        return localiser.eval()(torch.zeros(1, 1, *heat.shape)).argmax(1)[0]


def test_parameters_of_the_paper() -> None:
    assert sum(p.numel() for p in GCAMLocaliser(1, 4).parameters()) == 638_609


def test_training_gives_two_logits_and_evaluation_the_map(localiser: GCAMLocaliser) -> None:
    x = torch.randn(2, 1, 3, 16, 24)
    logits = localiser.train()(x)
    assert logits.shape == (2, 2, 3, 16, 24)
    logits[:, 1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in localiser.parameters())
    localiser.eval()
    with torch.inference_mode():
        drawn, heat = localiser(x), localiser.heat(x)
    assert drawn.shape == (2, 4, 3, 16, 24)
    assert torch.equal(drawn.argmax(1) == 1, heat > heat.amax((1, 2, 3), keepdim=True) / 2)
    assert drawn.abs().unique().tolist() == [20.0]
    with localiser.segmenting():
        torch.testing.assert_close(localiser(x), localiser.network(x))
    assert localiser(x).shape[1] == 4


def test_the_map_is_the_logit_without_its_bias(localiser: GCAMLocaliser) -> None:
    localiser.eval()
    x = torch.randn(1, 1, 2, 8, 8)
    z = localiser.network(x)[:, 1] - localiser.network.head.bias
    torch.testing.assert_close(localiser.heat(x), z.relu(), rtol=1e-4, atol=1e-6)


def test_a_network_that_speaks_against_the_background_only(localiser: GCAMLocaliser) -> None:
    localiser.eval()
    x = torch.randn(2, 1, 2, 16, 16)
    head = localiser.network.head
    with torch.no_grad():
        head.weight.copy_(-head.weight.abs() - 0.1)
        z = localiser.network(x)[:, 1] - head.bias
        heat = localiser.heat(x)
    assert (z <= 0).all()  # features are not negative
    assert (z < 0).any()
    from_mean = z - z.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(heat, from_mean.relu(), rtol=1e-4, atol=1e-5)
    assert torch.equal(heat.flatten(1).argmax(1), z.flatten(1).argmax(1))


def test_a_map_is_empty_where_everything_is_alike(localiser: GCAMLocaliser) -> None:
    with torch.no_grad():
        localiser.network.head.weight.zero_()
        assert not localiser.eval().heat(torch.randn(1, 1, 2, 8, 8)).any()


def test_an_all_zero_map_is_background_and_its_window_the_centre(localiser, monkeypatch, caplog) -> None:
    labels = lit(localiser, monkeypatch, torch.zeros(4, 16, 16))
    assert not labels.any()
    region = find_region(
        (labels > 0).numpy(), RegionRule((4, 8, 8), margin=0, multiple=(1, 8, 8), centre="centroid", clamp=True)
    )
    assert (region.found, region.window.start, region.window.stop) == (False, (0, 4, 4), (4, 12, 12))
    assert "Empty coarse prediction" in caplog.text


def test_of_two_hot_spots_the_larger_is_the_heart(localiser, monkeypatch) -> None:
    heat = torch.zeros(4, 40, 40)
    heat[1, 4:6, 4:6] = 10.0  # hotter and smaller
    heat[1:3, 24:32, 20:28] = 6.0
    heat[:, 10:20, 10:20] = 4.0  # below half of the maximum
    labels = lit(localiser, monkeypatch, heat)
    assert labels.unique().tolist() == [0, 1]
    assert labels.sum() == 4 + 2 * 8 * 8
    window = find_region(
        (labels > 0).numpy(), RegionRule((4, 16, 16), margin=0, multiple=(1, 8, 8), centre="centroid")
    ).window
    assert (window.start, window.stop) == ((0, 20, 16), (4, 36, 32))


def test_samples_of_a_batch_have_their_own_maximum(localiser, monkeypatch) -> None:
    heat = torch.zeros(2, 1, 8, 8)
    heat[0, 0, 0, 0], heat[1, 0, 7, 7] = 100.0, 0.01
    monkeypatch.setattr(localiser, "heat", lambda x: heat)
    assert torch.equal(localiser.eval()(torch.zeros(2, 1, 1, 8, 8)).argmax(1) == 1, heat > 0)


@pytest.mark.parametrize("options", [{"threshold": 1.0}, {"threshold": -0.1}, {"score": "heart"}])
def test_what_makes_no_sense_is_refused(options) -> None:
    with pytest.raises(ValueError, match="expected a number in"):
        GCAMLocaliser(1, 2, **options)


def test_a_size_that_does_not_fit_is_refused(localiser) -> None:
    with pytest.raises(ValueError, match=r"GCAMLocaliser: .* multiples of 1 x 8 x 8; pad it to 3 x 16 x 24"):
        localiser(torch.zeros(1, 1, 3, 12, 24))
