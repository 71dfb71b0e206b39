"""Classifier-guided two-stage network with all-slice fusion transformer.

All slices of a stack go through one network, whose bottleneck fuses them; a second network refines the probabilities
of the first, and a classifier on the second one's bottleneck says which anatomies a slice holds (sections 2.1 to 2.3).
Widths, depths, heads and the width of the classifier are not printed and are ours, as are the averaging-proof gate
(`close_gates`) and the choice that both encoder and decoder have selective kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.binary_logits import fuse_binary_logits
from nnunet_cardiac.architectures.blocks.presence_gate import close_gates
from nnunet_cardiac.architectures.blocks.stack_packing import content_box, pack, real_slices, unpack
from nnunet_cardiac.architectures.blocks.structure_layers import of_structures
from nnunet_cardiac.architectures.contract import SegmentationNetwork
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
        encoder_block, norm: See `SelectiveKernelUNet`.
        layers, heads, mlp_ratio, position: See `SliceFusionTransformer`.
        hidden: Hidden units of the classifier.
        dropout: Probability of dropping one of them.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range, or the classifier reads from a stage that is not there.

    Shape:
        Stacks `(B, input_channels, Z, H, W)` of any number of slices, H and W multiples of `divisor`, to logits
        `(B, num_classes, Z, H, W)`; in training to `StageOutputs`. Slices of zeros are taken for padding: they are
        left out of everything and come out as background. At prediction rows and columns of zeros around the stacks are
        left out, too.
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
        layers: int = 2,
        heads: int = 8,
        mlp_ratio: int = 4,
        position: str | None = None,
        hidden: int = 128,
        dropout: float = 0.1,
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
            return SelectiveKernelUNet(inputs, outputs, features, encoder_block, fused if fusion else None, norm)

        self.detach = detach
        self.reads = classifier
        self.seg = stage(input_channels, num_classes)
        self.ref = stage(num_classes, num_classes - 1) if ref else None
        if self.ref is not None:
            of_structures(self.ref.encoder[0][0].conv)  # reads one probability for each class
        self.classifier = _classifier(features[-1], hidden, num_classes - 1, dropout) if classifier else None

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor] | StageOutputs:
        """Logits of `x` `(B, input_channels, Z, H, W)`, or all outputs in training, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels, or a side that `divisor` does not divide.
        """
        return self.stages(x) if self.training else super().forward(x)

    def stages(self, x: torch.Tensor) -> StageOutputs:
        """Outputs of both stages and of the classifier, without gating."""
        self._check(x)
        real = real_slices(x)
        each = [self._one_stack(stack) for stack in pack(x, real).split(real.sum(1).tolist())]
        seg, ref, presence = (None if parts[0] is None else torch.cat(parts) for parts in zip(*each, strict=True))
        return StageOutputs(seg, ref, presence, real)

    def _one_stack(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Outputs of both stages and of the classifier for the slices `(S, input_channels, H, W)` of a stack."""
        seg, bottleneck = self.seg(x)
        ref = None
        if self.ref is not None:
            ref, refined = self.ref((seg.detach() if self.detach else seg).softmax(dim=1))
            bottleneck = refined if self.reads == "ref" else bottleneck
        return seg, ref, None if self.classifier is None else self.classifier(bottleneck.mean((2, 3)))

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Gated logits `(B, num_classes, Z, H, W)` of `x` `(B, input_channels, Z, H, W)`."""
        height, width = content_box(x, self.divisor[1:])
        seg, ref, presence, real = self.stages(x[..., height, width])
        binary = seg[:, 1:] - seg[:, :1] if ref is None else ref
        if presence is not None:
            binary = close_gates(binary, presence)
        background = F.pad(binary.new_full((self.num_classes - 1,), -_LOGIT), (1, 0))
        logits = background.view(-1, 1, 1, 1).repeat(len(x), 1, *x.shape[2:])
        logits[..., height, width] = unpack(fuse_binary_logits(binary), real, background)
        return logits


def _classifier(width: int, hidden: int, classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout), of_structures(nn.Linear(hidden, classes))
    )
