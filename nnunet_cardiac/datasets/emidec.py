"""EMIDEC (Lalande et al., Data 2020): `Case_N006/{Images,Contours}/Case_N006.nii.gz` and `Case N006.txt`.

N is a normal and P a pathological patient. Infarct and no-reflow are myocardium: by default they are merged into it, so
that every system of this package can be trained; `--infarct` keeps them.
"""

from __future__ import annotations

from pathlib import Path

from nnunet_cardiac.datasets.image_files import file_volume
from nnunet_cardiac.datasets.layout import find_folder, image_in, subfolders, unknown_layout
from nnunet_cardiac.datasets.naming import patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Subject

LAYOUT = "Case_N006/Images/Case_N006.nii.gz with Case_N006/Contours/Case_N006.nii.gz, and 'Case N006.txt'"
MERGED = {"LV": (1,), "MYO": (2, 3, 4)}
SEPARATE = {"LV": (1,), "MYO": (2,), "infarct": (3,), "no_reflow": (4,)}
_GROUPS = {"N": "normal", "P": "pathological"}


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the patients; those without contours are the test set.

    Raises:
        UserError: If the layout is not as expected.
    """
    folders = _case_folders(source)
    subjects = [_subject(folder) for folder in folders]
    if not any(subject.split == "train" for subject in subjects):
        raise unknown_layout(source, LAYOUT)
    notes = []
    if not all(subject.sources for subject in subjects):
        notes.append("some patients have no text file 'Case N006.txt': their facts are missing in patients.csv")
    if options.infarct:
        notes.append("infarct and no_reflow are known to nnU-Net's trainers, not to those of this package")
    values = SEPARATE if options.infarct else MERGED
    return [Collection("EMIDEC", "LGE", values, subjects, tuple(notes))]


def _case_folders(source: Path) -> list[Path]:
    """Folders with images, in the source or one level down, where training and test archive lie side by side."""
    level = subfolders(source)
    return [
        folder
        for folder in (*level, *(child for parent in level for child in subfolders(parent)))
        if folder.name.startswith("Case") and find_folder(folder, "Images", depth=1) is not None
    ]


def _subject(folder: Path) -> Subject:
    patient = patient_name(folder.name)
    contours = find_folder(folder, "Contours", depth=1)
    split = "train" if contours is not None else "test"
    label = file_volume(image_in(contours, folder.name)) if contours is not None else None
    text = _text_file(folder)
    facts = read_facts(text) if text is not None else {}
    images = find_folder(folder, "Images", depth=1) or folder
    case = Case(patient, file_volume(image_in(images, folder.name)), label)
    group = _GROUPS.get(folder.name.partition("_")[2][:1], "")
    return Subject(patient, (case,), split, group=group, facts=facts, sources=() if text is None else (text,))


def _text_file(folder: Path) -> Path | None:
    names = (folder.name.replace("_", " ") + ".txt", folder.name + ".txt")
    candidates = [place / name for place in (folder.parent, folder) for name in names]
    return next((path for path in candidates if path.is_file()), None)


def read_facts(path: Path) -> dict[str, str]:
    """Read `name : value` lines as `name` in lower case with underscores -> value.

    The files come from a French Windows: byte A0, a space that does not break, is before some of the colons.
    """
    pairs = (line.partition(":") for line in path.read_text(encoding="cp1252", errors="replace").splitlines())
    cleaned = ((" ".join(key.split()), value.strip()) for key, colon, value in pairs if colon)
    return {"".join(c if c.isalnum() else "_" for c in key.lower()).strip("_"): value for key, value in cleaned if key}
