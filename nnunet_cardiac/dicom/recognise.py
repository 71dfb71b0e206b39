"""Which files are DICOM: by what is in them, and where that says nothing, by their ending."""

from __future__ import annotations

import struct
from pathlib import Path

#: Endings that promise DICOM. A file that breaks the promise is damaged, not something else.
DICOM_ENDINGS = (".dcm", ".dicom", ".ima")

#: Files and folders that operating systems and network drives add to what a user copies.
_SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"}

_PREAMBLE = 128
_HEAD = 2048
#: Groups with which a file may begin, and a group that none of its first elements exceeds.
_FIRST_GROUPS, _LAST_GROUP = (0x0002, 0x0008), 0x0020
#: The first elements hold names and numbers; a longer text is no header.
_LONGEST = 1024
_VR_NAMES = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV"
_VRS = frozenset(_VR_NAMES.split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


def is_system_name(name: str) -> bool:
    """Whether a file or folder belongs to an operating system: hidden ones, and those of Windows and network drives."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, or promises to be by its ending; never raises.

    True of a file with a preamble, of one that begins with a plausible first element, and of what ends as
    :data:`DICOM_ENDINGS` whatever is in it: reading it then says that it is damaged. A DICOMDIR holds no image, and a
    file of an operating system (`._IM1.dcm`) no data.
    """
    if is_system_name(path.name) or path.name.upper() == "DICOMDIR":
        return False
    return path.suffix.lower() in DICOM_ENDINGS or has_dicom_content(path)


def has_dicom_content(path: Path) -> bool:
    """Whether the first bytes of a file are those of DICOM, with or without a preamble; never raises."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return False
    return head[_PREAMBLE : _PREAMBLE + 4] == b"DICM" or any(_begins_with_elements(head, order) for order in "<>")


def _begins_with_elements(head: bytes, order: str) -> bool:
    """Whether a file without preamble begins with two elements in ascending order, or with one that fills the rest."""
    first = _element(head, 0, order)
    if first is None or first[0][0] not in _FIRST_GROUPS:
        return False
    tag, after = first
    if after >= len(head):
        return False
    second = _element(head, after, order)
    if second is not None:
        return tag < second[0] and second[0][0] <= _LAST_GROUP
    # The file ends within the second element: enough of it must be there to say that its tag follows.
    rest = head[after : after + 4]
    return len(head) < _HEAD and len(rest) == 4 and tag < struct.unpack(f"{order}2H", rest) < (_LAST_GROUP + 1, 0)


def _element(head: bytes, start: int, order: str) -> tuple[tuple[int, int], int] | None:
    """Tag of the element that begins there and the place after it; None if it cannot be an element."""
    if len(head) < start + 8:
        return None
    tag: tuple[int, int] = struct.unpack_from(f"{order}2H", head, start)
    vr = head[start + 4 : start + 6]
    if vr in _LONG_VRS:
        if len(head) < start + 12:
            return None
        length, begin = struct.unpack_from(f"{order}I", head, start + 8)[0], start + 12
    elif vr in _VRS:
        length, begin = struct.unpack_from(f"{order}H", head, start + 6)[0], start + 8
    else:
        length, begin = struct.unpack_from(f"{order}I", head, start + 4)[0], start + 8
    if length % 2 or length > _LONGEST:
        return None
    return tag, begin + length
