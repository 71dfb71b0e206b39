"""Fusion of binary logits: decision rule and probabilities."""

import torch

from nnunet_cardiac.architectures.ops.binary_logits import fuse_binary_logits


def test_argmax_is_the_natural_decision():
    z = 3 * torch.randn(1, 3, 20_000)
    probability = z.sigmoid()
    natural = torch.where((probability <= 0.5).all(1), 0, probability.argmax(1) + 1)
    assert torch.equal(fuse_binary_logits(z).argmax(1), natural)


def test_softmax_is_independent_decisions_given_at_most_one():
    z = torch.randn(2, 3, 7, dtype=torch.double)
    p = z.sigmoid()
    none = (1 - p).prod(1, keepdim=True)
    joint = torch.cat((none, none * p / (1 - p)), 1)
    torch.testing.assert_close(fuse_binary_logits(z).softmax(1), joint / joint.sum(1, keepdim=True))


def test_one_class_is_the_sigmoid():
    z = torch.randn(2, 1, 4, 5)
    torch.testing.assert_close(fuse_binary_logits(z).softmax(1)[:, 1:], z.sigmoid())
