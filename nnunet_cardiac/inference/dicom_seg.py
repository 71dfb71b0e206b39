"""DICOM segmentation objects of classic DICOM series, one for each phase.

A segmentation object places its frames in space, not in time: the frames of a cine series share their positions, and
a reader could not tell them apart. So a cine series gets one object for end-diastole and one for end-systole; all
frames are in the NIfTI file. highdicom copies from the source what the standard requires (patient and study modules).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.anatomy import canonical_anatomy
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import replacing
from nnunet_cardiac.inference.series import Series
from nnunet_cardiac.version import __version__

#: Anatomy -> SNOMED CT code and meaning.
_CODES = {
    "LV": ("87878005", "Left ventricle"),
    "MYO": ("74281007", "Myocardium"),
    "RV": ("53085002", "Right ventricle"),
    "LA": ("82471001", "Left atrium"),
}
_OTHER = ("80891009", "Heart")


def write_segmentations(
    folder: Path,
    labels: npt.NDArray[np.integer],
    series: Series,
    names: Mapping[str, int],
    phases: Mapping[str, int],
) -> tuple[list[Path], list[str]]:
    """Write `NAME.dcm`, or `NAME_ED.dcm` and `NAME_ES.dcm` of a cine series.

    Args:
        folder: Where to write.
        labels: Label maps (T, Z, Y, X).
        series: What was segmented.
        names: Name -> value of the structures.
        phases: `{"ED": frame, "ES": frame}`, counted from 1.

    Returns:
        The files, and messages on what the standard or this program cannot carry.

    Raises:
        UserError: If highdicom is not installed.
    """
    obstacle = _obstacle(series, labels, phases)
    if obstacle:
        return [], [f"No DICOM segmentation: {obstacle}"]
    frames = {"": 0} if len(labels) == 1 else {f"_{phase}": frame - 1 for phase, frame in phases.items()}
    notes = []
    if len(labels) > 1:
        notes.append(
            "DICOM segmentation of end-diastole and end-systole only: the standard cannot tell frames at one "
            "position apart."
        )
    written = []
    for suffix, frame in frames.items():
        if not labels[frame].any():
            notes.append(f"No DICOM segmentation{suffix.replace('_', ' of ')}: the label map is empty.")
            continue
        path = folder / f"{series.name}{suffix}.dcm"
        segmentation = _segmentation(labels[frame], series.dicom.images[frame], names)
        with replacing(path) as temporary:
            segmentation.save_as(temporary)
        written.append(path)
    return written, notes


def _obstacle(series: Series, labels: npt.NDArray[np.integer], phases: Mapping[str, int]) -> str:
    if series.dicom is None:
        return "the input is not DICOM."
    if any(image is not None and image.frame is not None for row in series.dicom.images for image in row):
        return "the source is an enhanced multi-frame file, whose frames cannot be referred to one by one here."
    if len(labels) > 1 and not phases:
        return "the standard cannot tell frames at one position apart, and ED and ES are unknown; give --ed and --es."
    return ""


def _segmentation(label_map: npt.NDArray[np.integer], row: tuple[Any, ...], names: Mapping[str, int]) -> Any:
    try:
        import highdicom
    except ImportError as error:
        raise UserError("--dicom-seg needs highdicom. Install it: pip install 'nnunet_cardiac[dicom]'") from error
    import pydicom
    from pydicom.sr.coding import Code

    present = [z for z, image in enumerate(row) if image is not None]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="nnunet_cardiac", version=__version__, family=Code("123109", "DCM", "Artificial Intelligence")
    )
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=value,
            segment_label=name,
            segmented_property_category=Code("91723000", "SCT", "Anatomical Structure"),
            segmented_property_type=Code(code, "SCT", meaning),
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for name, value in sorted(names.items(), key=lambda item: item[1])
        for code, meaning in [_CODES.get(canonical_anatomy(name) or "", _OTHER)]
    ]
    return highdicom.seg.Segmentation(
        source_images=[pydicom.dcmread(row[z].path) for z in present],
        pixel_array=label_map[present].astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=highdicom.UID(),
        series_number=1000 + row[present[0]].series_number,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="nnunet_cardiac",
        manufacturer_model_name="nnunet_cardiac",
        software_versions=__version__,
        device_serial_number="0",
        series_description="nnunet_cardiac segmentation",
    )
