"""One network on its device: what a forward pass and a training step do to it."""

import copy

import pytest
import torch
from torch import nn

from nnunet_cardiac.benchmark.speed import workload
from nnunet_cardiac.benchmark.speed.loss import BenchmarkLoss
from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork, SpeedOptions

SUBJECT = MeasuredNetwork("Any", "2d", 2, (8, 12))
OPTIONS = SpeedOptions(patch=(8, 12), batch=3, channels=2, classes=4)


class Pyramid(nn.Module):
    """Two resolutions with deep supervision; remembers what it was called with."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5), nn.Conv2d(5, 4, 1))
        self.decoder = nn.Module()
        self.decoder.deep_supervision = True
        self.calls = []

    def forward(self, x):
        logits = self.layers(x)
        self.calls.append((self.training, self.decoder.deep_supervision, torch.is_inference_mode_enabled()))
        self.dtype = logits.dtype
        return [logits, logits[:, :, ::2, ::2]] if self.decoder.deep_supervision else logits


@pytest.fixture
def make(monkeypatch):
    """Make a workload of a network given."""

    def make_workload(network, options=OPTIONS):
        monkeypatch.setattr(workload, "build_network", lambda subject, options: network)
        return workload.Workload(SUBJECT, options)

    return make_workload


def test_forward_is_prediction_and_training_has_deep_supervision(make):
    network = Pyramid()
    made = make(network)
    weights = copy.deepcopy(network.state_dict())
    made.forward()
    torch.testing.assert_close(network.state_dict(), weights, rtol=0, atol=0)
    made.train_step()
    made.forward()
    assert network.calls == [(False, False, True), (True, True, False), (False, False, True)]


def test_network_without_deep_supervision_stays_without(make):
    network = Pyramid()
    network.decoder.deep_supervision = False
    made = make(network)
    made.train_step()
    assert network.calls == [(True, False, False)]


def test_step_is_adam_on_clipped_gradients(make, monkeypatch):
    """Against torch's own optimiser and clipping, with gradients above the limit of 12."""
    network = nn.Conv2d(2, 4, 1)
    twin = copy.deepcopy(network)
    made = make(network)
    adam = torch.optim.Adam(twin.parameters(), 1e-4)
    for scale in (1e-3, 1.0, 1e-3):
        monkeypatch.setattr(BenchmarkLoss, "forward", lambda self, y, s=scale: 1e3 * s * y.square().mean())
        made.train_step()
        adam.zero_grad()
        (1e3 * scale * twin(made._image).square().mean()).backward()
        norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), 12.0)
        assert (norm > 12) == (scale == 1)
        adam.step()
    torch.testing.assert_close(network.state_dict(), twin.state_dict(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision(make, precision, dtype):
    network = Pyramid()
    made = make(network, SpeedOptions(batch=3, precision=precision))
    for use in (made.forward, made.train_step):
        use()
        assert network.dtype == dtype
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_counts(make):
    """3 x 8 x 12 pixels; the gradient of the image is not wanted."""
    made = make(Pyramid())
    frozen = made.parameters
    first, second = (3 * 8 * 12 * n for n in (2 * 5 * 9, 5 * 4))
    assert made.count() == (2 * (first + second), 2 * (2 * first + 3 * second))
    assert frozen == (2 * 5 * 9 + 5) + 2 * 5 + (5 * 4 + 4)


def test_seed_repeats_image_and_labels(make):
    images = [make(Pyramid(), SpeedOptions(seed=seed))._image for seed in (1, 1, 2)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_output_that_is_no_map_is_trained(make):
    network = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 12, 4), nn.Sigmoid())
    before = copy.deepcopy(network.state_dict())
    make(network).train_step()
    assert not torch.equal(before["1.weight"], network[1].weight)
