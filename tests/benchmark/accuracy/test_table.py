"""Records and tables of made-up results, with numbers worked out by hand and tests by enumeration."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.benchmark.accuracy.page import RESULTS, SUMMARY, between_marks, marks, replace_tables
from nnunet_cardiac.benchmark.accuracy.result_line import CASES, COUNTS, EF_INDICES, read_records, store
from nnunet_cardiac.benchmark.accuracy.statistics import compare_with_reference, rankings
from nnunet_cardiac.benchmark.accuracy.table import NO_RUNS, make_summary, make_tables
from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
PATIENTS = 8
STRUCTURES = ("RV", "MYO", "LV")
#: Of the row `crocnet`: larger for every patient.
GAINS = np.arange(1, PATIENTS + 1) / 100
#: Of the row `guided`: as often smaller as larger.
MIXED = np.array([1, -2, 3, -4, 5, -6, 7, -8]) / 100


def record(system, dice, *, seed=0, recipe="short", budget="cpu-small", missing=False, **other) -> dict:
    """A run whose Dice of patient p is `dice[p]`, a tenth less at ES, 0.05 more for LV; HD95 is 12 times its lack."""
    rows = []
    for patient in range(PATIENTS):
        for phase in ("ED", "ES"):
            for structure in STRUCTURES:
                value = dice[patient] - 0.1 * (phase == "ES") + 0.05 * (structure == "LV")
                lost = missing and (patient, phase, structure) == (0, "ES", "RV")
                cell = [patient + 1, phase, structure, 0.0 if lost else value, None if lost else 12 * (1 - value)]
                rows.append([*cell, int(lost), value - 0.1, value, value - 0.2, 3 * (structure == "RV"), 0, 0])
    stage = {
        "configuration": "2d",
        "networks": 1,
        "slices": 12_000,
        "step_ms": 100.0,
        "batch": 8,
        "slices_per_sample": 1.0,
        "gflop_slice": 2.5,
        "peak_gib": None,
    }
    base = {
        "system": system,
        "recipe": recipe,
        "budget": budget,
        "coarse_labels": "simulated",
        "fold": 0,
        "seed": seed,
        "data": "abc",
        "hardware_class": "CPU",
        "hardware": {"processor": "Intel(R) Xeon(R) Processor"},
        "test_patients": PATIENTS,
        "test_volumes": 2 * PATIENTS,
        "training_volumes": 128,
        "stages": [stage],
        "slices": 12_000,
        "parameters": 5_000_000,
        "training_seconds": 900.0,
        "prediction_seconds": 32.0,
        "cases": {"columns": [*CASES, *COUNTS], "rows": rows},
        "patients": {
            "columns": ["patient", "group", *EF_INDICES],
            "rows": [[p + 1, "NOR", 4.0 * (-1) ** p, None] for p in range(PATIENTS)],
        },
    }
    return {**base, **other}


@pytest.fixture
def records() -> list[dict]:
    base = np.full(PATIENTS, 0.7)
    return [
        record("nnunet-2d", base, recipe="nnunet"),
        # Seed 1 of the reference is better, and must not be held against a row that has seed 0 alone.
        record("nnunet-2d", base + 0.1, recipe="nnunet", seed=1),
        record("crocnet", base + GAINS - 0.005),
        record("crocnet", base + 0.1 + GAINS + 0.005, seed=1, hardware={"processor": "AMD EPYC"}),
        record("guided", base + MIXED),
    ]


def exact_p(differences) -> float:
    """Two-sided p of the signed-rank test: share of all sign patterns that are as extreme."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    total = ranks.sum()
    centre = total / 2

    def distance(signs):
        return abs(ranks[np.array(signs) > 0].sum() - centre)

    observed = distance(np.sign(differences))
    patterns = list(product((-1, 1), repeat=len(ranks)))
    return sum(distance(signs) >= observed - 1e-9 for signs in patterns) / len(patterns)


def test_means_and_order(records) -> None:
    ((key, entries),) = rankings(records).items()
    assert key == ("cpu-small", "CPU", "abc")
    assert [entry.system for entry in entries] == ["crocnet", "nnunet-2d", "guided"]
    # crocnet: 0.7 + mean gain 0.045 + half of 0.1, less 0.05 for ES, and a third of 0.05 for LV.
    assert entries[0].mean_dice() == pytest.approx(0.7 + 0.045 + 0.05 - 0.05 + 0.05 / 3)
    assert entries[2].by_structure("dice")["RV"] == pytest.approx(0.7 - 0.005 - 0.05)


