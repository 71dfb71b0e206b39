"""Two 3D DR-UNets trained end to end: the first tells the second where the heart is.

Vesal, Maier, Ravikumar, Journal of Imaging 6 (2020) 65, section 3. The paper words the connection in four ways: the map
of the first network is added to the image (introduction), multiplied with it (method, the only equation), or an
extra channel (results). All are here; the equation is the default. The "feature map" is read as the probability of the
heart, one channel, since the equation asks for as many as the image has. Neither the widths nor the weights of the two
losses are printed; 8 and 32 filters and equal weights are ours.
"""

from collections.abc import Sequence

import torch

from nnunet_cardiac.architectures.contract import NetworkOutput, SegmentationNetwork
from nnunet_cardiac.architectures.dilated_residual_unet import DilatedResidualUNet, pooling_step
from nnunet_cardiac.architectures.ops.clahe import equalisation

__all__ = ["JointDilatedResidualUNet"]

_FUSIONS = ("mul", "concat", "mul_concat", "add")


class JointDilatedResidualUNet(SegmentationNetwork):
    """A small and a large `DilatedResidualUNet` on the same grid; gradients of the second reach the first.

    After z-scoring 0 is the mean grey value, so with `"mul"` what the first network misses is grey for the second, too:
    it cannot be regained. `"concat"` and `"mul_concat"` keep the image.

    Args:
        input_channels: Channels of the volume.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`; the first network
            then has no loss of its own.
        fusion: Input of the second network from image I and heart probability P: `"mul"` I·P, `"concat"` [I; P],
            `"mul_concat"` [I; I·P], `"add"` I + P.
        coarse_filters: Channels of the first level of the first network.
        filters: Channels of the first level of the second network.
        keep_z, norm, preact, checkpointing: See `DilatedResidualUNet`.
        clahe: Equalises the input of both, see `DilatedResidualUNet`.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        `(B, input_channels, Z, Y, X)` to logits `(B, num_classes, Z, Y, X)`; in training a list, first those of the
        second network, then those of the first. Divisors as for `DilatedResidualUNet`.
    """

    axes = 3

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        fusion: str = "mul",
        coarse_filters: int = 8,
        filters: int = 32,
        keep_z: bool = True,
        norm: str = "batch",
        preact: bool = False,
        checkpointing: bool = False,
        clahe: bool | str = False,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if fusion not in _FUSIONS:
            raise ValueError(f"fusion is {fusion!r}, expected one of {', '.join(map(repr, _FUSIONS))}.")
        super().__init__(
            input_channels, num_classes, deep_supervision, levels=1, step=pooling_step(keep_z), strides=strides
        )

        def network(channels: int, width: int) -> DilatedResidualUNet:
            return DilatedResidualUNet(
                channels,
                num_classes,
                filters=width,
                keep_z=keep_z,
                norm=norm,
                preact=preact,
                checkpointing=checkpointing,
            )

        self.fusion = fusion
        self.prepare = equalisation(clahe)
        fused_channels = {"concat": input_channels + 1, "mul_concat": 2 * input_channels}
        self.coarse = network(input_channels, coarse_filters)
        self.fine = network(fused_channels.get(fusion, input_channels), filters)
        self.divisor = self.fine.divisor
        self.strides = self.strides if strides is not None else self.fine.strides

    def forward(self, x: torch.Tensor) -> NetworkOutput:
        """Logits of `x` `(B, input_channels, Z, Y, X)`, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels, or a side that `divisor` does not divide.
        """
        if not self.training or self.decoder.deep_supervision:
            return super().forward(x)
        self._check(x)
        return list(self._both(x))

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, Z, Y, X)` of the second network for `x` `(B, input_channels, Z, Y, X)`."""
        return self._both(x)[0]

    def _both(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the second and of the first network."""
        x = self.prepare(x)
        coarse = self.coarse(x)
        heart = 1 - coarse.softmax(dim=1)[:, :1]
        return self.fine(self._fused(x, heart)), coarse

    def _fused(self, x: torch.Tensor, heart: torch.Tensor) -> torch.Tensor:
        """Input of the second network from image `(B, C, ...)` and probability `(B, 1, ...)`."""
        if self.fusion == "mul":
            return x * heart
        if self.fusion == "add":
            return x + heart
        return torch.cat((x, heart if self.fusion == "concat" else x * heart), dim=1)
