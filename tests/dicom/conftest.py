"""Images of a study as the headers describe them, without files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_cardiac.dicom.acquisition import Acquisition
from nnunet_cardiac.dicom.headers import DicomImage

#: Rows and columns of planes: a short axis, three long axes at right angles to its slices, and transverse slices.
SHORT_AXIS = (0.8, 0.6, 0.0, -0.36, 0.48, -0.8)
NORMAL = np.cross(SHORT_AXIS[:3], SHORT_AXIS[3:])


def long_axis(degrees: float) -> tuple[float, ...]:
    """A plane that holds the long axis: its rows lie in the short-axis plane, its columns along the normal."""
    x, y = np.reshape(SHORT_AXIS, (2, 3))
    row = np.cos(np.radians(degrees)) * x + np.sin(np.radians(degrees)) * y
    return (*row.tolist(), *NORMAL.tolist())


TRANSVERSE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class Scan:
    """Makes images: slices 8 mm apart, frames 40 ms apart, numbered in the order of slices and frames."""

    def image(self, z: float, t: int, **changes: Any) -> DicomImage:
        """One image at a place (in slices) and a frame; `changes` replace attributes, also those of the acquisition."""
        orientation = changes.pop("orientation", SHORT_AXIS)
        normal = np.cross(orientation[:3], orientation[3:])
        how = {name: changes.pop(name) for name in list(changes) if name in Acquisition.__dataclass_fields__}
        image = DicomImage(
            path=Path("file"),
            frame=None,
            study="1.2",
            series="1.2.5",
            series_number=5,
            description="cine",
            acquisition=replace(Acquisition(sequence=("tfi2d1", "GR", "SK"), flip_degrees=60.0), **how),
            acquisition_number=1,
            acquired_s=None,
            position=tuple((8.0 * z * normal).tolist()),
            orientation=tuple(orientation),
            pixel_mm=(1.5, 1.5),
            shape=(20, 18),
            distance_mm=8.0,
            thickness_mm=6.0,
            time_ms=40.0 * t,
            temporal_index=None,
            instance=round(z * 100) + t + 1,
        )
        if "series_number" in changes:
            changes = {"series": f"1.2.{changes['series_number']}", **changes}
        return replace(image, **changes)

    def stack(self, slices: Any = 6, frames: Any = 4, **changes: Any) -> list[DicomImage]:
        """Images of a stack; a change may be a function of slice and frame."""
        places = range(slices) if isinstance(slices, int) else slices
        moments = range(frames) if isinstance(frames, int) else frames
        return [
            self.image(z, t, **{name: value(z, t) if callable(value) else value for name, value in changes.items()})
            for z in places
            for t in moments
        ]


@pytest.fixture
def scan() -> Scan:
    return Scan()
