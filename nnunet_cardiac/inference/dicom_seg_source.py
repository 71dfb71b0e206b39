"""What a segmentation object takes from its source files: patient, study, and references to the images.

Files that lost attributes when they were anonymised, or that break the standard, are sources like others. Text and UIDs
are taken as they are, because they tie the object to its study; a value that breaks the format of its kind, such as the
date `XXXX`, is left empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"

#: Groups that hold patient, study, equipment and references; the tables of frames and the pixels are in others.
_GROUPS = (0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040)

#: Of the file itself: its kind and its name.
_OWN = frozenset({0x00080016, 0x00080018})

#: Value representations of a fixed format, which readers may refuse when it is broken.
_FORMATTED = frozenset({"AS", "CS", "DA", "DS", "DT", "IS", "TM", "FD", "FL", "SL", "SS", "UL", "US"})

#: Storage of one image a file, whatever else such a file carries.
_ONE_IMAGE = frozenset({MR_IMAGE, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"})


@dataclass(frozen=True)
class SourceImage:
    """One image that an object refers to.

    Attributes:
        sop_class: UID of the kind of file.
        instance: UID of the file; empty if it has none.
        series: UID of its series; empty if it has none.
        frame: Number of the frame in a multi-frame file, counted from 1; None for a file of one image.
    """

    sop_class: str
    instance: str
    series: str
    frame: int | None


@dataclass(frozen=True)
class Source:
    """What the source images of one object have in common.

    Attributes:
        common: Patient, study and equipment of the first file, without what breaks its format (a pydicom dataset).
        images: The images in the order of their slices.
        studies: UIDs of their studies.
        frames_of_reference: UIDs of their frames of reference, without repetition.
    """

    common: Any
    images: tuple[SourceImage, ...]
    studies: tuple[str, ...]
    frames_of_reference: tuple[str, ...]

    @property
    def can_be_referenced(self) -> bool:
        """Whether each image has a name of its own and a series."""
        names = {(image.instance, image.frame) for image in self.images}
        return len(names) == len(self.images) and all(
            image.sop_class and image.instance and image.series for image in self.images
        )


def stand_in_uid(z: int) -> str:
    """Name of what takes the place of the image of slice z until the object is built."""
    return f"2.25.{z + 1}"


def read_source(images: Sequence[Any]) -> Source:
    """Read the headers of the files that hold images.

    Args:
        images: Images with `path` and `frame` (number in an enhanced file, counted from 0), in the order of slices.
    """
    import pydicom

    headers: dict[Path, Any] = {}
    for image in images:
        if image.path not in headers:
            headers[image.path] = pydicom.dcmread(image.path, stop_before_pixels=True, force=True)
    common = _without_broken(headers[images[0].path])
    common.SOPClassUID, common.SOPInstanceUID = MR_IMAGE, stand_in_uid(0)  # highdicom asks for them when it copies
    found = [headers[image.path] for image in images]
    return Source(
        common=common,
        images=tuple(_reference(headers[image.path], image.frame) for image in images),
        studies=_unique(_uid(header, "StudyInstanceUID") for header in found),
        frames_of_reference=_unique(_uid(header, "FrameOfReferenceUID") for header in found),
    )


def _reference(header: Any, frame: int | None) -> SourceImage:
    meta = getattr(header, "file_meta", None) or {}
    sop_class = _uid(header, "SOPClassUID") or _uid(meta, "MediaStorageSOPClassUID")
    return SourceImage(
        sop_class=sop_class,
        instance=_uid(header, "SOPInstanceUID") or _uid(meta, "MediaStorageSOPInstanceUID"),
        series=_uid(header, "SeriesInstanceUID"),
        frame=None if frame is None or sop_class in _ONE_IMAGE else frame + 1,
    )


def _uid(header: Any, keyword: str) -> str:
    return str(header.get(keyword) or "")


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _without_broken(header: Any) -> Any:
    """Copy the elements of a header that can be read; those that break their format are left empty."""
    from pydicom.dataset import Dataset

    copy = Dataset()
    for tag in [tag for tag in header.keys() if tag.group in _GROUPS and tag not in _OWN]:  # noqa: SIM118
        try:
            element = header[tag]
        except Exception:  # of whatever converts a value that breaks its format
            continue
        if element.VR == "SQ" and not all(_is_readable(item) for item in element.value):
            continue
        copy[tag] = element if element.VR == "SQ" or _keeps_format(element) else _emptied(element)
    return copy


def _is_readable(item: Any) -> bool:
    """Whether all elements of an item, and of its items, can be read and keep their formats."""
    try:
        return all(_keeps_format(element) for element in item.iterall())
    except Exception:  # of whatever converts a value that breaks its format
        return False


def _keeps_format(element: Any) -> bool:
    from pydicom import config
    from pydicom.valuerep import validate_value

    if element.VR not in _FORMATTED or element.is_empty:
        return True
    try:
        for value in element.value if element.VM > 1 else [element.value]:
            validate_value(element.VR, value, config.RAISE)
    except Exception:  # ValueError, TypeError and others
        return False
    return True


def _emptied(element: Any) -> Any:
    from pydicom.dataelem import DataElement

    return DataElement(element.tag, element.VR, None)
