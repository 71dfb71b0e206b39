"""The check of a whole raw data set before any long work.

A raw data set is accepted if each case is one 3D volume (a single slice, depth 1 or a 2D file, is legitimate: long-axis
views), images and label share a grid, and the labels name known anatomies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nnunet_cardiac.checks.cases import RawCase, find_cases
from nnunet_cardiac.checks.dataset_json import DatasetDescription, read_description
from nnunet_cardiac.checks.geometry import direction_problem, grid_problems, volume_problem
from nnunet_cardiac.checks.notes import CheckedCase, notes_of
from nnunet_cardiac.checks.problems import Problems
from nnunet_cardiac.checks.repeated import repeated_notes
from nnunet_cardiac.checks.values import image_problem, label_problem, label_values
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.content import Print, content_print
from nnunet_cardiac.images.image_file import Header, read_header, read_voxels
from nnunet_cardiac.images.stored_ways import stored_ways


@dataclass(frozen=True)
class DatasetReport:
    """A raw data set without problems.

    Attributes:
        folder: Raw data set.
        anatomies: Canonical name -> label value.
        cases: Name, shape, spacing and label values of each case.
        notes: What is unusual but allowed.
        storage: Which images are stored in another way than others, or in one that nobody knows.
    """

    folder: Path
    anatomies: Mapping[str, int]
    cases: tuple[CheckedCase, ...]
    notes: tuple[str, ...]
    storage: tuple[str, ...] = ()

    def __str__(self) -> str:
        depths = sorted(case.shape[0] for case in self.cases)
        anatomies = ", ".join(f"{name} {value}" for name, value in self.anatomies.items())
        return f"{self.folder.name}: {len(self.cases)} cases, {depths[0]}-{depths[-1]} slices, labels {anatomies}"


def check_raw_dataset(folder: Path, required: Iterable[str] = (), *, progress: bool = True) -> DatasetReport:
    """Check every file of the training cases of a raw data set: first all headers, then all voxels.

    Args:
        folder: `DatasetXXX_Name` with `dataset.json`, `imagesTr` and `labelsTr`.
        required: Canonical names of anatomies that must be labelled, such as `("LV", "MYO", "RV")`.
        progress: Show progress bars on stderr.

    Raises:
        UserError: With all problems found, each naming the file, what was found, what was expected and the fix.
    """
    folder = Path(folder)
    problems = Problems()
    description = read_description(folder, required, problems)
    cases = find_cases(description, problems)
    readable = [
        (case, headers)
        for case in tqdm(cases, desc="headers", unit="case", disable=not progress, leave=False)
        if (headers := _check_headers(case, problems)) is not None
    ]
    prints: dict[Path, Print] = {}
    checked = [
        _check_voxels(case, headers, description, problems, prints)
        for case, headers in tqdm(readable, desc="voxels", unit="case", disable=not progress, leave=False)
    ]
    problems.raise_if_any(str(folder))
    notes = tuple(notes_of(checked, description.anatomies, description.ignore))
    notes += tuple(repeated_notes(folder, description.file_ending, prints, progress))
    storage = tuple(stored_ways({case.name: header for case, header in readable}).sentences())
    return DatasetReport(folder, description.anatomies, tuple(checked), notes, storage)


def _check_headers(case: RawCase, problems: Problems) -> Header | None:
    """Return the header of the first image if every file of the case is a readable volume, else None."""
    headers: dict[Path, Header] = {}
    for path in (*case.images, case.label):
        try:
            headers[path] = read_header(path)
        except UserError as error:
            problems.add(str(error))
            continue
        if problem := volume_problem(path, headers[path]) or direction_problem(path, headers[path]):
            problems.add(problem)
            del headers[path]
    if len(headers) < len(case.images) + 1:
        return None
    for image in case.images:
        for problem in grid_problems(image, headers[image], case.label, headers[case.label]):
            problems.add(problem)
    return headers[case.images[0]]


def _check_voxels(
    case: RawCase,
    header: Header,
    description: DatasetDescription,
    problems: Problems,
    prints: dict[Path, Print],
) -> CheckedCase:
    """Check the voxels of a case, and add what its images show to `prints`."""
    values: frozenset[float] = frozenset()
    for path in (*case.images, case.label):
        try:
            voxels = read_voxels(path)
        except UserError as error:
            problems.add(str(error))
            continue
        if path == case.label:
            values = label_values(voxels)
            problem = label_problem(path, values, description.values)
        else:
            problem = image_problem(path, voxels)
            prints[path] = content_print(voxels)
        if problem:
            problems.add(problem)
    return CheckedCase.of(case.name, header, values)