def test_tests_by_enumeration(records) -> None:
    ((_, entries),) = rankings(records).items()
    tests = compare_with_reference(entries).set_index(["endpoint", "entry"])
    dice = tests.loc["mean Dice"]
    ours, other = dice.loc["crocnet short simulated"], dice.loc["guided short simulated"]
    assert (ours["n_patients"], ours["runs"], other["runs"]) == (PATIENTS, 2, 1)
    assert ours["difference"] == pytest.approx(GAINS.mean())
    assert other["difference"] == pytest.approx(MIXED.mean())
    assert ours["wilcoxon_p"] == pytest.approx(exact_p(GAINS)) == pytest.approx(2 / 2**PATIENTS)
    assert other["wilcoxon_p"] == pytest.approx(exact_p(MIXED))
    assert ours["holm_p"] == pytest.approx(2 * 2 / 2**PATIENTS)
    assert other["holm_p"] == pytest.approx(exact_p(MIXED))
    far = tests.loc["mean HD95 (mm)"].loc["crocnet short simulated"]
    assert far["difference"] == pytest.approx(-12 * GAINS.mean())


def test_a_missing_structure_counts_and_has_no_distance() -> None:
    base = np.full(PATIENTS, 0.7)
    found = [record("nnunet-2d", base, recipe="nnunet"), record("halsr", base, missing=True)]
    ((_, entries),) = rankings(found).items()
    tests = compare_with_reference(entries).set_index("endpoint")
    assert tests.loc["mean Dice", "n_patients"] == PATIENTS
    # The other phase still has a distance, so the patient has one, too.
    assert tests.loc["mean HD95 (mm)", "n_patients"] == PATIENTS
    assert tests.loc["mean Dice", "difference"] == pytest.approx(-0.6 / 2 / 3 / PATIENTS)
    text = make_tables(found)
    (line,) = [line for line in text.splitlines() if "`halsr`" in line]
    assert "| 1.0 |" in line  # one structure of one volume without a distance


def test_the_text(records) -> None:
    text = make_tables(records)
    assert "### Budget `cpu-small`, CPU" in text
    overview = next(line for line in text.splitlines() if line.startswith("| 1 | CroCNet | `crocnet` | short | 2 |"))
    # Dice RV = MYO = 0.745, LV = 0.795, mean 0.762; HD95 = 12 (1 - Dice).
    assert "| 0.745 | 0.745 | 0.795 | 0.762 | 3.1 | 3.1 | 2.5 | 2.9 | 0.0 | 0.645 | 4.0 | – | 1.0 |" in overview
    tested = next(line for line in text.splitlines() if line.startswith("| CroCNet | short | 2 | 8 |"))
    assert "+0.045 (" in tested
    assert "| **0.008** | **0.016** |" in tested  # 2 / 2^8 by itself, and corrected for two rows
    mixed = next(line for line in text.splitlines() if line.startswith("| Seg (AS) + Ref (AS w/ MT) | short | 1 | 8 |"))
    assert "**" not in mixed
    cost = next(line for line in text.splitlines() if line.startswith("| CroCNet | short | 1 | 12 000 | 15.0 | 5.00 |"))
    assert cost.endswith("| 2.5 | 12.5 | 2.00 | – | AMD EPYC, Intel Xeon | 0/0, 0/1 |")


def test_the_summary_has_the_numbers_and_the_corrected_p_of_the_tables(records) -> None:
    text = make_summary(records)
    lines = text.splitlines()
    ours = next(line for line in lines if line.startswith("| 1 | CroCNet | short | 2 |"))
    # As in test_the_text; all three endpoints have the same differences, so the same p.
    p = "**0.016**"
    assert ours == f"| 1 | CroCNet | short | 2 | 0.762 | {p} | 2.9 | {p} | 0.645 | {p} | 4.0 | – | 15 |"
    base = next(line for line in lines if line.startswith("| 2 | nnU-Net 2d | nnunet | 2 |"))
    assert [cell.strip() for cell in base.split("|")[6:12:2]] == ["–", "–", "–"]  # nothing is tested against itself
    assert "### Budget `cpu-small`, CPU" in text
    assert make_summary([]) == NO_RUNS
    assert "†" in make_summary([{**one, "date": "2026-11-29T23:59:00+00:00"} for one in records])


def test_runs_of_before_training_and_prediction_agreed_are_marked(records) -> None:
    assert "†" not in make_tables(records)
    old = [{**one, "date": "2026-11-29T23:59:00+00:00"} for one in records]
    text = make_tables(old)
    assert "| 1 | CroCNet † | `crocnet` |" in text
    assert "| nnU-Net 2d | `nnunet-2d` |" in text  # trained and predicted by nnU-Net's own code
    assert "† Measured before 2026-11-30: the networks were trained on other windows" in text


