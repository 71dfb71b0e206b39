"""The augmentations named in the papers, from batchgeneratorsv2.

Khan et al. 2024, section 4.2: "spatial augmentations (random flip, elastic deformation, random affine) and
intensity-based augmentations (random blur, random gamma, random noise)". The paper gives no magnitudes. The authors'
code rotates by up to 30 degrees and applies exactly one of the six to each image, with equal weights; both are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import OneOfTransform

#: Largest rotation of the random affine transform, in radians (30 degrees in the authors' code).
MAX_ROTATION = float(np.deg2rad(30))

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
    flip = MirrorTransform(allowed_axes=tuple(mirror_axes))
    blur = GaussianBlurTransform(blur_sigma=(0.5, 1.5), synchronize_channels=True, p_per_channel=1)
    gamma = GammaTransform(
        gamma=(0.75, 1.33), p_invert_image=0, synchronize_channels=True, p_per_channel=1, p_retain_stats=1
    )
    noise = GaussianNoiseTransform(noise_variance=(0, 0.02), p_per_channel=1, synchronize_channels=True)
    after_crop = [ComposeTransforms([crop, one]) for one in (flip, blur, gamma, noise)]
    return OneOfTransform([affine, elastic, *after_crop])


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
