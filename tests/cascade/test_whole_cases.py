"""Whole cases for networks that ask for them, in nnU-Net's predictor; means over mirror images and tiles."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from nnunet_cardiac.architectures.ops.slide import slid
from nnunet_cardiac.cascade.whole_cases import WholeCase, bare, predict_case, predicts_cases
from nnunet_cardiac.trainers.stock_predictor import install


def test_size_of_a_sample_and_axes_of_a_configuration() -> None:
    assert WholeCase.of({"patch_size": [24, 96, 80]}, (1, 2)) == WholeCase((24, 96, 80), (-2, -1))
    assert WholeCase.of({"patch_size": [24, 96, 80], "training_patch_size": [96, 64]}).size == (24, 96, 64)
    assert WholeCase.of({"patch_size": [24, 96, 80], "training_patch_size": [5, 96, 64]}).size == (5, 96, 64)
    assert WholeCase.of({"patch_size": [96, 80]}, (0, 1)) == WholeCase((1, 96, 80), (-2, -1))


def test_mean_over_mirror_images() -> None:
    x = torch.rand(2, 1, 4, 6)
    ramp = torch.arange(6.0)

    def run(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return y * ramp, y[..., 0].mean((1, 2))

    maps, values = WholeCase((1, 4, 6), (-1,)).mirrored(run, x)
    torch.testing.assert_close(maps, x * (ramp + ramp.flip(0)) / 2)
    torch.testing.assert_close(values, (x[..., 0] + x[..., -1]).mean((1, 2)) / 2)
    (same,) = WholeCase((1, 4, 6)).mirrored(lambda y: (y * ramp,), x)
    torch.testing.assert_close(same, x * ramp)


def test_batch_and_channels_are_never_mirrored() -> None:
    x = torch.rand(2, 3, 4, 6)
    calls: list[torch.Tensor] = []
    WholeCase((1, 4, 6), (-3, -1)).mirrored(lambda y: (calls.append(y) or y,), x)
    assert len(calls) == 2
    torch.testing.assert_close(calls[1], x.flip(-1))


def test_tiles_cover_the_image_and_their_weights_cancel() -> None:
    x = torch.rand(2, 1, 20, 13)
    sizes = []

    def run(tile: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(tile.shape))
        return torch.cat((tile, 2 * tile), dim=1)

    out = WholeCase((1, 8, 8)).tiled(run, x, (8, 8))
    torch.testing.assert_close(out, torch.cat((x, 2 * x), dim=1))
    assert set(sizes) == {(2, 1, 8, 8)}
    assert len(sizes) == 4 * 3  # starts 0, 4, 8, 12 and 0, 2 (2.5), 5


@pytest.mark.parametrize("axis", [0, 2])
def test_runs_of_slices_by_hand(axis: int) -> None:
    x = torch.rand(5, 3, 2).movedim(0, axis) if axis else torch.rand(5, 3, 2)

    def run(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = part.narrow(axis, 0, 1)
        return part - first, part * 2

    differences, doubled = slid(run, x, 3, axis)
    torch.testing.assert_close(doubled, x * 2)
    slices = x.unbind(axis)
    # Slice 2 is in the runs that start at 0, 1 and 2; slice 0 in the first alone; slice 4 in the last alone.
    torch.testing.assert_close(differences.select(axis, 2), slices[2] - (slices[0] + slices[1] + slices[2]) / 3)
    torch.testing.assert_close(differences.select(axis, 0), torch.zeros_like(slices[0]))
    torch.testing.assert_close(differences.select(axis, 4), slices[4] - slices[2])


class Whole(nn.Module):
    """A network that wants the case, and says how large it was."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def predict_case(self, image: torch.Tensor, sampling: WholeCase) -> torch.Tensor:
        return image.new_full((2, *image.shape[1:]), float(image.shape[-1])) + len(sampling.mirror_axes)


class Tiled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_full((1, 2, *x.shape[2:]), float(x.shape[-1]))


@pytest.mark.parametrize(
    ("network", "mirroring", "said"), [(Whole(), False, 21), (Whole(), True, 22), (Tiled(), False, 8)]
)
def test_nnunets_predictor_gives_whole_cases_to_those_who_ask(network: nn.Module, mirroring: bool, said: float) -> None:
    install()
    install()  # a second call changes nothing
    predictor = nnUNetPredictor(
        use_mirroring=mirroring, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    configuration = SimpleNamespace(patch_size=[4, 8, 8], configuration={"patch_size": [4, 8, 8]})
    predictor.network, predictor.configuration_manager = network, configuration
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)
    predictor.allowed_mirroring_axes = (2,)
    logits = predictor.predict_sliding_window_return_logits(torch.zeros(1, 5, 11, 21))
    assert logits.shape == (2, 5, 11, 21)
    assert logits.dtype == torch.float16
    assert logits.eq(said).all()


def test_wrappers_and_limits() -> None:
    network = Whole()
    assert predicts_cases(nn.DataParallel(network))
    assert bare(nn.DataParallel(network)) is network
    assert not predicts_cases(Tiled())
    with pytest.raises(RuntimeError, match="too large for float16"):
        predict_case(network, torch.zeros(1, 1, 1, 70000), WholeCase((1, 1, 1)), torch.device("cpu"))
