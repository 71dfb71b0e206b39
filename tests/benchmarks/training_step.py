"""Time of a training step of E2AUNet beside that of nnU-Net's 2d network. Run by hand on an idle machine.

python tests/benchmarks/training_step.py --threads 2
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnunet_cardiac.architectures.e2a_unet import E2AUNet


def plain_conv_unet() -> PlainConvUNet:
    """nnU-Net's 2d network as it trains it: InstanceNorm, LeakyReLU, deep supervision."""
    return PlainConvUNet(
        input_channels=1,
        n_stages=6,
        features_per_stage=[32, 64, 128, 256, 512, 512],
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=[1, 2, 2, 2, 2, 2],
        n_conv_per_stage=2,
        num_classes=4,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )


def loss(outputs: torch.Tensor | list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy minus Dice; lower resolutions count half of the one above and the last nothing, as in nnU-Net."""
    if isinstance(outputs, torch.Tensor):
        return _dice_and_cross_entropy(outputs, target)
    total = torch.zeros((), device=target.device)
    for level, logits in enumerate(outputs[:-1]):
        smaller = F.interpolate(target[:, None].float(), logits.shape[2:])[:, 0].long()
        total = total + 0.5**level * _dice_and_cross_entropy(logits, smaller)
    return total


def _dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    logits = logits.float()
    p, t = logits.softmax(1), F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    dice = (2 * (p * t).sum((0, 2, 3)) + 1) / ((p + t).sum((0, 2, 3)) + 1)
    return F.cross_entropy(logits, target) - dice.mean()


def trainer(network: nn.Module, args: argparse.Namespace) -> Callable[[], float]:
    """A function that makes one step of Adam and returns its seconds."""
    device = torch.device(args.device)
    network = network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    image = torch.randn(args.batch, 1, args.size, args.size, device=device)
    target = torch.randint(0, 4, (args.batch, args.size, args.size), device=device)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=args.bf16):
            value = loss(network(image), target)
        value.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


def multiply_adds(network: nn.Module, size: int) -> float:
    """Billions of multiplications of one image forward and backward, the hidden layers that are recomputed included."""
    image = torch.randn(1, 1, size, size)
    with FlopCounterMode(display=False) as counter:
        outputs = network(image)
        sum(output.sum() for output in outputs if output.requires_grad).backward()
    return counter.get_total_flops() / 2e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    e2a = E2AUNet(1, 4, reference_size=(args.size, args.size))
    steps = {"PlainConvUNet": trainer(plain_conv_unet(), args), "E2AUNet": trainer(e2a, args)}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(args.steps + 2):
        for name, step in steps.items():
            elapsed = step()
            if i >= 2:  # warm-up
                seconds[name].append(elapsed)
    for name, values in seconds.items():
        print(f"{name:14} median {statistics.median(values):.3f} s, fastest {min(values):.3f} s")
    plain, ours = seconds.values()
    median = statistics.median(ours) / statistics.median(plain)
    print(f"{'ratio':14} median {median:.2f}, fastest {min(ours) / min(plain):.2f}")


if __name__ == "__main__":
    main()
