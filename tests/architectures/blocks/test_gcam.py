"""The closed form against autograd, on random networks."""

import pytest
import torch

from nnunet_cardiac.architectures import DilatedResidualUNet
from nnunet_cardiac.architectures.blocks.gcam import gcam

SCORE = {
    "logit": lambda z, c: z[:, c],
    "sigmoid": lambda z, c: z[:, c].sigmoid(),
    "softmax": lambda z, c: z.softmax(1)[:, c],
    "heart": lambda z, c: 1 - z.softmax(1)[:, 0],
}


def by_autograd(features, head, score, channel):
    """Equation 1, term by term."""
    x = features.detach().clone().requires_grad_()
    SCORE[score](head(x), channel).sum().backward()
    return (x * x.grad).sum(1).relu().detach()


def network_and_features(classes, dtype):
    torch.manual_seed(classes)
    network = DilatedResidualUNet(1, classes, filters=4, keep_z=True).to(dtype).train()  # features of the order of 1
    torch.nn.init.normal_(network.head.bias)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    with torch.no_grad():
        return network, network.features(torch.randn(2, 1, 3, 16, 24, dtype=dtype))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize(
    ("classes", "score", "channel"),
    [
        (2, "logit", 0),
        (2, "sigmoid", 0),
        *((4, score, channel) for score in ("logit", "sigmoid", "softmax") for channel in range(4)),
        (4, "heart", 0),
    ],
)
def test_equals_autograd(classes, score, channel, dtype, tolerance):
    network, features = network_and_features(classes, dtype)
    wanted = by_autograd(features, network.head, score, channel)
    with torch.inference_mode():
        found = gcam(features, network.head.weight, network.head.bias, score, channel)
    assert wanted.max() > 0.01
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance * wanted.max().item())


def test_by_hand():
    x = torch.tensor([[[[2.0]], [[3.0]]]])  # two feature channels, one voxel
    weight, bias = torch.tensor([[1.0, -1.0], [0.5, 1.0]])[..., None, None], torch.tensor([5.0, 0.0])
    assert gcam(x, weight, bias, channel=0).item() == 0  # 2 - 3 < 0, although the logit with its bias is 4
    assert gcam(x, weight, bias, channel=1).item() == 4


def test_a_sure_network_keeps_its_map_with_logits_and_loses_it_with_probabilities():
    x, weight = torch.tensor([1.54, 8.0]).view(1, 1, 2), torch.ones(1, 1, 1)
    assert gcam(x, weight, None)[0].tolist() == pytest.approx([1.54, 8.0])
    assert gcam(x, weight, None, "sigmoid")[0].tolist() == pytest.approx([0.2239, 0.0027], abs=1e-4)


def test_half_precision_is_computed_in_float32():
    features, weight = torch.rand(1, 8, 4, 4).to(torch.bfloat16), torch.rand(1, 8, 1, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gcam(features, weight, None)
    assert found.dtype == torch.float32
    wanted = (features.double() * weight.double()).sum(1)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "score", "channel", "message"),
    [
        (1, "probability", 0, "expected one of 'logit', 'sigmoid', 'softmax', 'heart'"),
        (1, "heart", 0, "needs two or more channels, found one"),
        (3, "logit", 3, "channel is 3, expected one of 0 to 2"),
    ],
)
def test_what_does_not_exist_is_refused(channels, score, channel, message):
    with pytest.raises(ValueError, match=message):
        gcam(torch.zeros(1, 2, 4), torch.zeros(channels, 2, 1), None, score, channel)
