"""Names of patients and cases that nnU-Net and the folds by patient both understand."""

from __future__ import annotations

import re

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.cohort import patient_of


def patient_name(text: str) -> str:
    """Make a name of letters, digits, dashes and underscores that no later step cuts short.

    `site 1_03` becomes `site-1p03`: a number alone at the end would be taken for a frame of patient `site-1`.

    Raises:
        UserError: If nothing is left.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text.strip()).strip("-_")
    if not name:
        raise UserError(f"Patient {text!r} has no letter or digit; expected a name such as patient001.")
    while patient_of(name) != name or re.search(r"\d.*[_-]\d+$", name):
        joined = re.sub(r"[_-]([^_-]*)$", r"p\1", name)
        name = joined if joined != name else f"{name}p"  # x1frame05 has nothing to join
    return name


def case_name(patient: str, frame: int | None = None, phase: str = "") -> str:
    """Name a case: `patient001_frame12` if the frame is known, else `patient001_ED`, else the patient."""
    if frame is not None:
        return f"{patient}_frame{frame:02d}"
    return f"{patient}_{phase}" if phase else patient
