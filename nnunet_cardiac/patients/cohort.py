"""Which cases belong to one patient: the one definition, for folds, evaluation and prediction alike.

A table (`cases.csv`, `patients.csv`) rules. Without one, names are read, all names of a data set together: whether
`patient001ED` is a phase or a name, and whether the number in `A0S9V9_03` is a frame's, others of the list show. What
they do not show is said in `Cohort.doubts`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.case_names import Reading, join_words, read_name, split_words
from nnunet_cardiac.patients.doubts import doubts_of
from nnunet_cardiac.patients.tables import Listed, PatientList, read_patient_list

logger = logging.getLogger(__name__)

_SHOWN_CASES = 3


@dataclass(frozen=True)
class CaseName:
    """What is known of a case.

    Attributes:
        case: Its name.
        patient: Whose it is.
        series: What its frames belong to: an examination and a view of the patient.
        phase: `ED`, `ES` or empty.
        frame: Number of the frame, or None.
        slice: Number of the slice where the case is one, or None.
    """

    case: str
    patient: str
    series: str
    phase: str = ""
    frame: int | None = None
    slice: int | None = None

    @property
    def stack(self) -> tuple[str, str, int | None]:
        """What the slices of one volume have in common."""
        return (self.series, self.phase, self.frame) if self.slice is not None else (self.case, "", None)


@dataclass(frozen=True)
class Cohort:
    """Cases and their patients.

    Attributes:
        cases: Name -> what is known of it, in the order of the names.
        doubts: Why the patients may be others, one sentence each; empty where nothing was guessed.
        tables: Files that say whose the cases are.
    """

    cases: Mapping[str, CaseName]
    doubts: tuple[str, ...] = ()
    tables: tuple[Path, ...] = ()
    _grouped: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for case, name in self.cases.items():
            self._grouped.setdefault(name.patient, []).append(case)

    def patient(self, case: str) -> str:
        """Return the patient of a case."""
        return self.cases[case].patient

    @property
    def patients(self) -> Mapping[str, Sequence[str]]:
        """Patient -> cases."""
        return self._grouped

    @property
    def by_case(self) -> dict[str, str]:
        """Case -> patient."""
        return {case: name.patient for case, name in self.cases.items()}

    def of(self, cases: Iterable[str]) -> Cohort:
        """Return the cohort of some of the cases, read together with all others."""
        return replace(self, cases={case: self.cases[case] for case in sorted(set(cases))})

    def __str__(self) -> str:
        """`6 patients of 12 cases, such as patient001: patient001_ed, patient001_es`."""
        if not self.cases:
            return "no cases"
        patient, own = max(
            self.patients.items(), key=lambda item: (min(len(item[1]), 2), item[0] == min(self.patients))
        )
        shown = ", ".join(own[:_SHOWN_CASES]) + (", ..." if len(own) > _SHOWN_CASES else "")
        text = f"{_count(len(self.patients), 'patient')} of {_count(len(self.cases), 'case')}"
        if len(self.patients) == len(self.cases):
            return f"{text}, each case a patient of its own, such as {patient}"
        return f"{text}, such as {patient}: {shown}"

    def warn(self, place: str) -> None:
        """Log what was guessed.

        Args:
            place: Where the cases are, for the message.
        """
        for doubt in self.doubts:
            logger.warning(
                "%s: the patients are a guess. %s If that is wrong, say whose the cases are in cases.csv (columns "
                "case, patient, phase) beside the data set, or with --patients FILE.",
                place,
                doubt,
            )


def read_patients(cases: Iterable[str], tables: Iterable[Path] = ()) -> Cohort:
    """Say whose the cases are.

    Args:
        cases: All case names of a data set, without file ending.
        tables: `cases.csv` and `patients.csv`, if there are any; the first that lists a case rules.

    Raises:
        UserError: If a table cannot be read or fits no case.
    """
    names = read_names(cases)
    paths = tuple(tables)
    settled: dict[str, CaseName] = {}
    lists = [read_patient_list(path) for path in paths]
    for table in sorted(lists, key=lambda table: not table.cases):  # whose a case is, before who there is
        fitting = {case: fitted for case in names if (fitted := _fit(names[case], table)) is not None}
        known = table.patients & {name.patient for name in settled.values()}
        if names and not fitting and not known:
            raise _fits_nothing(table, names)
        settled = {**fitting, **settled}
    accepted = _accepted_readings(sorted(set(names) - set(settled)))
    return Cohort({**names, **settled}, tuple(doubts_of(accepted)), paths)


def read_names(cases: Iterable[str]) -> dict[str, CaseName]:
    """Read the names of a data set together, without a table."""
    readings = _accepted_readings(sorted(set(cases)))
    groups: dict[str, list[str]] = {}
    for case, reading in readings.items():
        groups.setdefault(alike(reading.stem), []).append(case)
    names = {}
    for own in groups.values():
        first = readings[own[0]]
        # A view is part of the name where a patient has one alone, as in M&Ms-2: 161_SA.
        views = {alike(readings[case].extra) for case in own}
        patient = first.stem + (first.extra if len(views) == 1 else "")
        for case in own:
            names[case] = _named(case, patient, readings[case], several=len(views) > 1)
    return {case: names[case] for case in readings}


def patient_of(case: str) -> str:
    """Return the patient of a case of which no other is known."""
    return read_names([case])[case].patient


def alike(text: str) -> str:
    """Return the text without what no two patients differ in: capitals and the kind of separator."""
    return re.sub(r"[\W_]+", "_", text).lower()


def _named(case: str, patient: str, reading: Reading, several: bool) -> CaseName:
    """What one name says; `several` is whether the patient has several views."""
    session = f"_{reading.session.replace(' ', '_')}" if reading.session else ""
    series = patient + (alike(reading.extra) if several else "") + session
    return CaseName(case, patient, series, reading.phase, reading.frame, reading.slice)


def _accepted_readings(cases: Sequence[str]) -> dict[str, Reading]:
    """Readings of all names; what needs confirmation by other names is taken only if it has it."""
    loose = {case: read_name(case, loose=True) for case in cases}
    leading = all(reading.led or not _begins_with_phase(case) for case, reading in loose.items())
    leading = leading and len({_begins_with_phase(case) for case in cases}) == 1
    strict = {case: read_name(case, leading_phase=leading) for case in cases}
    groups: dict[str, list[str]] = {}
    for case, reading in loose.items():
        groups.setdefault(alike(reading.stem), []).append(case)
    phases = {
        stem
        for stem, own in groups.items()
        if {"ED", "ES"} <= {loose[case].phase for case in own} and not all(strict[case].phase for case in own)
    }
    accepted = {}
    for case, reading in strict.items():
        frames = {(loose[other].frame, loose[other].slice) for other in groups[alike(loose[case].stem)]}
        # Patients of whom only one phase is there are called like those of whom there are two.
        confirmed = _confirmed(reading, loose[case], bool(phases), len(frames) > 1, len(groups) > 1)
        accepted[case] = loose[case] if confirmed else reading
    return accepted


def _begins_with_phase(case: str) -> bool:
    reading = read_name(case)
    return reading.led and bool(reading.phase)


def _confirmed(strict: Reading, loose: Reading, phases: bool, frames: bool, several: bool) -> bool:
    """Whether other names show the phase or the frame that only the loose reading finds.

    Args:
        strict: What is certain.
        loose: What may be.
        phases: Whether the list holds both phases of some patient, read like this.
        frames: Whether it holds several frames or slices of this patient, read like this.
        several: Whether there are several patients, read like this.
    """
    if not loose.stem:
        return False
    if loose.phase and not strict.phase:
        return phases
    if strict.frame is not None or strict.slice is not None or (loose.frame is None and loose.slice is None):
        return False
    return frames and (several or not loose.short_key)  # hospital_t01, hospital_t02, ... may all be patients


def _fit(name: CaseName, table: PatientList) -> CaseName | None:
    """What a table says of a case, or None if it says nothing."""
    if table.cases:
        listed = table.cases.get(name.case)
        series = table.cases.get(name.case.rpartition("_frame")[0])  # a 4D file that is listed as one case
        if listed is None and series is not None:
            listed = Listed(series.patient)
        return None if listed is None else _by_table(name, listed)
    patient = _listed_patient(name, table.patients)
    return None if patient is None else _by_table(name, Listed(patient))


def _by_table(name: CaseName, listed: Listed) -> CaseName:
    series = listed.patient + name.series.removeprefix(name.patient)
    frame = name.frame if listed.frame is None else listed.frame
    return CaseName(name.case, listed.patient, series, listed.phase or name.phase, frame, name.slice)


def _listed_patient(name: CaseName, patients: frozenset[str]) -> str | None:
    """The patient of a list whose name is in the case's: the one that was read, else the longest."""
    if name.patient in patients:
        return name.patient
    words = split_words(name.case)
    runs = {
        alike(join_words(words[i:j])) for i in range(len(words)) for j in range(i + 1, len(words) + 1)
    }  # fmt: skip
    found = sorted((patient for patient in patients if alike(patient) in runs), key=len)
    if not found or (len(found) > 1 and len(found[-1]) == len(found[-2])):
        return None
    return found[-1]


def _fits_nothing(table: PatientList, names: Mapping[str, CaseName]) -> UserError:
    kind, known = ("cases", sorted(table.cases)) if table.cases else ("patients", sorted(table.patients))
    return UserError(
        f"{table.path}: its {kind} ({', '.join(known[:3]) or 'none'}, ...) fit no case; the {len(names)} cases are "
        f"called {', '.join(list(names)[:3])}, .... Correct the names in the table, or move it away if it belongs to "
        "other data."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
