"""One gate for each slice and class of a case: what the classifier says is averaged first, whatever the logits are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_cardiac.architectures import ClassifierGuidedNet
from nnunet_cardiac.cascade.whole_cases import WholeCase


class Told(nn.Module):
    """A network of one stage whose classifier says what it is told, call by call."""

    def __init__(self, probabilities: list[float], confidence: float = 3.0) -> None:
        super().__init__()
        self.net = ClassifierGuidedNet(1, 2, features=(8, 8), ref=False, classifier="seg", fusion=False).eval()
        self.said = [torch.tensor(p).logit() for p in probabilities]
        self.confidence = confidence
        self.net._one_stack = self.one_stack

    def one_stack(self, slices: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor]:
        presence = self.said.pop(0).expand(len(slices), 1)
        z = torch.full((len(slices), 1, *slices.shape[2:]), self.confidence)
        # What the classifier says has nothing to do with how sure the segmentation is.
        z = z * (5 if presence[0, 0] < 0 else 1)
        return torch.cat((torch.zeros_like(z), z), dim=1), None, presence


@pytest.mark.parametrize(("said", "shown"), [([0.9, 0.9, 0.2, 0.9], True), ([0.6, 0.6, 0.6, 0.1], False)])
def test_mirror_images_are_averaged_as_probabilities_and_gated_once(said: list[float], shown: bool) -> None:
    """Three of four mirror images open the gate; mean probabilities are 0.725 and 0.475, whatever the logits are."""
    case = WholeCase((1, 8, 8), (-2, -1))
    logits = Told(said).net.predict_case(torch.randn(1, 1, 8, 8), case)
    assert (logits.argmax(0) == 1).all() == shown
    assert (logits.argmax(0) == 1).any() == shown


def test_runs_of_slices_are_averaged_as_probabilities() -> None:
    """Slices 0 and 3 of four are in one run of three, the others in both."""
    logits = Told([0.9, 0.2]).net.predict_case(torch.randn(1, 4, 8, 8), WholeCase((3, 8, 8)))
    assert (logits.argmax(0) == 1).flatten(1).all(1).tolist() == [True, True, True, False]  # 0.9, 0.55, 0.55, 0.2


def test_a_whole_stack_at_once_is_a_choice() -> None:
    told = Told([0.9])
    told.net.slide = False
    assert (told.net.predict_case(torch.randn(1, 4, 8, 8), WholeCase((3, 8, 8))).argmax(0) == 1).all()
    assert not told.said


def test_a_larger_image_is_gated_by_what_lies_around_the_heart() -> None:
    """Tiles of 8 x 8 in an image of 8 x 16: three of them, then once more the one around the heart."""
    told = Told([0.1, 0.1, 0.1, 0.9])
    image = torch.randn(1, 1, 8, 16)
    assert (told.net.predict_case(image, WholeCase((1, 8, 8))).argmax(0) == 1).all()
    assert not told.said
