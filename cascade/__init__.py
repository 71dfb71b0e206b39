"""From a coarse prediction to a crop and back."""

from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.cascade.crop import crop, paste
from nnunet_cardiac.cascade.roi import Box, Region, RegionRule, find_region

__all__ = ["Box", "CropFromCoarse", "Region", "RegionRule", "crop", "find_region", "paste"]
