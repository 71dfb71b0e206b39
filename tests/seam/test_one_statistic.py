"""Networks whose batch is one stack say the same of it in training and at prediction: no statistic differs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_cardiac.architectures import ClassifierGuidedNet, GCAMLocaliser
from nnunet_cardiac.architectures.ops.clahe import SliceEqualisation

NARROW = {"features": (8, 16, 16), "heads": 4, "hidden": 8, "dropout": 0.0}


@pytest.mark.parametrize("block", ["sk", "se_res"])
@pytest.mark.parametrize("slices", [1, 2, 5])
def test_a_stack_has_the_same_outputs_in_both_modes(block: str, slices: int) -> None:
    torch.manual_seed(1)
    net = ClassifierGuidedNet(1, 4, **NARROW, encoder_block=block, squeeze="slice")
    x = torch.randn(2, 1, slices, 16, 24)
    x[1, :, :, 12:] = 0  # a smaller image in the patch
    with torch.no_grad():
        trained, predicted = net.train().stages(x), net.eval().stages(x)
        alone = net.stages(x[1:, :, :, :12])
    for name in ("seg", "ref", "presence"):
        torch.testing.assert_close(getattr(trained, name), getattr(predicted, name))
    torch.testing.assert_close(trained.presence[slices:], alone.presence)
    torch.testing.assert_close(trained.ref[slices:, ..., :12, :], alone.ref)


def test_models_of_earlier_versions_keep_their_running_statistics() -> None:
    """Without `squeeze` in their plans, weights of before load and are used as before."""
    torch.manual_seed(2)
    old, new = ClassifierGuidedNet(1, 4, **NARROW), ClassifierGuidedNet(1, 4, **NARROW, squeeze="slice")
    names = {name for name in old.state_dict() if "squeeze" in name and "running_mean" in name}
    assert names
    assert not names & set(new.state_dict())
    again = ClassifierGuidedNet(1, 4, **NARROW)
    again.load_state_dict(old.state_dict())


def test_equalised_slices_do_not_depend_on_the_mode_or_their_neighbours() -> None:
    x = torch.rand(1, 1, 5, 32, 40) ** 2
    block = SliceEqualisation()
    torch.testing.assert_close(block.train()(x), block.eval()(x))
    torch.testing.assert_close(block(x[:, :, 1:3]), block(x)[:, :, 1:3])


def test_padding_is_no_maximum_of_an_activation_map() -> None:
    """A network that is most active where there is no image: the maximum is that of the image alone."""
    torch.manual_seed(3)
    net = GCAMLocaliser(1, 2, filters=2).eval()
    net.network.features = lambda x: torch.where(x == 0, 10.0, x.abs()).repeat(1, 2, 1, 1, 1)
    nn.init.ones_(net.network.head.weight)
    image = 1 + torch.rand(1, 1, 3, 8, 8)
    padded = nn.functional.pad(image, (8, 0, 0, 8, 1, 2))
    torch.testing.assert_close(net.heat(padded)[..., 1:4, :8, 8:], net.heat(image))
    assert net.heat(padded).sum() == net.heat(image).sum()
    drawn = net(padded).argmax(1)
    assert torch.equal(drawn[..., 1:4, :8, 8:], net(image).argmax(1))
    assert drawn.sum() == net(image).argmax(1).sum()
