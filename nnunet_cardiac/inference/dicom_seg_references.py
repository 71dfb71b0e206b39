"""Enter into a segmentation object what its source says of itself: patient, study, frame of reference, images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from nnunet_cardiac.inference.dicom_seg_source import Source, SourceImage, stand_in_uid

#: UTF-8, which writes the text of every other character set.
_UTF_8 = "ISO_IR 192"


def enter_source(segmentation: Any, source: Source, present: Sequence[int]) -> list[str]:
    """Replace what the stand-ins said by what the source says.

    Args:
        segmentation: Object that highdicom built; it is changed. Its segments have names of their own.
        source: What the source says.
        present: Number of the slice of each source image, by which the stand-ins are named.

    Returns:
        Notes on what the source does not say.
    """
    segmentation.copy_patient_and_study_information(source.common)
    notes = _enter_frame_of_reference(segmentation, source)
    if source.can_be_referenced:
        _enter_images(segmentation, source.images, present)
    else:
        _remove_images(segmentation)
        notes.append(
            "The DICOM segmentation names no source image, because UIDs of the files are missing or repeated; it lies "
            "in the patient all the same."
        )
    _choose_character_set(segmentation, source)
    return notes


def _enter_frame_of_reference(segmentation: Any, source: Source) -> list[str]:
    from pydicom.uid import generate_uid

    named = [uid for uid in source.frames_of_reference if uid]
    # One for all objects of a series, so that end-diastole and end-systole lie in one frame of reference.
    own = generate_uid(entropy_srcs=[*source.studies, source.images[0].series, source.images[0].instance])
    _set_uid(segmentation, "FrameOfReferenceUID", named[0] if named else own)
    if "PositionReferenceIndicator" in source.common:
        segmentation["PositionReferenceIndicator"] = source.common["PositionReferenceIndicator"]
    if not named:
        return ["The source names no frame of reference; the DICOM segmentation has one of its own."]
    if len(source.frames_of_reference) > 1:
        return ["The slices have several frames of reference; the DICOM segmentation has that of the first slice."]
    return []


def _enter_images(segmentation: Any, images: Sequence[SourceImage], present: Sequence[int]) -> None:
    by_stand_in = {stand_in_uid(z): image for z, image in zip(present, images, strict=True)}
    groups = segmentation.PerFrameFunctionalGroupsSequence
    items = [item for group in groups for item in group.DerivationImageSequence[0].SourceImageSequence]
    for item in {id(item): item for item in items}.values():  # the frames of all segments at one place share theirs
        image = by_stand_in[item.ReferencedSOPInstanceUID]
        _refer(item, image, [image.frame])
    files: dict[SourceImage, list[int | None]] = defaultdict(list)
    series: dict[str, list[Any]] = defaultdict(list)
    for image in images:
        files[replace(image, frame=None)].append(image.frame)
    for file in files:
        series[file.series].append(_reference(file, []))
    segmentation.SourceImageSequence = [_reference(file, frames) for file, frames in files.items()]
    segmentation.ReferencedSeriesSequence = [_of_series(uid, items) for uid, items in series.items()]


def _remove_images(segmentation: Any) -> None:
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        del segmentation[keyword]
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence = []


def _of_series(uid: str, items: Sequence[Any]) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    _set_uid(item, "SeriesInstanceUID", uid)
    item.ReferencedInstanceSequence = list(items)
    return item


def _reference(image: SourceImage, frames: Iterable[int | None]) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    _refer(item, image, frames)
    return item


def _refer(item: Any, image: SourceImage, frames: Iterable[int | None]) -> None:
    _set_uid(item, "ReferencedSOPClassUID", image.sop_class)
    _set_uid(item, "ReferencedSOPInstanceUID", image.instance)
    numbers = [frame for frame in frames if frame is not None]
    if numbers:
        item.ReferencedFrameNumber = numbers if len(numbers) > 1 else numbers[0]


def _set_uid(dataset: Any, keyword: str, uid: str) -> None:
    """Set a UID of the source as it is: if it breaks the standard, it still names the source."""
    from pydicom import config
    from pydicom.dataelem import DataElement
    from pydicom.tag import Tag

    dataset[keyword] = DataElement(Tag(keyword), "UI", uid, validation_mode=config.IGNORE)


def _choose_character_set(segmentation: Any, source: Source) -> None:
    """Keep the character set of the source, and with it the bytes of its text, if the names of segments allow it."""
    labels = [item.SegmentLabel for item in segmentation.SegmentSequence]
    if all(label.isascii() for label in labels):
        if "SpecificCharacterSet" in source.common:
            segmentation["SpecificCharacterSet"] = source.common["SpecificCharacterSet"]
    else:
        segmentation.SpecificCharacterSet = _UTF_8
