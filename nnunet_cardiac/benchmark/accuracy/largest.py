"""Predictions with their largest component alone: what a baseline gets for nothing, and crops have to beat."""

from __future__ import annotations

import shutil
from pathlib import Path

import SimpleITK as sitk

from nnunet_cardiac.cascade.roi import largest_component


def keep_largest(source: Path, target: Path, ending: str) -> Path:
    """Write label maps in which everything outside the largest component of the foreground is background.

    All structures together are one foreground, so that cavities stay with their wall; voxels that touch by a corner are
    connected. The folder appears when it is complete.

    Args:
        source: Folder of label maps.
        target: New folder; what is there is replaced.
        ending: Of the files, such as `.nii.gz`.

    Returns:
        `target`.
    """
    scratch = target.with_name(f".{target.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for file in sorted(source.glob(f"*{ending}")):
        image = sitk.ReadImage(str(file))
        labels = sitk.GetArrayFromImage(image)
        labels[~largest_component(labels > 0)] = 0
        cleaned = sitk.GetImageFromArray(labels)
        cleaned.CopyInformation(image)
        sitk.WriteImage(cleaned, str(scratch / file.name))
    shutil.copyfile(source / "dataset.json", scratch / "dataset.json")
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
    return target
