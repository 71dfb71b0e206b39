"""The augmentations named in the papers, from batchgeneratorsv2.

Khan et al. 2024, section 4.2: "spatial augmentations (random flip, elastic deformation, random affine) and
intensity-based augmentations (random blur, random gamma, random noise)". The paper gives no magnitudes. The authors'
code rotates by up to 30 degrees and applies exactly one of the six to each image, with equal weights; both are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import (
    BrightnessAdditiveTransform,
    MultiplicativeBrightnessTransform,
)
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.pseudo2d import Convert2DTo3DTransform, Convert3DTo2DTransform
from batchgeneratorsv2.transforms.utils.random import OneOfTransform

#: Largest rotation of the random affine transform, in radians (30 degrees in the authors' code).
MAX_ROTATION = float(np.deg2rad(30))

#: Largest shift as a fraction of the patch, and range of the scaling, of `mild_transforms`.
MILD_SHIFT, MILD_SCALE = 0.08, (0.86, 1.16)

#: Largest shift of a stack as a fraction of the patch.
STACK_SHIFT = 0.1

#: Displacement in pixels, up to the default of the library that the authors used, and its smoothness as a fraction of
#: the patch (theirs: five control points along each axis).
ELASTIC_MAGNITUDE, ELASTIC_SCALE = (1.0, 7.5), (0.08, 0.15)


def crocnet_transforms(patch_size: Sequence[int], mirror_axes: Sequence[int]) -> BasicTransform:
    """One of flip, elastic deformation, affine, blur, gamma and noise for each sample, then the crop to the patch.

    Args:
        patch_size: Size that leaves the pipeline, (y, x) or (z, y, x).
        mirror_axes: Spatial axes that may be flipped.

    Returns:
        Transform of `image` (C, *spatial) and `segmentation` (S, *spatial).
    """

    crop = crop_transforms(patch_size)
    affine = _spatial(
        patch_size,
        p_elastic_deform=0,
        p_rotation=1,
        rotation=(-MAX_ROTATION, MAX_ROTATION),
        p_scaling=1,
        scaling=(0.8, 1.25),
        p_synchronize_scaling_across_axes=1,
    )
    elastic = _spatial(
        patch_size,
        p_elastic_deform=1,
        elastic_deform_scale=ELASTIC_SCALE,
        elastic_deform_magnitude=ELASTIC_MAGNITUDE,
        p_rotation=0,
        p_scaling=0,
    )
    flip = [MirrorTransform(allowed_axes=tuple(mirror_axes))] if mirror_axes else []
    blur = GaussianBlurTransform(blur_sigma=(0.5, 1.5), synchronize_channels=True, p_per_channel=1)
    gamma = GammaTransform(
        gamma=(0.75, 1.33), p_invert_image=0, synchronize_channels=True, p_per_channel=1, p_retain_stats=1
    )
    noise = GaussianNoiseTransform(noise_variance=(0, 0.02), p_per_channel=1, synchronize_channels=True)
    after_crop = [ComposeTransforms([crop, one]) for one in (*flip, blur, gamma, noise)]
    return OneOfTransform([affine, elastic, *after_crop])


def mild_transforms(patch_size: Sequence[int]) -> BasicTransform:
    """Shift, scale and change the brightness of every sample a little, and leave its orientation alone.

    For networks that regress positions: what is where in the body helps them, so there are no flips and no rotations,
    but without shifts they learn the training images by heart.

    Args:
        patch_size: Size that leaves the pipeline, (y, x) or (z, y, x); shifts are in-plane.

    Returns:
        Transform of `image` (C, *spatial) and `segmentation` (S, *spatial).
    """
    in_plane = np.arange(len(patch_size)) >= len(patch_size) - 2
    shift = _ShiftedSpatial(
        tuple(patch_size),
        [MILD_SHIFT * n * p for n, p in zip(patch_size, in_plane, strict=True)],
        p_scaling=1,
        scaling=MILD_SCALE,
        p_synchronize_scaling_across_axes=1,
    )
    brightness = MultiplicativeBrightnessTransform((0.8, 1.25), synchronize_channels=True)
    offset = BrightnessAdditiveTransform(mu=0, sigma=0.15)
    return ComposeTransforms([shift, brightness, offset])


def stack_transforms(patch_size: Sequence[int], mirror_axes: Sequence[int] = (1, 2)) -> BasicTransform:
    """Rotation, shift and flip of a stack in-plane, alike for all its slices, with the crop to the patch.

    The classifier-guided network's paper names these four (section 3) and no magnitudes; here 30 degrees, a tenth of
    the patch, and each flip for every second sample.

    Args:
        patch_size: Size (z, y, x) that leaves the pipeline; z has to be that of the sample.
        mirror_axes: Spatial axes that may be flipped.

    Returns:
        Transform of `image` (C, Z, Y, X) and `segmentation` (S, Z, Y, X).
    """
    in_plane = tuple(patch_size[1:])
    turn = _ShiftedSpatial(
        in_plane, [STACK_SHIFT * n for n in in_plane], p_rotation=1, rotation=(-MAX_ROTATION, MAX_ROTATION)
    )
    flip = [MirrorTransform(allowed_axes=tuple(mirror_axes))] if mirror_axes else []
    return ComposeTransforms([Convert3DTo2DTransform(), turn, Convert2DTo3DTransform(), *flip])


def flipped_axes(transform: BasicTransform) -> set[int]:
    """Return the spatial axes that a transform, or one inside it, may flip."""
    if isinstance(transform, MirrorTransform):
        return set(transform.allowed_axes)
    parts: list[Any] = []
    for value in vars(transform).values():
        parts += value if isinstance(value, list | tuple) else [value]
    return set().union(*(flipped_axes(part) for part in parts if isinstance(part, BasicTransform)))


class ZerosStayZero(BasicTransform):
    """Apply a transform, and leave zero what is exactly zero in all channels.

    nnU-Net fills short stacks and small images up with zeros, and `RegionRule.mask_outside` zeroes a window around the
    heart; z-scored images are zero nowhere else. Noise or brightness would turn the zeros into something that is not
    there at prediction. So a mask goes through the transform as one more segmentation.

    Args:
        inner: Transform of `image` (C, *spatial) and `segmentation` (S, *spatial).
    """

    def __init__(self, inner: BasicTransform) -> None:
        super().__init__()
        self.inner = inner

    def __call__(self, **data_dict: Any) -> dict:
        """Transform a sample."""
        labels = data_dict["segmentation"]
        mask = (data_dict["image"] != 0).any(0, keepdim=True).to(labels.dtype)
        out = self.inner(**{**data_dict, "segmentation": torch.cat((labels, mask))})
        out["segmentation"], mask = out["segmentation"][:-1], out["segmentation"][-1:]
        out["image"] = out["image"] * (mask > 0)
        return out


class _ShiftedSpatial(SpatialTransform):
    """Spatial transform around a point off the centre of the sample, by up to `shifts` voxels along each axis."""

    def __init__(self, patch_size: tuple[int, ...], shifts: Sequence[float], **chances: Any) -> None:
        super().__init__(
            patch_size,
            patch_center_dist_from_border=0,
            random_crop=True,
            border_mode_seg="constant",
            padding_value_seg=-1,
            **chances,
        )
        self.shifts = tuple(shifts)

    def get_parameters(self, **data_dict: Any) -> dict:
        """Draw the scale and a centre; the library takes distances from the border, which depend on the sample."""
        shape = data_dict["image"].shape[1:]
        self.patch_center_dist_from_border = [n / 2 - shift for n, shift in zip(shape, self.shifts, strict=True)]
        return super().get_parameters(**data_dict)


def crop_transforms(patch_size: Sequence[int]) -> BasicTransform:
    """Cut the centre of the loader's sample to the patch and change nothing else."""
    return _spatial(patch_size, p_elastic_deform=0, p_rotation=0, p_scaling=0)


def _spatial(patch_size: Sequence[int], **chances: Any) -> SpatialTransform:
    return SpatialTransform(
        tuple(patch_size),
        patch_center_dist_from_border=0,
        random_crop=False,
        bg_style_seg_sampling=False,
        border_mode_seg="constant",
        padding_value_seg=-1,
        **chances,
    )
