"""3D convolution that takes torch's fast kernel for a single volume, too."""

import torch
from torch import nn

__all__ = ["VolumeConv"]


class VolumeConv(nn.Conv3d):
    """3D convolution: `(B, in_channels, Z, Y, X)` to `(B, out_channels, Z, Y, X)`.

    On a processor torch asks whether B · C · Z · Y exceeds 20480 before it takes oneDNN's kernel for a batch of one, a
    rule made for images. A small network on a whole volume falls below and is computed by a general path, two to five
    times slower. Prediction calls the kernel by its name; training, with larger batches, is left alone.
    """

    padding: tuple[int, ...]  # numbers alone, where torch's own class also takes words

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve `x`."""
        if not self._is_single_on_cpu(x):
            return super().forward(x)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )

    def _is_single_on_cpu(self, x: torch.Tensor) -> bool:
        return (
            x.device.type == "cpu"
            and len(x) == 1
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
        )
