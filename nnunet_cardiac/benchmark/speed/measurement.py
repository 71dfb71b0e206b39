"""What is known of a network after a measurement. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork


@dataclass(frozen=True)
class Measurement:
    """Size and times of one network.

    Attributes:
        subject: The network.
        batch: Images in a batch.
        parameters: Trainable parameters.
        forward_flop: Floating-point operations of a forward pass of one image.
        step_multiply_adds: Multiply-adds of forward and backward pass of one image, recomputed layers included.
        forward_s: Seconds of each timed forward pass of the batch.
        step_s: Seconds of each timed training step with the batch.
        peak_bytes: Largest memory of training, weights and optimiser included; None if not measured.
    """

    subject: MeasuredNetwork
    batch: int
    parameters: int
    forward_flop: float
    step_multiply_adds: float
    forward_s: tuple[float, ...]
    step_s: tuple[float, ...]
    peak_bytes: int | None

    def as_dict(self, reference: Measurement) -> dict[str, Any]:
        """Return the measurement for a JSON file, with ratios to `reference`, the network for the same input."""
        height, width = self.subject.size
        return {
            "trainer": self.subject.trainer,
            "configuration": self.subject.configuration,
            "input": [self.subject.channels, height, width],
            "parameters": self.parameters,
            "forward_gflop_per_image": self.forward_flop / 1e9,
            "step_gmac_per_image": self.step_multiply_adds / 1e9,
            "peak_bytes": self.peak_bytes,
            "forward": _times(self.forward_s, reference.forward_s, self.batch, height * width),
            "step": _times(self.step_s, reference.step_s, self.batch, height * width),
        }


def _times(seconds: tuple[float, ...], reference: tuple[float, ...], batch: int, pixels: int) -> dict[str, Any]:
    return {
        "seconds": list(seconds),
        "median_s": median(seconds),
        "fastest_s": min(seconds),
        "s_per_image": median(seconds) / batch,
        "s_per_pixel": median(seconds) / (batch * pixels),
        "ratio_of_medians": median(seconds) / median(reference),
        "ratio_of_fastest": min(seconds) / min(reference),
    }
