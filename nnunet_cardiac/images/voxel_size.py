"""Whether an image file says how large its voxels are. Readers fill in 1 mm where it does not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

from nnunet_cardiac.image_names import is_nifti

_NIFTI_HEADER = 348
_META_IMAGE = (b"ElementSpacing", b"ElementSize")
_SPACING_WORDS = {".nrrd": (b"space directions", b"spacings"), ".mha": _META_IMAGE, ".mhd": _META_IMAGE}


def spacing_is_absent(path: Path) -> bool:
    """Whether the header of a NIfTI, NRRD or MetaImage file lacks the voxel size or gives 0.

    Args:
        path: Existing file ending in .nii, .nii.gz, .nrrd, .mha or .mhd; others are trusted.
    """
    if path.suffix in _SPACING_WORDS:
        with path.open("rb") as file:
            head = file.read(4096)
        return not any(word in head for word in _SPACING_WORDS[path.suffix])
    if not is_nifti(path):
        return False
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        head = file.read(_NIFTI_HEADER)
    if len(head) < _NIFTI_HEADER:
        return False  # no NIfTI at all: the reader says so
    order = "<" if struct.unpack("<i", head[:4])[0] == _NIFTI_HEADER else ">"
    steps = struct.unpack(f"{order}3f", head[80:92])
    codes = struct.unpack(f"{order}2h", head[252:256])
    # Software that knows no position leaves both codes 0 and the steps at 1.
    return min(abs(step) for step in steps) == 0 or (codes == (0, 0) and steps == (1.0, 1.0, 1.0))
