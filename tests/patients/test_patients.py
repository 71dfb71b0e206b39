"""Whose a case is: spellings in use, what only the whole list shows, tables, and what is said of a guess."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.cohort import patient_of, read_names, read_patients

#: Patients as data sets call them; none of the numbers may be taken for a frame's.
STEMS = (
    "patient{:03d}",
    "Patient_{:d}",
    "pat_{:d}",
    "sub-{:02d}",
    "case_{:04d}",
    "Case_N{:03d}",
    "A{:d}S9V9",
    "SC-HF-I-{:02d}",
    "SC-N-{:02d}",
    "{:03d}",
    "site1_patient{:02d}",
    "acdc_{:03d}",
    "DET{:07d}",
)

#: Ending of ED and of ES.
PHASES = (
    ("_ED", "_ES"),
    ("_ed", "_es"),
    ("-ED", "-ES"),
    (".ed", ".es"),
    ("_phase-ED", "_phase-ES"),
    ("-dia", "-sys"),
    ("_Diastole", "_Systole"),
    ("_end-diastole", "_end-systole"),
    ("_EndDiastolic", "_EndSystolic"),
    ("_ED01", "_ES12"),
    ("_frame01_ED", "_frame12_ES"),
    ("_ED_0000", "_ES_0000"),
    ("_ED_sax", "_ES_sax"),
    ("_sa_ED", "_sa_ES"),
    ("_ED_gt", "_ES_gt"),
    ("(ED)", "(ES)"),
    ("+dia", "+sys"),
    ("ED", "ES"),
)

FRAMES = (
    ("_frame01", "_frame12"),
    ("_frame-03", "_frame-10"),
    ("_Frame_1", "_Frame_9"),
    ("_phase01", "_phase07"),
    ("_t01", "_t12"),
    ("-T1", "-T9"),
    ("_tt01", "_tt12"),
    ("_time_3", "_time_9"),
    ("_fr03", "_fr10"),
    ("_f03", "_f10"),
    ("_vol0003", "_vol0010"),
    ("_01", "_12"),
    ("_0000", "_0001"),
)

SLICES = (("_slice00", "_slice05"), ("_z00", "_z05"), ("_slc_1", "_slc_2"), ("_ED_slice1", "_ED_slice2"))

NUMBERS = (1, 2, 3, 7, 10, 12)


def cases_of(stem: str, endings: tuple[str, str]) -> dict[str, str]:
    """Case -> patient, of six patients."""
    return {stem.format(n) + ending: stem.format(n) for n in NUMBERS for ending in endings}


def grouped(cases: dict[str, str]) -> set[frozenset[str]]:
    return {frozenset(case for case in cases if cases[case] == patient) for patient in cases.values()}


@pytest.mark.parametrize("endings", PHASES, ids=lambda endings: endings[0])
def test_phases_at_the_end(endings: tuple[str, str]) -> None:
    for stem in STEMS:
        cases = cases_of(stem, endings)
        cohort = read_patients(cases)
        assert grouped(cohort.by_case) == grouped(cases), stem
        phases = {case: "ED" if case.endswith(endings[0]) else "ES" for case in cases}
        assert {case: name.phase for case, name in cohort.cases.items()} == phases, stem
        assert cohort.doubts == (), stem


@pytest.mark.parametrize("phases", [("ED_", "ES_"), ("ed-", "es-"), ("Diastole_", "Systole_"), ("ED", "ES")])
def test_phases_in_front(phases: tuple[str, str]) -> None:
    # EDA1S9V9 is a code like any other
    coded = ["A{:d}S9V9"] if phases != ("ED", "ES") else []
    for stem in ("patient{:03d}", "{:03d}", "sub-{:02d}", "case_{:04d}", *coded):
        cases = {phase + stem.format(n): stem.format(n) for n in NUMBERS for phase in phases}
        cohort = read_patients(cases)
        assert cohort.by_case == cases, stem
        assert all(name.phase == ("ED" if case.startswith(phases[0]) else "ES") for case, name in cohort.cases.items())
        assert cohort.doubts == (), stem


@pytest.mark.parametrize("endings", [*FRAMES, *SLICES], ids=lambda endings: endings[0])
def test_frames_and_slices_at_the_end(endings: tuple[str, str]) -> None:
    for stem in STEMS:
        cases = cases_of(stem, endings)
        cohort = read_patients(cases)
        assert cohort.by_case == cases, stem
        assert cohort.doubts == (), stem


@pytest.mark.parametrize("front", ["frame{:02d}_", "slice_{:d}-", "time{:d}_"])
@pytest.mark.parametrize("stem", ["patient{:03d}", "{:03d}", "A{:d}S9V9", "case_{:04d}"])
def test_frames_and_slices_in_front(stem: str, front: str) -> None:
    cases = {front.format(frame) + stem.format(n): stem.format(n) for n in NUMBERS for frame in (1, 8)}
    assert read_patients(cases).by_case == cases


@pytest.mark.parametrize(
    ("case", "patient", "phase", "frame", "slice_"),
    [
        ("patient001_frame12", "patient001", "", 12, None),
        ("site_frame2_patient7_frame12", "site_frame2_patient7", "", 12, None),
        ("patient001_frame", "patient001_frame", "", None, None),
        ("sub-01_ses-1_task-rest_phase-ED_bold", "sub-01_task-rest_bold", "ED", None, None),
        ("sub-HC04_frame-03_slice-07", "sub-HC04", "", 3, 7),
        ("pat_12-sys", "pat_12", "ES", None, None),
        ("SC-HF-I-01_0000", "SC-HF-I-01", "", 0, None),
        ("patient001_t03_z05", "patient001", "", 3, 5),
        ("patient001_12_05", "patient001", "", 12, 5),
        ("A0S9V9_ES_slice_4", "A0S9V9", "ES", None, 4),
        ("ED_patient001", "patient001", "ED", None, None),
        ("la_003", "la_003", "", None, None),
        ("case_0001", "case_0001", "", None, None),
        ("Case_P001", "Case_P001", "", None, None),
        ("161_SA_ES", "161_SA", "ES", None, None),
        ("0RZDK210BSMWAA6467LU", "0RZDK210BSMWAA6467LU", "", None, None),
        ("T01_ED", "T01", "ED", None, None),
        ("2017_003", "2017_003", "", None, None),
        ("ED", "ED", "", None, None),
        ("frame-03", "frame-03", "", None, None),
        ("patient_t01", "patient_t01", "", None, None),
        ("12_03_ED", "12_03", "ED", None, None),
    ],
)
def test_one_name(case: str, patient: str, phase: str, frame: int | None, slice_: int | None) -> None:
    name = read_names([case])[case]
    assert (name.patient, name.phase, name.frame, name.slice) == (patient, phase, frame, slice_)
    assert patient_of(case) == patient


@pytest.mark.parametrize(
    "stem",
    ["la_{:03d}", "SC-HF-I-{:02d}", "case_{:04d}", "site1_{:03d}", "center-2_{:02d}", "hospital_t{:02d}", "NOR_{:02d}"],
)
def test_patients_with_one_case_each_stay_apart(stem: str) -> None:
    cases = [stem.format(n) for n in NUMBERS]
    assert read_patients(cases).by_case == {case: case for case in cases}


def test_equal_numbers_of_several_sites_stay_apart() -> None:
    for stem in ("site{1}_patient{0:02d}", "patient{0:02d}_site{1}", "site{1}_{0:02d}", "centre_{1}_{0:02d}"):
        cases = [stem.format(n, site) + phase for n in NUMBERS for site in "12" for phase in ("_ED", "_ES")]
        cohort = read_patients(cases)
        assert len(cohort.patients) == 2 * len(NUMBERS), stem
        assert cohort.doubts == (), stem


def test_sessions_and_views_are_one_patient_but_not_one_heart_beat() -> None:
    sessions = [f"sub-{n:02d}_ses-{s}_phase-{p}" for n in NUMBERS for s in (1, 2) for p in ("ED", "ES")]
    views = [f"{n:03d}_{v}_{p}" for n in NUMBERS for v in ("SA", "LA") for p in ("ED", "ES")]
    for cases in (sessions, views):
        cohort = read_patients(cases)
        assert len(cohort.patients) == len(NUMBERS)
        assert len({name.series for name in cohort.cases.values()}) == 2 * len(NUMBERS)
        assert cohort.doubts == ()
    assert read_names(sessions)["sub-01_ses-2_phase-ED"].series == "sub-01_ses-2"
    assert read_names(views)["001_SA_ED"].patient == "001"
    assert read_names(views)["001_SA_ED"].series == "001_sa"
    short_axis = [case for case in views if "_SA_" in case]
    assert read_names(short_axis)["001_SA_ED"].patient == "001_SA"  # as ever in M&Ms-2


def test_the_list_decides_what_one_name_leaves_open() -> None:
    assert read_patients(["patient001ED", "patient001ES"]).by_case == dict.fromkeys(
        ["patient001ED", "patient001ES"], "patient001"
    )
    assert patient_of("patient001ED") == "patient001ED"  # may be a code
    inside = read_patients(["acdc_ED_001", "acdc_ES_001", "acdc_ED_002"])  # of 002 there is no ES
    assert sorted(inside.patients) == ["acdc_001", "acdc_002"]
    assert read_patients(["acdc_ED_001", "acdc_ED_002"]).by_case == {c: c for c in ("acdc_ED_001", "acdc_ED_002")}


@pytest.mark.parametrize(
    ("cases", "patients", "doubt"),
    [
        (["1_01", "1_02", "1_03", "2_01"], 2, "1_01, 1_02, 1_03 are taken for one patient, their last number"),
        (["Smith_t1", "Smith_t2", "Jones_t1", "Jones_t2"], 2, "are taken for one patient, the letter with a number"),
        (["patient1_a", "patient1_b"], 1, "unknown what their last words mean"),
        (["patient001a", "patient001b"], 2, "patient001a and patient001b are taken for two patients, though their end"),
        (["A0S9V9_00pct", "A0S9V9_40pct"], 2, "though their endings differ alone"),
        (["A0S9V9_d", "A0S9V9_s"], 2, "though their endings differ alone"),
        (["12_patient3", "14_patient3"], 2, "taken for two patients, though their beginnings differ alone"),
        (["aachen_patient3", "berlin_patient3"], 2, "though their beginnings differ alone"),
        (["patient1_ED", "patient001_ES"], 2, "though zeros in front of a number differ alone"),
        (["ES_001", "ES_002", "FR_001"], 3, "ES in ES_001 is taken for a part of the patient's name, as there is FR_0"),
        (["AB_1", "AB_2", "CD_1", "CD_2"], 4, "AB_1 and AB_2 are taken for two patients"),
        (["A1_01_slice3", "A1_12_slice3"], 2, "A1_01 and A1_12 are taken for two patients"),
    ],
)
def test_a_guess_is_said(cases: list[str], patients: int, doubt: str, caplog: pytest.LogCaptureFixture) -> None:
    cohort = read_patients(cases)
    assert len(cohort.patients) == patients
    assert any(doubt in said for said in cohort.doubts), cohort.doubts
    with caplog.at_level(logging.WARNING):
        cohort.warn("Dataset027_ACDC")
    assert "Dataset027_ACDC: the patients are a guess." in caplog.text
    assert "cases.csv" in caplog.text


def test_capitals_and_separators_make_no_other_patient() -> None:
    cohort = read_patients(["Patient001_ED", "patient001-es", "pat_2 ED", "pat-2_ES"])
    assert sorted(map(len, cohort.patients.values())) == [2, 2]


def test_what_was_taken_for_a_patient_is_said() -> None:
    cases = [f"patient{n:03d}_{phase}" for n in range(1, 7) for phase in ("ed", "es")]
    assert str(read_patients(cases)) == "6 patients of 12 cases, such as patient001: patient001_ed, patient001_es"
    alone = "3 patients of 3 cases, each case a patient of its own, such as la_001"
    assert str(read_patients([f"la_{n:03d}" for n in (1, 2, 3)])) == alone
    assert str(read_patients(cases).of(cases[:1])) == (
        "1 patient of 1 case, each case a patient of its own, such as patient001"
    )
    slices = [f"p1_slice{z}" for z in range(5)]
    assert str(read_patients(slices)).endswith("such as p1: p1_slice0, p1_slice1, p1_slice2, ...")


# ------------------------------------------------------------------------------------------------------------- tables


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_of_cases_rules_over_names(tmp_path: Path) -> None:
    table = write(
        tmp_path / "cases.csv",
        "Case;Patient;Phase",
        "patient001_ED.nii.gz;Smith;es",
        "patient002_ED;Smith;ED",
        "x17;Jones;",
    )
    cohort = read_patients(["patient001_ED", "patient002_ED", "x17", "x18_ED"], [table])
    assert cohort.by_case == {"patient001_ED": "Smith", "patient002_ED": "Smith", "x17": "Jones", "x18_ED": "x18"}
    assert [cohort.cases[case].phase for case in cohort.cases] == ["ES", "ED", "", "ED"]
    assert cohort.cases["patient001_ED"].series == cohort.cases["patient002_ED"].series
    assert cohort.tables == (table,)


def test_a_table_settles_a_doubt(tmp_path: Path) -> None:
    cases = [f"{site}_{n:02d}" for site in (1, 2) for n in range(5)]
    assert len(read_patients(cases).patients) == 2
    table = write(tmp_path / "cases.csv", "case,patient", *(f"{case},p{case}" for case in cases))
    cohort = read_patients(cases, [table])
    assert len(cohort.patients) == 10
    assert cohort.doubts == ()


def test_a_list_of_patients_rules_over_names(tmp_path: Path) -> None:
    table = write(tmp_path / "patients.csv", "patient,group", "1_01,NOR", "1_02,DCM", "heart_7,NOR", "7,HCM")
    cohort = read_patients(["1_01", "1_02", "pre_heart_7_x", "patient003_ED"], [table])
    assert cohort.by_case == {"1_01": "1_01", "1_02": "1_02", "pre_heart_7_x": "heart_7", "patient003_ED": "patient003"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("case,patient", "a_ED,a"), r"cases.csv: its cases \(a_ED, ...\) fit no case; the 2 cases are called p1_ED"),
        (("patient,group", "a,NOR"), r"its patients \(a, ...\) fit no case; .* Correct the names in the table"),
        (("who,group", "p1,NOR"), "columns who, group; expected `patient`"),
        (("case,patient", "p1_ED,a", "p1_ED,b"), "case p1_ED is listed as a  and as b "),
        (("case,patient,phase", "p1_ED,a,MID"), "a has the phase 'MID'; expected ED, ES or an empty cell"),
        (("case,patient,frame", "p1_ED,a,x"), "a has the frame 'x'; expected a whole number"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_patients(["p1_ED", "p1_ES"], [write(tmp_path / "cases.csv", *lines)])
