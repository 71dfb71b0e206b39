"""Names of patients and cases that nnU-Net and the folds by patient both understand."""

from __future__ import annotations

import re

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.splits import patient_of


def patient_name(text: str) -> str:
    """Make a name of letters, digits, dashes and underscores that no later step cuts short.

    `SC HF/1` becomes `SC-HF1`: a number after a dash at the end would be taken for a frame.

    Raises:
        UserError: If nothing is left.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text.strip()).strip("-_")
    if not name:
        raise UserError(f"Patient {text!r} has no letter or digit; expected a name such as patient001.")
    while patient_of(name) != name:
        head, separator, tail = re.split(r"([_-])(?=[^_-]*$)", name)
        del separator
        name = head + tail
    return name


def case_name(patient: str, frame: int | None = None, phase: str = "") -> str:
    """Name a case: `patient001_frame12` if the frame is known, else `patient001_ED`, else the patient."""
    if frame is not None:
        return f"{patient}_frame{frame:02d}"
    return f"{patient}_{phase}" if phase else patient