def test_budgets_hardware_and_data_are_ranked_apart(records) -> None:
    others = [{"budget": "smoke"}, {"hardware_class": "NVIDIA X"}, {"data": "def"}]
    mixed = records + [record("crocnet", np.full(PATIENTS, 0.9), **other) for other in others]
    assert len(rankings(mixed)) == 4
    assert len(rankings(mixed)["cpu-small", "CPU", "abc"]) == 3
    assert "No row can be tested against nnU-Net 2d yet" in make_tables(mixed[-1:])
    assert make_tables([]) == NO_RUNS


def test_a_run_is_written_once_or_replaced(tmp_path: Path, records) -> None:
    path = tmp_path / "runs.jsonl"
    for one in records:
        store(path, one)
    assert read_records(path) == records
    with pytest.raises(UserError, match=r"system guided, recipe short, .*, seed 0.* is there already; --overwrite"):
        store(path, records[-1])
    better = record("crocnet", np.full(PATIENTS, 0.9))
    store(path, better, overwrite=True)
    assert read_records(path) == [*records[:2], better, *records[3:]]
    assert [file.name for file in tmp_path.iterdir()] == ["runs.jsonl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", r"line 1: no JSON"), ('{"system": "crocnet"}\n', "line 1: no run of nnunet_cardiac benchmark accuracy")],
)
def test_other_files_are_refused(tmp_path: Path, content, message) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_records(path)
    with pytest.raises(UserError, match="the folder does not exist"):
        read_records(tmp_path / "no" / "runs.jsonl")


def test_a_run_that_stands_twice_is_refused(tmp_path: Path, records) -> None:
    path = tmp_path / "runs.jsonl"
    for one in records:
        store(path, one)
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(UserError, match=rf"line {len(records) + 1}: system .* is in line 2 already; remove one"):
        read_records(path)


def test_the_marks_of_a_page_say_which_tables_it_takes(tmp_path: Path) -> None:
    page, parts = tmp_path / "page.md", {SUMMARY: "one", RESULTS: "every"}
    begin, end = marks(RESULTS)
    assert (begin, end) == ("<!-- results: begin -->", "<!-- results: end -->")  # those of pages made before
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    replace_tables(page, parts)
    assert page.read_text() == f"before\n{begin}\n\nevery\n\n{end}\nafter\n"
    first, last = marks(SUMMARY)
    page.write_text(f"{begin}{end}{first}{last}")
    replace_tables(page, parts)
    assert (between_marks(page, SUMMARY), between_marks(page, RESULTS)) == ("one", "every")
    page.write_text(f"no marks but {begin}")
    with pytest.raises(UserError, match="nothing says where the tables go"):
        replace_tables(page, parts)
    with pytest.raises(UserError, match="no such file"):
        replace_tables(tmp_path / "other.md", parts)


def test_one_command_writes_both_pages(tmp_path: Path, records, capsys) -> None:
    results, first, second = tmp_path / "runs.jsonl", tmp_path / "first.md", tmp_path / "second.md"
    for one in records:
        store(results, one)
    first.write_text("".join(marks(SUMMARY)))
    second.write_text("".join(marks(RESULTS)))
    assert main(["benchmark", "table", "-o", str(first), "-o", str(second), str(results)]) == 0
    assert capsys.readouterr().out == "".join(f"Table of {results} written to {page}\n" for page in (first, second))
    assert between_marks(first, SUMMARY) == make_summary(records)
    assert between_marks(second, RESULTS) == make_tables(records)


@pytest.mark.parametrize(
    ("page", "part", "make"),
    [("accuracy.md", SUMMARY, make_summary), ("accuracy_details.md", RESULTS, make_tables)],
)
def test_the_documented_tables_are_those_of_the_committed_results(page, part, make) -> None:
    found = read_records(ROOT / "docs" / "accuracy.jsonl")
    assert between_marks(ROOT / "docs" / page, part) == make(found), (
        "nnunet_cardiac benchmark table docs/accuracy.jsonl -o docs/accuracy.md -o docs/accuracy_details.md"
    )


def test_committed_results_name_no_patient_and_no_machine() -> None:
    text = (ROOT / "docs" / "accuracy.jsonl").read_text(encoding="utf-8")
    for line in text.splitlines():
        one = json.loads(line)
        assert all(isinstance(row[0], int) for row in one["cases"]["rows"])
    assert "patient0" not in text
    assert "/tmp" not in text
