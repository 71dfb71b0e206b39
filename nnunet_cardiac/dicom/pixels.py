"""Pixels of DICOM images with the scanner's scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.dicom.headers import DicomImage, import_pydicom
from nnunet_cardiac.errors import UserError


class PixelReader:
    """Reads pixels with the scanner's scaling; keeps the last enhanced file, whose images are asked for one by one."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._dataset: Any = None
        self._pixels: np.ndarray = np.empty(0)

    def read(self, image: DicomImage) -> np.ndarray:
        """Return the intensities (Y, X) of an image: in the stored type, or float32 where the file scales them.

        Raises:
            UserError: If the file is truncated, compressed in a way that nothing installed decodes, or holds values
                that are not finite.
        """
        if image.path != self._path:
            self._dataset, self._pixels = self._open(image.path)
            self._path = image.path
        pixels = self._pixels if image.frame is None else self._pixels[image.frame]
        slope, intercept = self._scaling(image.frame)
        if (slope, intercept) != (1.0, 0.0):
            pixels = (pixels * slope + intercept).astype(np.float32)
        return pixels.reshape(image.shape)

    def _open(self, path: Path) -> tuple[Any, np.ndarray]:
        dataset = import_pydicom().dcmread(path)
        try:
            array = dataset.pixel_array
            if array.ndim == 2 and "PerFrameFunctionalGroupsSequence" in dataset:
                array = array[None]
            return dataset, array
        except Exception as error:  # each decoder has errors of its own
            if not dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2").is_compressed:
                raise UserError(f"{path}: truncated or damaged pixels ({error}). Export the study again.") from error
        try:
            return None, sitk.GetArrayFromImage(sitk.ReadImage(str(path))).squeeze()  # GDCM scales by itself
        except RuntimeError as error:
            raise UserError(f"{path}: the pixels cannot be decoded. Export the study without compression.") from error

    def _scaling(self, frame: int | None) -> tuple[float, float]:
        if self._dataset is None:
            return 1.0, 0.0
        if frame is not None:
            shared = self._dataset.get("SharedFunctionalGroupsSequence") or []
            for group in (self._dataset.PerFrameFunctionalGroupsSequence[frame], *shared):
                if group.get("PixelValueTransformationSequence"):
                    item = group.PixelValueTransformationSequence[0]
                    return float(item.RescaleSlope), float(item.RescaleIntercept)
        return float(self._dataset.get("RescaleSlope", 1.0)), float(self._dataset.get("RescaleIntercept", 0.0))
