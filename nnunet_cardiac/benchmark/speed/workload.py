"""One network on its device, ready for forward passes and training steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnunet_cardiac.benchmark.speed.arithmetic import count_flop
from nnunet_cardiac.benchmark.speed.loss import BenchmarkLoss
from nnunet_cardiac.benchmark.speed.networks_from_plans import build_network
from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork, SpeedOptions

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LEARNING_RATE, _LARGEST_GRADIENT = 1e-4, 12.0


class Workload:
    """A network with a batch of noise, random labels, Adam and the loss that all networks share.

    Args:
        subject: Which network.
        options: How to measure.

    Attributes:
        network: The network, not compiled.
    """

    def __init__(self, subject: MeasuredNetwork, options: SpeedOptions) -> None:
        torch.manual_seed(options.seed)
        self.network = build_network(subject, options)
        image = torch.randn(options.batch, subject.channels, *subject.size)
        target = torch.randint(options.classes, (options.batch, 1, *subject.size)).float()
        self._place(image, target, options)

    def _place(self, image: torch.Tensor, target: torch.Tensor, options: SpeedOptions) -> None:
        self._device = torch.device(options.device)
        self._dtype = _AUTOCAST.get(options.precision)
        self.network.to(self._device)
        self._image = image.to(self._device)
        self._loss = BenchmarkLoss(target.to(self._device), options.classes)
        self._deep_supervision = bool(getattr(_decoder(self.network), "deep_supervision", False))
        fused = self._device.type in ("cpu", "cuda")  # as in our trainers
        self._optimizer = torch.optim.Adam(self.network.parameters(), _LEARNING_RATE, fused=fused)
        # nnU-Net scales on CUDA only, where it computes in float16.
        scales = self._device.type == "cuda" and options.precision == "fp16"
        self._scaler = torch.amp.GradScaler("cuda") if scales else None
        self._callable: Callable[[torch.Tensor], Any] = self.network

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    def compile(self) -> None:
        """Compile the network; later calls use the compiled one."""
        self._callable = torch.compile(self.network)

    @torch.inference_mode()
    def forward(self) -> None:
        """Make a forward pass as in prediction, without deep supervision."""
        self._predict()

    def train_step(self) -> None:
        """Make a training step as nnU-Net's trainer does: clipped gradients, scaled ones in float16."""
        self._optimizer.zero_grad(set_to_none=True)
        self._forward_and_backward()
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()

    def count(self) -> tuple[int, int]:
        """Floating-point operations of a forward pass, and of a forward and backward pass, of the batch."""
        # Not `forward`: torch's counter follows the gradients of modules, which inference mode does not have.
        return count_flop(self._predict), count_flop(self._forward_and_backward)

    def wait(self) -> None:
        """Wait until the device has done what it was told."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()

    def _predict(self) -> None:
        self.network.eval()
        self._supervise(False)
        with self._autocast():
            self._callable(self._image)

    def _forward_and_backward(self) -> None:
        self.network.train()
        self._supervise(self._deep_supervision)
        with self._autocast():
            loss = self._loss(self._callable(self._image))
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self._dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self._dtype)

    def _supervise(self, enabled: bool) -> None:
        if self._deep_supervision:
            _decoder(self.network).deep_supervision = enabled


def _decoder(network: nn.Module) -> Any:
    """Where nnU-Net's trainers switch deep supervision; None if a network has no such place."""
    return getattr(network, "decoder", None)
