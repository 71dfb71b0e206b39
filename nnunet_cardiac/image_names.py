"""Names of image files: one list of endings for what is predicted, evaluated and listed in tables."""

from __future__ import annotations

from pathlib import Path

#: Endings of image files that are read, longer ones before those that they end in.
IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def image_ending(path: Path | str) -> str | None:
    """Return the ending of an image file as it is written, in capitals perhaps; None if it is no image."""
    name = Path(path).name
    ending = next((ending for ending in IMAGE_ENDINGS if name.lower().endswith(ending)), None)
    return None if ending is None else name[-len(ending) :]


def image_stem(path: Path | str) -> str | None:
    """Return the name of an image file without its ending; None if it is no image, or a hidden file of a system."""
    name, ending = Path(path).name, image_ending(path)
    return None if ending is None or name.startswith(".") else name[: -len(ending)]
