"""M&Ms-2 (Martín-Isla et al., IEEE JBHI 2023): `MnM2/dataset/NNN/NNN_{SA,LA}_{ED,ES}.nii.gz` with `_gt` label maps.

Short axis and four-chamber view become two data sets with the same patients in the same folds, so that a system of both
views never sees a validation patient. The challenge numbers its parts: 1 to 160 training, 161 to 200 validation, 201 to
360 test; two diseases occur in the last two only.
"""

from __future__ import annotations

from pathlib import Path

from nnunet_cardiac.datasets.image_files import file_volume
from nnunet_cardiac.datasets.layout import find_folder, image_in, subfolders, unknown_layout
from nnunet_cardiac.datasets.mnms import VALUES
from nnunet_cardiac.datasets.naming import case_name, patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Subject
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.csv_table import find_table, read_table, whole_number

LAYOUT = "dataset_information.csv and dataset/NNN/NNN_SA_ED.nii.gz, NNN_SA_ED_gt.nii.gz, NNN_LA_ED.nii.gz, ..."
VIEWS = ("SA", "LA")
_COLUMNS = ("SUBJECT_CODE", "DISEASE", "VENDOR", "SCANNER", "FIELD")
_LAST_TRAINING, _LAST_VALIDATION = 160, 200


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the patients of both views.

    Raises:
        UserError: If the layout or the table is not as expected, or a folder has no row.
    """
    table, dataset = find_table(source, "*nformation*.csv", _COLUMNS[0]), find_folder(source, "dataset")
    folders = [folder for folder in subfolders(dataset) if folder.name.isdecimal()] if dataset is not None else []
    if table is None or not folders:
        raise unknown_layout(source, LAYOUT)
    rows = {whole_number(table, row, _COLUMNS[0]): row for row in read_table(table, _COLUMNS) if row[_COLUMNS[0]]}
    unknown = [folder.name for folder in folders if int(folder.name) not in rows]
    if unknown:
        raise UserError(f"{table}: no row for {', '.join(unknown[:5])} ({len(unknown)} in all); expected one a folder.")
    return [
        Collection(
            f"MnMs2{view}",
            "cineMRI",
            VALUES,
            [_subject(folder, view, table, rows[int(folder.name)]) for folder in folders],
        )
        for view in VIEWS
    ]


def _subject(folder: Path, view: str, table: Path, row: dict[str, str]) -> Subject:
    number = int(folder.name)
    split = "train" if number <= _LAST_TRAINING else "val" if number <= _LAST_VALIDATION else "test"
    patient = patient_name(f"subject{number:03d}")
    cases = []
    for phase in ("ED", "ES"):
        stem = f"{folder.name}_{view}_{phase}"
        label = image_in(folder, f"{stem}_gt")
        labelled = split == "train" or label.is_file()
        volume = file_volume(image_in(folder, stem))
        cases.append(Case(case_name(patient, phase=phase), volume, file_volume(label) if labelled else None, phase))
    return Subject(
        patient,
        tuple(cases),
        split,
        group=row["DISEASE"],
        stratum=f"{row['VENDOR']} {row['DISEASE']}",
        cine=file_volume(image_in(folder, f"{folder.name}_{view}_CINE")),
        facts={"view": view, "vendor": row["VENDOR"], "scanner": row["SCANNER"], "field_t": row["FIELD"]},
        sources=(table,),
    )
