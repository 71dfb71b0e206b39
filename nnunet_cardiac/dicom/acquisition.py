"""What kind of images a scanner made, from coded attributes alone.

A description is free text: scanners, languages and technicians differ, and `SAX cine local shim` is no localiser. So no
description is read here. Attributes are those of the MR Image and Enhanced MR Image modules (DICOM PS3.3, C.8.3 and
C.8.13), with the words that vendors put into Image Type and Sequence Name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_cardiac.dicom.values import items, number, private, text, texts

MAGNITUDE = "magnitude"

#: Words of Image Type and Frame Type -> part of the complex signal.
_COMPONENTS = {
    "MAGNITUDE": MAGNITUDE,
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "VELOCITY": "phase",
    "VELOCITY MAP": "phase",
    "REAL": "real",
    "IMAGINARY": "imaginary",
}
#: Letters for these, alone (Siemens) or before a word (Philips); as the third word only, since they mean else later.
_LETTERS = {"M": MAGNITUDE, "P": "phase", "R": "real", "I": "imaginary"}
#: GE writes the part of the signal as a number into an element of its own.
_GE_COMPONENTS = (MAGNITUDE, "phase", "real", "imaginary")
#: Elements in which vendors write a b-value: group, creator, number in the block.
_B_VALUES = (
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x2001, "Philips Imaging DD 001", 0x03),
    (0x0065, "Image Private Header", 0x09),
)

#: Words that make an image the result of a computation, which has no place among the images of a cycle.
_COMPUTED = re.compile(
    r"ADC|FA|CBF|CBV|MTT|TTP|MIP|MPR|MINIP|CSA MIP|CSA MPR|PROJECTION IMAGE|SUBTRACTION|SCREEN SAVE|SCREENSHOT"
    r"|REFORMATTED|DIFFERENCE IMAGE|SEGMENTATION|ARGUS|(.*[ _])?MAP|[TR][12]([ _]?STAR|\*)?(MAP)?"
)


@dataclass(frozen=True)
class Acquisition:
    """How an image was acquired.

    Attributes:
        component: Part of the complex signal: `magnitude`, `phase`, `real` or `imaginary`.
        purpose: What the image is for if it is not for anatomy: `localiser`, `tagging`, `diffusion`, `flow`, `map or
            computed image`, `mosaic`, or `calibration`; else empty.
        sequence: Name and kind of the pulse sequence.
        inversion_ms: Inversion time; None if there was no inversion.
        flip_degrees: Flip angle; None if unknown.
        echo: Number of the echo; empty if unknown.
        echo_ms: Echo time; None if unknown.
        image_type: Words of Image Type and Frame Type.
        volume: Whether it is a slice of a volume that was acquired in 3D.
        settings: What the technician set; a slice that is acquired again has the same.
    """

    component: str = MAGNITUDE
    purpose: str = ""
    sequence: tuple[str, ...] = ()
    inversion_ms: float | None = None
    flip_degrees: float | None = None
    echo: str = ""
    echo_ms: float | None = None
    image_type: tuple[str, ...] = ()
    volume: bool = False
    settings: tuple[str, ...] = ()


def read_acquisition(dataset: Any, groups: Sequence[Any]) -> Acquisition:
    """Read how an image was acquired.

    Args:
        dataset: The file.
        groups: Functional groups of the image, its own first; none of a classic file.
    """
    sources = [dataset, *(item for group in groups for item in _parts(group))]
    # What a frame says of itself counts before what the file says of all.
    own = [said for source in reversed(sources) for key in ("FrameType", "ImageType") if (said := texts(source, key))]
    words = tuple(word.upper() for word in own[0]) if own else ()
    name = next((found for source in sources for key in _NAMES if (found := text(source, key))), "")
    return Acquisition(
        component=_component(sources, words),
        purpose=_purpose(sources, words, name.lower()),
        sequence=(_without_segments(name), *(_sorted_words(dataset, key) for key in _SEQUENCE)),
        inversion_ms=_first(sources, "InversionTime", "InversionTimes"),
        flip_degrees=_first(sources, "FlipAngle"),
        echo=text(dataset, "EchoNumbers"),
        echo_ms=_first(sources, "EchoTime", "EffectiveEchoTime"),
        image_type=words,
        volume=text(dataset, "MRAcquisitionType").upper() == "3D",
        settings=(name, *(_sorted_words(dataset, key) for key in _SETTINGS), *_ge_sequence(dataset)),
    )


_NAMES = ("SequenceName", "PulseSequenceName")
_SEQUENCE = ("ScanningSequence", "SequenceVariant")
_SETTINGS = ("RepetitionTime", "EchoTime", "FlipAngle", "ScanOptions", "PixelBandwidth", "EchoTrainLength")
_GROUPS = (
    "MRImageFrameTypeSequence",
    "MRModifierSequence",
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
    "MRVelocityEncodingSequence",
)


def _parts(group: Any) -> list[Any]:
    return [item for name in _GROUPS for item in items(group, name)[:1]]


def _first(sources: Sequence[Any], *keywords: str) -> float | None:
    """The first number above 0 of the elements."""
    found = (number(source, keyword) for source in reversed(sources) for keyword in keywords)
    return next((value for value in found if value is not None and value > 0), None)


def _component(sources: Sequence[Any], words: Sequence[str]) -> str:
    """Part of the signal: of the image itself, then of the file, where `MIXED` says nothing."""
    for source in reversed(sources):
        said = text(source, "ComplexImageComponent").upper()
        if said in _COMPONENTS:
            return _COMPONENTS[said]
    named = [_COMPONENTS[word] for word in words if word in _COMPONENTS]
    named += [_LETTERS[letter] for word in words[2:3] if (letter := word.split("_")[0]) in _LETTERS]
    if unusual := [component for component in named if component != MAGNITUDE]:
        return unusual[0]
    code = next(iter(private(sources[0], 0x0043, "GEMS_PARM_01", 0x2F)), 0)
    return _GE_COMPONENTS[int(code)] if code in (0, 1, 2, 3) else MAGNITUDE


def _purpose(sources: Sequence[Any], words: Sequence[str], name: str) -> str:
    tagging = [text(source, "Tagging").upper() for source in sources]
    if "LOCALIZER" in words:
        return "localiser"
    if "MOSAIC" in words or private(sources[0], 0x0019, "SIEMENS MR HEADER", 0x0A):
        return "mosaic"
    if (
        any(said not in ("", "NONE") for said in tagging)
        or re.search("(?<![a-z])tag", name)
        or _has(sources, "TagSpacingFirstDimension")
    ):
        return "tagging"
    if _b_value(sources) > 0 or "DIFFUSION" in words or re.search(r"ep_b\d+", name):
        return "diffusion"
    if (
        any(text(source, "PhaseContrast").upper() == "YES" for source in sources)
        or re.search(r"fl\dd.*_v\d+", name)
        or any(word.endswith("PCA") for word in words)
    ):
        return "flow"
    if any(_COMPUTED.fullmatch(word) for word in words[2:]):
        return "map or computed image"
    return ""


def _has(sources: Sequence[Any], keyword: str) -> bool:
    return any(text(source, keyword) for source in sources)


def _b_value(sources: Sequence[Any]) -> float:
    """b-value in s/mm2, of the standard or of a vendor; GE adds 1e9 in some releases."""
    standard = _first(sources, "DiffusionBValue")
    if standard is not None:
        return standard
    found = (value for place in _B_VALUES for value in private(sources[0], *place)[:1])
    return max((float(value) % 1e5 for value in found if isinstance(value, float | int)), default=0.0)


def _sorted_words(dataset: Any, keyword: str) -> str:
    return "/".join(sorted(texts(dataset, keyword)))


def _ge_sequence(dataset: Any) -> tuple[str, ...]:
    """Names of the sequence as GE writes them."""
    return tuple(str(value) for element in (0x9C, 0x9E) for value in private(dataset, 0x0019, "GEMS_ACQU_01", element))


def _without_segments(name: str) -> str:
    """Name of a sequence without the number of segments, which the scanner adapts from slice to slice."""
    return re.sub(r"_\d+$", "", name.strip().lstrip("*"))
