"""Pixels of DICOM images with the scanner's scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.dicom.headers import DicomImage, explained, import_pydicom
from nnunet_cardiac.dicom.values import items, number, text, whole
from nnunet_cardiac.errors import UserError

#: Bytes by which pixels are filled up.
_PADDING = 2


class PixelReader:
    """Reads pixels with the scanner's scaling; keeps the last file, whose images are asked for one by one."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._dataset: Any = None
        self._pixels: np.ndarray = np.empty(0)

    def read(self, image: DicomImage) -> np.ndarray:
        """Return the intensities (Y, X) of an image: in the stored type, or float32 where the file scales them.

        Raises:
            UserError: If the file is truncated, compressed in a way that nothing installed decodes, holds other pixels
                than its header says, or scales them by nothing.
        """
        if image.path != self._path:
            self._dataset, self._pixels = self._open(image)
            self._path = image.path
        pixels = self._pixels if image.frame is None else self._pixels[image.frame]
        if pixels.shape != image.shape:
            raise UserError(
                f"{image.path}: the pixels have the shape {pixels.shape}, and the header says {image.shape}. Export "
                "the study again."
            )
        slope, intercept = self._scaling(image.frame)
        if slope == 0:
            raise UserError(f"{image.path}: RescaleSlope is 0, which leaves no image. Export the study again.")
        if (slope, intercept) != (1.0, 0.0):
            with np.errstate(over="ignore", invalid="ignore"):
                pixels = (pixels * slope + intercept).astype(np.float32)
            if not np.isfinite(pixels).all():
                raise UserError(f"{image.path}: RescaleSlope {slope:g} makes infinite values. Export the study again.")
        return pixels

    def _open(self, image: DicomImage) -> tuple[Any, np.ndarray]:
        path = image.path
        pydicom = import_pydicom()
        with explained(path):
            dataset = pydicom.dcmread(path, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:  # files without preamble say it by how they are written
                dataset.file_meta.TransferSyntaxUID = _syntax(*dataset.original_encoding)
        try:
            with explained(path):
                array = dataset.pixel_array
        except UserError as error:  # each decoder has errors of its own
            syntax = dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2")
            if not getattr(syntax, "is_compressed", False):
                raise UserError(
                    f"{path}: truncated or damaged pixels ({error.__cause__}). Export the study again."
                ) from error
            return None, _decoded_by_gdcm(image)
        stored, expected = len(dataset.get("PixelData") or b""), array.nbytes
        if not dataset.file_meta.TransferSyntaxUID.is_compressed and stored > expected + _PADDING:
            raise UserError(
                f"{path}: {stored} bytes of pixels, and the header says {expected}. Export the study again."
            )
        if image.frame is not None and array.ndim == 2:
            array = array[None]
        return dataset, _inverted(dataset, array)

    def _scaling(self, frame: int | None) -> tuple[float, float]:
        """Slope and intercept of an image; those that are missing or empty change nothing."""
        if self._dataset is None:
            return 1.0, 0.0
        sources = [self._dataset]
        if frame is not None:
            groups = items(self._dataset, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
            groups += items(self._dataset, "SharedFunctionalGroupsSequence")[:1]
            sources = [item for group in groups for item in items(group, "PixelValueTransformationSequence")] + sources
        for source in sources:
            if text(source, "RescaleSlope") or text(source, "RescaleIntercept"):
                return self._number(source, "RescaleSlope", 1.0), self._number(source, "RescaleIntercept", 0.0)
        return 1.0, 0.0

    def _number(self, source: Any, keyword: str, otherwise: float) -> float:
        said, value = text(source, keyword), number(source, keyword)
        if said and value is None:
            raise UserError(f"{self._path}: {keyword} is {said!r}; expected a number. Export the study again.")
        return otherwise if value is None else value


def _syntax(implicit: bool | None, little_endian: bool | None) -> str:
    """UID of the uncompressed transfer syntax in which a file was written."""
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little_endian else "1.2.840.10008.1.2.2"


def _decoded_by_gdcm(image: DicomImage) -> np.ndarray:
    """Pixels of a compressed file that pydicom has no decoder for; GDCM scales by itself."""
    try:
        str(image.path).encode()
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(image.path)))
    except (RuntimeError, UnicodeEncodeError) as error:  # GDCM ends the process at a name that is not UTF-8
        raise UserError(f"{image.path}: the pixels cannot be decoded. Export the study without compression.") from error
    return array if image.frame is not None else array.squeeze()


def _inverted(dataset: Any, array: np.ndarray) -> np.ndarray:
    """Turn MONOCHROME1, where the largest value is black, into MONOCHROME2."""
    if text(dataset, "PhotometricInterpretation").upper() != "MONOCHROME1":
        return array
    bits = whole(dataset, "BitsStored") or 8 * array.dtype.itemsize
    signed = whole(dataset, "PixelRepresentation") == 1
    return (-1 if signed else 2**bits - 1) - array.astype(np.int32)
