"""Classifier-guided two-stage network with all-slice fusion transformer.

All slices of a stack go through one network, whose bottleneck fuses them; a second network refines the probabilities
of the first, and a classifier on the second one's bottleneck says which anatomies a slice holds (sections 2.1 to 2.3).
Widths, depths, heads and the width of the classifier are not printed and are ours, as are the averaging-proof gate
(`PresenceGate`) and the choice that both encoder and decoder have selective kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.presence_gate import PresenceGate
from nnunet_cardiac.architectures.contract import CaseSampling, NetworkOutput, SegmentationNetwork
from nnunet_cardiac.architectures.ops.binary_logits import fuse_binary_logits
from nnunet_cardiac.architectures.ops.slide import slid
from nnunet_cardiac.architectures.ops.stack_packing import content_box, pack, real_slices, unpack
from nnunet_cardiac.architectures.ops.structure_layers import of_structures
from nnunet_cardiac.architectures.selective_kernel_unet import SelectiveKernelUNet

__all__ = ["ClassifierGuidedNet", "StageOutputs"]

_CLASSIFIERS = ("ref", "seg")
_LOGIT = 20.0  # certain background on slices that only fill a stack up


class StageOutputs(NamedTuple):
    """What the losses need, for the S real slices of all stacks.

    Attributes:
        seg: Logits `(S, K + 1, H, W)` of the first stage.
        ref: Logits `(S, K, H, W)` of the second stage, each class against the rest; None without it.
        presence: Logits `(S, K)` of the classifier; None without it.
        real: Which slices of the stacks they are, `(B, Z)`.
    """

    seg: torch.Tensor
    ref: torch.Tensor | None
    presence: torch.Tensor | None
    real: torch.Tensor


class ClassifierGuidedNet(SegmentationNetwork):
    """Seg stage, Ref stage on its probabilities, classifier that gates; 21.19 M parameters for four classes.

    The rows of the paper's ablation (Table 2) are combinations of `ref`, `fusion` and `classifier`.

    Args:
        input_channels: Channels of the image.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`.
        features: Channels of the levels of each stage, top to bottom.
        ref: Whether there is a second stage.
        fusion: Whether the bottlenecks fuse all slices ("AS"); without it every slice is on its own ("SS").
        classifier: Where the classifier reads: `"ref"`, `"seg"`, or None for no classifier.
        detach: Whether the gradients of the second stage stop at the first, which then learns from its own loss alone.
        encoder_block, norm, squeeze: See `SelectiveKernelUNet`.
        layers, heads, mlp_ratio, position: See `SliceFusionTransformer`.
        hidden: Hidden units of the classifier.
        dropout: Probability of dropping one of them.
        slide: Whether prediction shows the network as many slices in a row as a training sample has, run after run,
            instead of the whole stack at once.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range, or the classifier reads from a stage that is not there.

    Shape:
        Stacks `(B, input_channels, Z, H, W)` of any number of slices, H and W multiples of `divisor`, to logits
        `(B, num_classes, Z, H, W)`; in training to `StageOutputs`. Slices of zeros, and rows and columns of zeros
        around a stack, are taken for padding: they are left out of everything, in training as at prediction, and come
        out as background.
    """

    axes = 3

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        features: Sequence[int] = (32, 64, 128, 256, 256),
        ref: bool = True,
        fusion: bool = True,
        classifier: str | None = "ref",
        detach: bool = True,
        encoder_block: str = "sk",
        norm: str = "stack",
        squeeze: str = "batch",
        layers: int = 2,
        heads: int = 8,
        mlp_ratio: int = 4,
        position: str | None = None,
        hidden: int = 128,
        dropout: float = 0.1,
        slide: bool = True,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if classifier not in (None, *_CLASSIFIERS):
            raise ValueError(f"classifier is {classifier!r}, expected None, 'ref' or 'seg'.")
        if classifier == "ref" and not ref:
            raise ValueError("classifier is 'ref', but ref is false: there is no such stage. Take 'seg' or None.")
        if hidden < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"Found hidden {hidden} and dropout {dropout}, expected at least 1 and a number in [0, 1)."
            )
        step = (1, 2, 2)
        super().__init__(
            input_channels, num_classes, deep_supervision, levels=len(features), step=step, strides=strides
        )

        def stage(inputs: int, outputs: int) -> SelectiveKernelUNet:
            fused = {"layers": layers, "heads": heads, "mlp_ratio": mlp_ratio, "position": position}
            return SelectiveKernelUNet(
                inputs, outputs, features, encoder_block, fused if fusion else None, norm, squeeze
            )

        self.detach = detach
        self.slide = slide
        self.reads = classifier
        self.seg = stage(input_channels, num_classes)
        self.ref = stage(num_classes, num_classes - 1) if ref else None
        if self.ref is not None:
            of_structures(self.ref.get_submodule("encoder.0.0.conv"))  # reads one probability for each class
        self.classifier = _classifier(features[-1], hidden, num_classes - 1, dropout) if classifier else None
        self.gate = PresenceGate()

    def forward(self, x: torch.Tensor) -> NetworkOutput:
        """Logits of `x` `(B, input_channels, Z, H, W)`, or all outputs in training, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels, or a side that `divisor` does not divide.
        """
        return self.stages(x) if self.training else super().forward(x)

    def stages(self, x: torch.Tensor) -> StageOutputs:
        """Outputs of both stages and of the classifier, without gating."""
        self._check(x)
        real = real_slices(x)
        each = [self._content_of(stack) for stack in pack(x, real).split(real.sum(1).tolist())]
        seg, ref, presence = zip(*each, strict=True)
        return StageOutputs(torch.cat(seg), _joined(ref), _joined(presence), real)

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Gated logits `(B, num_classes, Z, H, W)` of `x` `(B, input_channels, Z, H, W)`."""
        seg, ref, presence, real = self.stages(x)
        binary = _against_rest(seg, ref)
        if presence is not None:
            binary = self.gate(binary, presence > 0)
        return self._unpacked(binary, real)

    def predict_case(self, image: torch.Tensor, sampling: CaseSampling) -> torch.Tensor:
        """Segment a whole stack, gated once for each slice and class.

        The network sees as many slices in a row, rows and columns as in training: of a deeper stack every run of
        slices, of larger slices overlapping tiles, and their logits are averaged. What the classifier says is averaged
        as a probability over runs and mirror images. Of larger slices it sees the part around the heart that the
        averaged segmentation shows, since in tiles without a heart it finds nothing.

        Args:
            image: Stack `(input_channels, Z, Y, X)` of any size.
            sampling: Size of a training sample, and how to average over mirror images and tiles.

        Returns:
            Logits `(num_classes, Z, Y, X)`.
        """
        slices, *in_plane = sampling.size
        real = real_slices(image[None])
        stack = pack(image[None], real)
        slices = slices if self.slide else len(stack)
        tile = [min(n, side) for n, side in zip(in_plane, stack.shape[2:], strict=True)]

        def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return sampling.mirrored(lambda y: slid(self._said_of, y, slices, axis=0), x)

        said: Sequence[torch.Tensor]
        if list(stack.shape[2:]) == tile:
            binary, *said = run(stack)
        else:
            binary = sampling.tiled(lambda x: run(x)[0], stack, tile)
            said = run(_around_heart(stack, binary, tile))[1:] if self.reads else ()
        if said:
            binary = self.gate(binary, said[0] > 0.5)
        return self._unpacked(binary, real)[0]

    def _said_of(self, slices: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits `(S, K, H, W)` of each class against the rest, and with a classifier probabilities `(S, K)`."""
        seg, ref, presence = self._content_of(slices)
        binary = _against_rest(seg, ref).float()
        return (binary,) if presence is None else (binary, presence.float().sigmoid())

    def _content_of(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Outputs for the slices `(S, input_channels, H, W)` of a stack; background around what is not zero.

        What is not zero is padded behind to multiples of the divisor, wherever it lies among the zeros.
        """
        height, width = content_box(slices)
        content = slices[..., height, width]
        rows, columns = content.shape[2:]
        padding = (0, -columns % self._divisors[2], 0, -rows % self._divisors[1])
        seg, ref, presence = self._one_stack(F.pad(content, padding))
        around = (width.start, slices.shape[3] - width.stop, height.start, slices.shape[2] - height.stop)
        seg = torch.cat(
            (F.pad(seg[:, :1, :rows, :columns], around), self._framed(seg[:, 1:, :rows, :columns], around)), 1
        )
        return seg, None if ref is None else self._framed(ref[..., :rows, :columns], around), presence

    @staticmethod
    def _framed(logits: torch.Tensor, around: tuple[int, ...]) -> torch.Tensor:
        """Logits of classes with certain background around them."""
        return F.pad(logits, around, value=-_LOGIT) if any(around) else logits

    def _one_stack(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Outputs of both stages and of the classifier for the slices `(S, input_channels, H, W)` of a stack."""
        seg, bottleneck = self.seg(x)
        ref = None
        if self.ref is not None:
            ref, refined = self.ref((seg.detach() if self.detach else seg).softmax(dim=1))
            bottleneck = refined if self.reads == "ref" else bottleneck
        return seg, ref, None if self.classifier is None else self.classifier(bottleneck.mean((2, 3)))

    def _unpacked(self, binary: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, Z, H, W)` of stacks from the binary ones `(S, K, H, W)` of their real slices."""
        background = F.pad(binary.new_full((self.num_classes - 1,), -_LOGIT), (1, 0))
        return unpack(fuse_binary_logits(binary), real, background)


def _joined(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """Outputs of all stacks behind each other; None of a part that the network does not have."""
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None


def _against_rest(seg: torch.Tensor, ref: torch.Tensor | None) -> torch.Tensor:
    """Logits `(S, K, H, W)` of each class against the rest: of the second stage, or of the first if there is none."""
    return seg[:, 1:] - seg[:, :1] if ref is None else ref


def _around_heart(slices: torch.Tensor, binary: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Part (S, C, *size) of slices around the mean position of what is shown; around the middle if nothing is."""
    shown = (binary > 0).flatten(0, 1)
    starts = []
    for axis, n in zip((2, 1), size, strict=True):  # rows have what is left when columns are summed, and the reverse
        profile = shown.sum((0, axis)).float()
        length = len(profile)
        places = torch.arange(length, device=profile.device) + 0.5
        total = profile.sum()
        middle = float((profile * places).sum() / total) if total > 0 else length / 2
        starts.append(min(max(round(middle - n / 2), 0), length - n))
    (top, left), (height, width) = starts, size
    return slices[..., top : top + height, left : left + width]


def _classifier(width: int, hidden: int, classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout), of_structures(nn.Linear(hidden, classes))
    )
