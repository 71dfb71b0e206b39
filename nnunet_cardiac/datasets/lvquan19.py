"""LVQuan19 (after Xue et al., Medical Image Analysis 2018): one `.mat` file a patient, 20 frames of one slice.

The field names have no published description, and the data come on request only. Those below are what public code
reads; a file with others is refused with a list of what it holds. ED and ES are the frames with the largest and the
smallest cavity, because the meaning of the phase field is not described either. There is no slice distance, so 1 mm
is given for it: areas are right, volumes mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.io import loadmat
from tqdm import tqdm

from nnunet_cardiac.checks.problems import Problems
from nnunet_cardiac.datasets.layout import unknown_layout
from nnunet_cardiac.datasets.naming import case_name, patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Loaded, Subject, Volume
from nnunet_cardiac.errors import UserError

LAYOUT = "TrainingData_LVQuan19/patientN.mat"
#: Values of this module; the masks of the files have none.
VALUES = {"MYO": (1,), "LV": (2,)}
#: What is read of a file: images and filled masks (y, x, frames), pixel size in mm.
FIELDS = ("image", "endo", "epi", "pix_spacing")
#: Indices that are passed on as they are, in the units of the source: rows, one column a frame.
INDICES = {"areas": 2, "dims": 3, "rwt": 6, "lv_phase": 1}


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the patients.

    Raises:
        UserError: If there is no `.mat` file, or with all problems of all files.
    """
    files = [path for path in sorted(source.rglob("*.mat")) if not path.name.startswith(".")] if source.is_dir() else []
    if not files:
        raise unknown_layout(source, LAYOUT)
    problems, subjects = Problems(), []
    for path in tqdm(files, desc="LVQuan19 files", unit="patient", disable=not options.progress):
        patient = patient_name(path.stem)
        try:
            subjects.append(Subject(patient, ()) if patient in options.skip else _subject(path, patient))
        except UserError as error:
            problems.add(str(error))
    problems.raise_if_any(f"{source}: nothing was written")
    note = "the slice distance is unknown and given as 1 mm: areas are right, volumes mean nothing"
    return [Collection("LVQuan19", "cineMRI", VALUES, subjects, (note,))]


def _subject(path: Path, patient: str) -> Subject:
    fields = read_fields(path)
    labels = label_maps(path)
    areas = (labels == VALUES["LV"][0]).sum(axis=(1, 2))
    phases = {int(areas.argmin()): "ES", int(areas.argmax()): "ED"}
    cases = tuple(
        Case(
            case_name(patient, frame + 1),
            Volume((path,), partial(_slice, path, frame, label=False)),
            Volume((path,), partial(_slice, path, frame, label=True)),
            phases.get(frame, ""),
            frame + 1,
            _indices(fields, frame, len(labels)),
        )
        for frame in range(len(labels))
    )
    return Subject(patient, cases, facts={"frames": len(labels)})


def read_fields(path: Path) -> Mapping[str, np.ndarray]:
    """Read a file and check that it holds what is needed.

    Raises:
        UserError: If it cannot be read, lacks a field, or has one of another shape; with all fields that were found.
    """
    return _read_fields(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)  # all frames of a patient come from one file; the time makes it forget one that was written anew
def _read_fields(path: Path, time_ns: int) -> Mapping[str, np.ndarray]:
    try:
        content = loadmat(path)
    except NotImplementedError as error:
        raise UserError(
            f"{path}: a MATLAB 7.3 file; expected version 7 or older, which scipy reads. Save it again in MATLAB with "
            "save(file, '-struct', 'data', '-v7')."
        ) from error
    except (ValueError, OSError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as a MATLAB file ({error}). Copy it again.") from error
    fields = {name: value for name, value in content.items() if not name.startswith("__")}
    shown = ", ".join(f"{name} {getattr(value, 'shape', '')}" for name, value in fields.items()) or "nothing"
    missing = [name for name in FIELDS if name not in fields]
    if missing:
        raise UserError(
            f"{path}: found the fields {shown}; expected {', '.join(missing)} too. The names in this release are not "
            "those that were known: please report them, or convert the data to NIfTI and use `convert generic`."
        )
    shape = fields["image"].shape
    if len(shape) != 3 or fields["endo"].shape != shape or fields["epi"].shape != shape:
        raise UserError(f"{path}: found the fields {shown}; expected image, endo and epi of one shape (y, x, frames).")
    if not np.isfinite(spacing_of(fields)) or spacing_of(fields) <= 0:
        raise UserError(f"{path}: pix_spacing is {fields['pix_spacing'].tolist()}; expected a pixel size in mm.")
    return fields


def spacing_of(fields: Mapping[str, np.ndarray]) -> float:
    """Return the pixel size in mm."""
    return float(np.ravel(fields["pix_spacing"])[0]) if np.size(fields["pix_spacing"]) else float("nan")


def label_maps(path: Path) -> np.ndarray:
    """Make label maps (frames, y, x) of the masks; an outline is filled.

    Raises:
        UserError: If a mask has other values than 0 and one more, or the cavity leaves the outer border.
    """
    return _label_maps(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _label_maps(path: Path, time_ns: int) -> np.ndarray:
    fields, masks = read_fields(path), {}
    for name in ("endo", "epi"):
        values = np.unique(fields[name])
        if len(values) != 2 or values[0] != 0:
            raise UserError(f"{path}: {name} has the values {values[:8].tolist()}; expected a mask of 0 and 1.")
        frames = np.moveaxis(fields[name] > 0, -1, 0)
        masks[name] = np.stack([ndimage.binary_fill_holes(frame) for frame in frames])
    outside = float((masks["endo"] & ~masks["epi"]).sum() / masks["endo"].sum())
    if outside > 0.05:
        raise UserError(
            f"{path}: {100 * outside:.0f} % of endo lies outside epi; expected the cavity inside the outer border."
        )
    return np.where(masks["endo"], VALUES["LV"][0], np.where(masks["epi"], VALUES["MYO"][0], 0)).astype(np.uint8)


def _slice(path: Path, frame: int, label: bool) -> Loaded:
    fields = read_fields(path)
    array = label_maps(path)[frame] if label else np.ascontiguousarray(fields["image"][..., frame])
    image = sitk.GetImageFromArray(array[None])
    pixel = spacing_of(fields)
    image.SetSpacing((pixel, pixel, 1.0))
    return Loaded(image, oriented=False)


def _indices(fields: Mapping[str, np.ndarray], frame: int, frames: int) -> dict[str, float]:
    """Indices of a frame as `areas_1`, ...; fields of another shape are left out."""
    found: dict[str, float] = {}
    for name, rows in INDICES.items():
        values = np.asarray(fields.get(name, np.empty(0)))
        if values.size == rows * frames and values.ndim == 2:
            table = values if values.shape[1] == frames else values.T
            columns = [name] if rows == 1 else [f"{name}_{k + 1}" for k in range(rows)]
            found |= {column: float(table[k, frame]) for k, column in enumerate(columns)}
    return found
