"""The network of a cropping configuration: image and coarse labels in, crop, inner network, paste.

nnU-Net looks preprocessors up inside its own package, so a plugin cannot crop there. The network is the one part that
`nnUNetv2_train` and `nnUNetv2_predict` take from outside, and it sees everything it needs: nnU-Net gives the coarse
labels of the previous stage as one-hot channels behind the image.
"""

from __future__ import annotations

import logging
import pydoc
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nnunet_cardiac.architectures.contract import CaseSampling
from nnunet_cardiac.architectures.ops.eager import eager
from nnunet_cardiac.architectures.ops.slide import slid
from nnunet_cardiac.cascade.crop import crop, paste
from nnunet_cardiac.cascade.roi import Box, Region, RegionRule, bounding_box, find_region
from nnunet_cardiac.cascade.whole_cases import WholeCase

logger = logging.getLogger(__name__)


class CropFromCoarse(nn.Module):
    """Run an inner network on the window around the coarse heart and say background everywhere else.

    A patch that already has the size of the window is passed on as it is: training patches are cut by
    :class:`nnunet_cardiac.cascade.loader.RegionDataset` with the same rule, so augmentation works on the small window.
    A heart that does not fit has a region of several windows: one of them drawn at random is a training patch, and at
    prediction overlapping ones are averaged, so that the inner network sees windows of one size alone.

    Args:
        input_channels: Image channels plus K one-hot coarse channels.
        num_classes: K foreground classes plus background.
        deep_supervision: Passed to the inner network; needed by nnU-Net's stock trainers only.
        network_class_name: Dotted path of the inner network.
        network_kwargs: Its JSON arguments.
        pass_coarse: Whether the inner network sees the coarse channels behind the image.
        slide: Where a region has more slices than the window (`all_slices`), let the inner network see as many as in
            training at every position, instead of at positions half a window apart.
        outside_logit: Logit of the foreground classes outside the window (background has 0). -20 is a probability of
            2e-9 and far from the float16 limit of nnU-Net's accumulator.
        strides: Read by nnU-Net from the plans for its deep-supervision scales and passed to the inner network.
        region: How the window is found, the fields of a :class:`RegionRule`.

    Shape:
        Input `(B, C, Z, Y, X)`, `(B, C, Y, X)` or a window-sized patch; output the same with `num_classes` channels.
        With a window of two entries the inner network is two-dimensional and the slices of a stack are its batch.

    Raises:
        ValueError: If the channels leave no image, the inner network cannot be found, or the region rule is wrong.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        network_class_name: str,
        network_kwargs: Mapping[str, Any] | None = None,
        pass_coarse: bool = True,
        slide: bool = False,
        outside_logit: float = -20.0,
        strides: Sequence[Sequence[int]] | None = None,
        **region: Any,
    ) -> None:
        super().__init__()
        self.image_channels = input_channels - (num_classes - 1)
        if self.image_channels < 1:
            raise ValueError(
                f"{input_channels} input channels hold no image beside {num_classes - 1} coarse channels; "
                "does the configuration name its previous_stage?"
            )
        self.rule = RegionRule(**region)
        if slide and not self.rule.all_slices:
            raise ValueError("slide needs all_slices: a window of fixed size is seen as a whole.")
        self.num_classes = num_classes
        self.pass_coarse = pass_coarse
        self.slide = slide
        self.outside_logit = float(outside_logit)
        network_class: Any = pydoc.locate(network_class_name)
        if network_class is None:
            raise ValueError(f"network_class_name {network_class_name!r} cannot be imported.")
        kwargs = dict(network_kwargs or {})
        if strides is not None:
            kwargs.setdefault("strides", strides)
        self.inner: nn.Module = network_class(
            input_channels=input_channels if pass_coarse else self.image_channels,
            num_classes=num_classes,
            deep_supervision=deep_supervision,
            **kwargs,
        )

    @property
    def decoder(self) -> Any:
        """What nnU-Net's trainers switch deep supervision on."""
        return self.inner.decoder

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Map image and coarse one-hot channels to logits of all classes."""
        if self._is_window(x):
            return self.inner(self._inner_input(x))
        whole = WholeCase(self.rule.window)  # nothing is mirrored; the window says the size of a sample
        if len(x) == 1:  # `stack` would hold the volume twice
            return self.predict_case(x[0], whole)[None]
        return torch.stack([self.predict_case(sample, whole) for sample in x])

    def _is_window(self, x: torch.Tensor) -> bool:
        """A patch of exactly the window, without a slice axis for two-dimensional inner networks."""
        return tuple(x.shape[2:]) == self.rule.window

    def _inner_input(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.pass_coarse else x[:, : self.image_channels]

    @eager
    def predict_case(self, image: torch.Tensor, sampling: CaseSampling) -> torch.Tensor:
        """Segment a whole case; the region is found once, and mirror images are those of the window.

        Args:
            image: Image and coarse channels (C, Z, Y, X), or (C, Y, X), of any size.
            sampling: How to average over mirror images and tiles.

        Returns:
            Logits (K + 1, *spatial) in float32.
        """
        if len(self.rule.window) == 3:
            region = self._region(image)
            return paste(self._run(image[None], region, sampling)[0], region.window, self._background(image))
        if image.ndim == 3:
            return self._segment_slices(image[None], sampling)[0]
        return self._segment_slices(image.movedim(1, 0), sampling).movedim(0, 1)

    def _segment_slices(self, slices: torch.Tensor, sampling: CaseSampling) -> torch.Tensor:
        """Logits (Z, K+1, Y, X) of the slices (Z, C, Y, X) of a stack: one region for all, or one per slice."""
        out = torch.stack([self._background(s) for s in slices])
        # nnU-Net pads a short stack with slices of exact zeros; they cost nothing here and stay background.
        real = slices[:, : self.image_channels].abs().sum((1, 2, 3)).nonzero()[:, 0].tolist()
        groups = [[z] for z in real] if self.rule.per_slice else [real] if real else []
        for group in groups:
            region = self._region(slices[group].movedim(1, 0))
            out[group] = paste(self._run(slices[group], region, sampling), region.window, out[group])
        return out

    def _background(self, sample: torch.Tensor) -> torch.Tensor:
        """Logits (K+1, *spatial) that say background, for a sample (C, *spatial)."""
        out = sample.new_full((self.num_classes, *sample.shape[1:]), self.outside_logit, dtype=torch.float32)
        out[0] = 0.0
        return out

    def _region(self, sample: torch.Tensor) -> Region:
        """Region of a sample (C, *spatial), from the foreground of the previous stage."""
        coarse = (sample[self.image_channels :] > 0.5).any(0).cpu().numpy()
        return find_region(coarse, self.rule, self._image_box(sample) if self.rule.clamp else None)

    def _image_box(self, sample: torch.Tensor) -> Box | None:
        """Where a sample (C, *spatial) holds an image: nnU-Net pads with exact zeros. None if it holds none."""
        axes = len(self.rule.window)
        box = bounding_box((sample[: self.image_channels] != 0).any(0).cpu().numpy())
        return None if box is None else Box(box.start[-axes:], box.stop[-axes:])

    def _run(self, batch: torch.Tensor, region: Region, sampling: CaseSampling) -> torch.Tensor:
        """Logits of the inner network on the region of a batch (B, C, *spatial)."""
        patch = self._inner_input(self._window(batch, region))
        slices = self.rule.window[0] if self.slide else 0
        size = (patch.shape[2], *self.rule.window[1:]) if self.slide else self.rule.window

        def run(tile: torch.Tensor) -> torch.Tensor:
            (logits,) = sampling.mirrored(lambda x: (self._logits(x),), tile)
            return logits

        return sampling.tiled(lambda tile: slid(run, tile, slices) if slices else run(tile), patch, size)

    def _logits(self, patch: torch.Tensor) -> torch.Tensor:
        """Logits of the inner network, of full resolution."""
        logits = self.inner(patch)
        return (logits[0] if isinstance(logits, list | tuple) else logits).float()

    def _window(self, batch: torch.Tensor, region: Region) -> torch.Tensor:
        """Window of a batch (B, C, *spatial), without what the rule leaves out of it."""
        patch = crop(batch, region.window)
        if self.rule.mask_outside:
            inside = paste(crop(torch.ones_like(batch), region.box), region.box, torch.zeros_like(batch))
            patch = patch * crop(inside, region.window)
        if self.rule.heart_only:
            heart = torch.from_numpy(region.heart).to(batch).reshape(len(batch), 1, *batch.shape[2:])
            patch[:, self.image_channels :] *= crop(heart, region.window)
        return patch
