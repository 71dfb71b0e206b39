"""A segmentation object on the grid of a label map, built by highdicom from stand-ins of the source images.

highdicom refuses source images of several series, attributes that are missing or odd, and single frames of an enhanced
file. It gets one plain MR image for each slice instead; `dicom_seg_references` enters what the source says of itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.anatomy import canonical_anatomy
from nnunet_cardiac.inference.dicom_seg_source import MR_IMAGE, Source, stand_in_uid
from nnunet_cardiac.inference.series import Grid
from nnunet_cardiac.version import __version__

#: Anatomy -> SNOMED CT code and meaning.
_CODES = {
    "LV": ("87878005", "Left ventricle"),
    "MYO": ("74281007", "Myocardium"),
    "RV": ("53085002", "Right ventricle"),
    "LA": ("82471001", "Left atrium"),
}
_OTHER = ("80891009", "Heart")

#: Added to the number of the source's series.
_SERIES_OFFSET = 1000

#: Largest number of a series in DICOM.
_LARGEST = 2**31 - 1

#: What highdicom notes of the scanner and of lossy compression.
_EQUIPMENT = (
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber", "StationName"),
    *("InstitutionName", "InstitutionalDepartmentName", "InstitutionAddress", "AcquisitionDateTime"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)


def build_object(
    label_map: npt.NDArray[np.integer], images: Mapping[int, Any], grid: Grid, names: Mapping[str, int], source: Source
) -> Any:
    """Return a binary segmentation of highdicom with all slices that have an image, in every segment.

    Args:
        label_map: Labels (Z, Y, X), all of which have a name.
        images: Number of a slice -> source image.
        grid: Place of the voxels.
        names: Name -> value of the structures. Segments are numbered from 1 in the order of the values.
        source: What the source says of the scanner.
    """
    import highdicom

    structures = sorted(names.items(), key=lambda item: item[1])
    row, column = _directions(grid)[:, 0], _directions(grid)[:, 1]
    number = max(next(iter(images.values())).series_number, 0) + _SERIES_OFFSET
    segmentation = highdicom.seg.Segmentation(
        source_images=[_stand_in(source, grid, image, z) for z, image in images.items()],
        pixel_array=_numbered(label_map[list(images)], [value for _, value in structures]),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions([name for name, _ in structures]),
        series_instance_uid=highdicom.UID(),
        series_number=min(number, _LARGEST),
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="nnunet_cardiac",
        manufacturer_model_name="nnunet_cardiac",
        software_versions=__version__,
        device_serial_number="0",
        series_description="nnunet_cardiac segmentation",
        omit_empty_frames=False,  # else a reader cannot tell how many slices were segmented
    )
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = _decimals([*row, *column])
    return segmentation


def _numbered(label_map: npt.NDArray[np.integer], values: Sequence[int]) -> npt.NDArray[np.uint16]:
    """Return the numbers of the segments, which the standard counts from 1, instead of label values."""
    segments = np.zeros(label_map.shape, np.uint16)
    for number, value in enumerate(values, 1):
        segments[label_map == value] = number
    return segments


def _descriptions(names: Sequence[str]) -> list[Any]:
    import highdicom
    from pydicom.sr.coding import Code

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="nnunet_cardiac", version=__version__, family=Code("123109", "DCM", "Artificial Intelligence")
    )
    return [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name.replace("\\", "/")[:64],  # DICOM's limit
            segmented_property_category=Code("91723000", "SCT", "Anatomical Structure"),
            segmented_property_type=Code(code, "SCT", meaning),
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(names, 1)
        for code, meaning in [_CODES.get(canonical_anatomy(name) or "", _OTHER)]
    ]


def _stand_in(source: Source, grid: Grid, image: Any, z: int) -> Any:
    """A plain MR image at slice z of the grid, without anything of the patient.

    Its rows run backwards until the object is built. highdicom orders frames against the normal of their rows and
    columns, and ITK reads a file of several frames from the first one along the normal.
    """
    from pydicom.dataset import Dataset

    directions = _directions(grid)
    position = np.array(grid.origin[:3]) + z * grid.spacing[2] * directions[:, 2]
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = MR_IMAGE, stand_in_uid(z), "MR"
    ds.StudyInstanceUID = ds.SeriesInstanceUID = ds.FrameOfReferenceUID = "2.25.0"
    ds.PatientID = ds.PatientName = ds.PatientBirthDate = ds.PatientSex = ds.PositionReferenceIndicator = ""
    ds.StudyID = ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = None
    ds.Rows, ds.Columns = image.shape
    ds.PixelSpacing = _decimals([grid.spacing[1], grid.spacing[0]])
    ds.SliceThickness = None if image.thickness_mm is None else _decimals([image.thickness_mm])
    ds.SpacingBetweenSlices = _decimals([grid.spacing[2]])
    ds.ImageOrientationPatient = _decimals([*-directions[:, 0], *directions[:, 1]])
    ds.ImagePositionPatient = _decimals(position)
    for keyword in _EQUIPMENT:
        if source.common.get(keyword):
            ds[keyword] = source.common[keyword]
    return ds


def _directions(grid: Grid) -> npt.NDArray[np.float64]:
    """Directions of a row, of a column and of the slices, as the columns of a matrix (3, 3)."""
    n = len(grid.spacing)
    return np.array(grid.direction).reshape(n, n)[:3, :3]


def _decimals(values: Iterable[float]) -> list[Any]:
    """Return numbers in the 16 characters that DICOM has for one."""
    from pydicom.valuerep import DS

    return [DS(float(value), auto_format=True) for value in values]
