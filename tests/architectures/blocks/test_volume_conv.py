"""The kernel called by name computes what torch's own choice computes."""

import pytest
import torch

from nnunet_cardiac.architectures.ops.volume_conv import VolumeConv


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize(("batch", "dilation"), [(1, 1), (1, 4), (2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torch(batch, dilation, dtype, memory_format) -> None:
    torch.manual_seed(0)
    conv = VolumeConv(3, 5, 3, padding=dilation, dilation=dilation, bias=False).to(dtype)
    x = torch.randn(batch, 3, 4, 9, 7, dtype=dtype).to(memory_format=memory_format)
    wanted = torch.nn.functional.conv3d(x, conv.weight, padding=dilation, dilation=dilation)
    with torch.inference_mode():
        torch.testing.assert_close(conv(x), wanted.detach(), rtol=1e-4, atol=1e-5)


def test_gradients_take_torchs_own_way() -> None:
    conv = VolumeConv(2, 2, 3, padding=1)
    conv(torch.randn(1, 2, 3, 4, 4)).sum().backward()
    assert conv.weight.grad is not None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(torch.randn(1, 2, 3, 4, 4)).dtype == torch.bfloat16
