"""The JSON file beside a label map: what made it, how long it took, and what to be careful with."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_cardiac.images.orientation import IDENTITY, Way
from nnunet_cardiac.version import installed_versions

if TYPE_CHECKING:
    from nnunet_cardiac.inference.predictor import CardiacPredictor
    from nnunet_cardiac.inference.series import Series

#: Layout of the file; counted up when an entry changes its meaning.
SCHEMA = 1

_PACKAGES = ("nnunet_cardiac", "nnunetv2", "torch", "numpy", "SimpleITK", "nibabel", "python")


def describe_model(predictor: CardiacPredictor) -> dict[str, Any]:
    """What decides the label map, apart from the image."""
    window = predictor.stages[-1].window
    return {
        "stages": [
            {
                "trainer": stage.folder.trainer,
                "plans": stage.folder.plans_name,
                "configuration": stage.folder.configuration,
                "checkpoints": {fold: fingerprint(path) for fold, path in stage.folder.checkpoints.items()},
                "mirroring": list(stage.window.mirror_axes or []),
            }
            for stage in predictor.stages
        ],
        "labels": predictor.labels,
        "precision": window.precision,
    }


def fingerprint(path: Path) -> str:
    """Hash of a checkpoint, from the checksums that its zip archive holds of the content."""
    with zipfile.ZipFile(path) as archive:
        members = [f"{info.filename.split('/', 1)[-1]} {info.CRC} {info.file_size}" for info in archive.infolist()]
    return hashlib.sha256("\n".join(sorted(members)).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of what computes and writes."""
    return installed_versions(*_PACKAGES)


def describe_input(series: Series, way: Way = IDENTITY, spacing_given: Sequence[float] | None = None) -> dict[str, Any]:
    """What tells one input from another, without anything of the patient.

    Args:
        series: What is segmented.
        way: How it was brought to lie as the training images.
        spacing_given: Voxel size (x, y, z) that the user gave instead of the files'.
    """
    frames = np.ascontiguousarray(series.frames)
    described = {
        "kind": "image" if series.dicom is None else "DICOM",
        "shape_tzyx": [frames.shape[0], *frames.shape[2:]],
        "spacing_mm_zyx": list(series.grid.spacing_mm),
        "times_ms": None if series.times_ms is None else list(series.times_ms),
        "voxels": hashlib.blake2b(frames.data, digest_size=8).hexdigest(),
        "moved": way.code,
    }
    return described if spacing_given is None else {**described, "spacing_given_mm_xyz": list(spacing_given)}


def sidecar(
    series: Series,
    described: Mapping[str, Any],
    model: Mapping[str, Any],
    device: str,
    seconds: Mapping[str, float],
    curves: Mapping[str, Sequence[float]],
    phases: Mapping[str, int],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Content of the file. It holds no name, path, date or number of the patient."""
    return {
        "schema": SCHEMA,
        "name": series.name,
        "input": dict(described),
        "model": dict(model),
        "device": device,
        "versions": versions(),
        "seconds": {step: round(value, 3) for step, value in seconds.items()},
        "volumes_ml": {name: [_number(v) for v in values] for name, values in curves.items()},
        "phases": dict(phases),
        "warnings": list(warnings),
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if value != value else round(value, 4)
