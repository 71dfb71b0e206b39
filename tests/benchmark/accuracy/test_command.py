"""`nnunet_cardiac benchmark accuracy`: what is refused, and rows from data to table on the phantom."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nnunet_cardiac import cli
from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS
from nnunet_cardiac.benchmark.accuracy.result_line import read_records
from nnunet_cardiac.benchmark.accuracy.rows import RECIPES, ROWS
from nnunet_cardiac.benchmark.accuracy.workspace import Run
from nnunet_cardiac.devices import lent_cores
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset

ACCURACY = ["benchmark", "accuracy", "--quiet"]


def test_the_list_names_everything(capsys) -> None:
    assert cli.main([*ACCURACY, "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in (*ROWS, *BUDGETS, *RECIPES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name a row with --system and a budget with --budget; --list shows them"),
        (["--system", "unet", "--budget", "smoke"], "--system unet: no such row"),
        (["--system", "crocnet", "--budget", "huge"], "--budget huge: no such budget"),
        (["--system", "nnunet-2d", "--budget", "smoke", "--recipe", "short"], "is trained with nnunet; a baseline"),
        (["--system", "crocnet", "--budget", "smoke", "--results", "no/r.jsonl"], "the folder does not exist"),
        (["--system", "crocnet", "--budget", "smoke", "--results", "r.jsonl"], "Name the one to copy with --data"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(tmp_path, monkeypatch, capsys, options, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*ACCURACY, *options]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_gpu_budget_needs_one(monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main([*ACCURACY, "--system", "nnunet-2d", "--budget", "gpu-10min"]) == 2
    assert "never ranked together" in " ".join(capsys.readouterr().err.split())


def test_folds_lie_apart_unless_they_need_each_other(tmp_path: Path) -> None:
    def run(coarse, fold):
        return Run(tmp_path, "crocnet", "smoke", "short", coarse, fold, 3, 2)

    first, last = ROWS["crocnet"].stages
    assert run("simulated", 0).trained != run("simulated", 1).trained
    assert run("predicted", 0).trained == run("predicted", 1).trained
    assert run("simulated", 1).folds(first) == [1]
    assert run("predicted", 1).folds(first) == [0, 1, 2, 3, 4]
    assert run("predicted", 1).folds(last) == [1]
    environ = run("simulated", 0).environ({"HOME": "x"})
    threads = str(min(2, lent_cores()))
    assert (environ["NNUNET_CARDIAC_SEED"], environ["OMP_NUM_THREADS"], environ["HOME"]) == ("3", threads, "x")
    assert environ["nnUNet_def_n_proc"] == environ["nnUNet_n_proc_DA"] == threads


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom data set, and the folder of all runs beside it."""
    base = tmp_path_factory.mktemp("accuracy")
    write_nnunet_dataset(
        base / "raw", 950, "Phantom", patients=5, test_patients=1, seed=7, matrix=(80, 80), progress=False
    )
    return base


def run_row(place: Path, system: str, *options: str) -> int:
    words = [*ACCURACY, "--system", system, "--budget", "smoke", "--data", str(place / "raw" / "Dataset950_Phantom")]
    return cli.main(
        [*words, "-o", str(place / "runs"), "--results", str(place / "r.jsonl"), "--threads", "2", *options]
    )


@pytest.mark.slow
def test_rows_through_stock_commands(place: Path, capsys) -> None:
    for system in ("nnunet-2d", "crocnet"):
        assert run_row(place, system) == 0, capsys.readouterr().err
    one, two = read_records(place / "r.jsonl")
    assert [stage["configuration"] for stage in one["stages"]] == ["2d"]
    assert [stage["configuration"] for stage in two["stages"]] == ["2d", "2d_crop"]
    assert one["slices"] == BUDGETS["smoke"].samples
    assert [stage["slices"] for stage in two["stages"]] == [BUDGETS["smoke"].samples] * 2
    assert one["stages"][0]["steps"] == 4  # two epochs of two
    for record in (one, two):
        assert len(record["cases"]["rows"]) == 2 * 3
        assert {row[0] for row in record["cases"]["rows"]} == {1}
        assert 0 < record["training_seconds"] <= sum(stage["commands_seconds"] for stage in record["stages"])
        assert all(stage["gflop_slice"] > 0 for stage in record["stages"])
    trained = place / "runs" / "smoke" / "seed0_fold0"
    results = trained / "nnUNet_results" / "Dataset950_Phantom"
    baseline = read_json(results / "nnUNetTrainer_Budget__nnUNetNnunet__2d" / "plans.json")["configurations"]["2d"]
    assert "PlainConvUNet" in baseline["architecture"]["network_class_name"]
    log = trained / "log.txt"

    before = log.stat().st_size
    assert run_row(place, "nnunet-2d-largest") == 0  # shares everything with nnunet-2d
    assert run_row(place, "crocnet") == 2
    assert "is there already; --overwrite replaces it" in capsys.readouterr().err
    assert run_row(place, "crocnet", "--overwrite") == 0
    assert log.stat().st_size == before
    assert [record["system"] for record in read_records(place / "r.jsonl")] == [
        "nnunet-2d",
        "crocnet",
        "nnunet-2d-largest",
    ]
    assert cli.main(["benchmark", "table", str(place / "r.jsonl")]) == 0
    assert "| CroCNet | `crocnet` | short | 1 |" in capsys.readouterr().out

    done = results / "CroCNetTrainer_Budget__CroCNetShort__2d" / "fold_0" / "benchmark.json"
    content = read_json(done)
    write_json(done, {**content, "settings": {**content["settings"], "seed": 9}})
    assert run_row(place, "crocnet-first-stage") == 2
    assert "trained before with other settings (seed differ)" in capsys.readouterr().err
    write_json(done, content)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["halsr-no-hapm", "guided-as-mt", "dr-unet-full-pool-z", "dr-unet-end-to-end"])
def test_rows_of_the_other_systems(place: Path, capsys, system) -> None:
    assert run_row(place, system) == 0, capsys.readouterr().err
    record = read_records(place / "r.jsonl")[-1]
    assert record["system"] == system
    wanted = BUDGETS["smoke"].samples
    # Two epochs of whole steps of about twelve slices each come no nearer.
    assert all(wanted <= stage["slices"] <= 2 * wanted for stage in record["stages"])
