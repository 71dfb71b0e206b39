"""What a trainer says of folds and data before it trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.patients.splits import patient_splits
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer

CASES = [f"patient{n:03d}-{phase}" for n in range(1, 7) for phase in ("dia", "sys")]


@pytest.fixture
def make_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CroCNetTrainer]:
    """Function that makes a trainer of a preprocessed data set without building its network."""
    folder = tmp_path / "Dataset027_ACDC"
    for part in ("gt_segmentations", "nnUNetPlans_2d"):
        (folder / part).mkdir(parents=True)
    for case in CASES:
        (folder / "gt_segmentations" / f"{case}.nii.gz").touch()
        (folder / "nnUNetPlans_2d" / f"{case}.b2nd").touch()
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setattr("nnunetv2.training.nnUNetTrainer.nnUNetTrainer.nnUNetTrainer.do_split", lambda self: ([], []))

    def make(fold: int | str, simulated: bool = False) -> CroCNetTrainer:
        trainer = object.__new__(CroCNetTrainer)
        model = tmp_path / "results" / "CroCNetTrainer__nnUNetPlans__2d"
        configuration = {"coarse_labels": "simulated" if simulated else "predicted"}
        vars(trainer).update(
            fold=fold,
            is_ddp=False,
            local_rank=0,
            device=SimpleNamespace(type="cpu"),
            configuration_name="2d_crop",
            preprocessed_dataset_folder_base=str(folder),
            folder_with_segs_from_previous_stage=str(model / "predicted_next_stage" / "2d_crop"),
            plans_manager=SimpleNamespace(plans_name="nnUNetPlans", dataset_name="Dataset027_ACDC"),
            configuration_manager=SimpleNamespace(
                data_identifier="nnUNetPlans_2d", previous_stage_name="2d", configuration=configuration
            ),
            said=[],
        )
        trainer.print_to_log_file = lambda *words, **_: trainer.said.append(" ".join(map(str, words)))
        return trainer

    return make


def splits_of(trainer: CroCNetTrainer) -> Path:
    return Path(trainer.preprocessed_dataset_folder_base) / "splits_final.json"


def test_folds_are_drawn_by_patient_once(make_trainer) -> None:
    trainer = make_trainer(0)
    trainer.do_split()
    assert read_json(splits_of(trainer)) == patient_splits(CASES)
    said = "6 patients of 12 cases, such as patient001: patient001-dia, patient001-sys"
    assert [said in line for line in trainer.said] == [True]
    trainer.do_split()
    assert len(trainer.said) == 1


def test_a_table_of_the_raw_data_set_rules(make_trainer, tmp_path: Path) -> None:
    trainer = make_trainer(0)
    raw = tmp_path / "raw" / "Dataset027_ACDC"
    raw.mkdir(parents=True)
    owner = {case: f"heart{i % 5}" for i, case in enumerate(CASES)}
    (raw / "cases.csv").write_text("case,patient\n" + "".join(f"{c},{p}\n" for c, p in owner.items()))
    trainer.do_split()
    for fold in read_json(splits_of(trainer)):
        assert not {owner[case] for case in fold["train"]} & {owner[case] for case in fold["val"]}


def test_a_table_that_does_not_fit_stops_the_drawing_of_folds_alone(make_trainer, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "Dataset027_ACDC"
    raw.mkdir(parents=True)
    (raw / "patients.csv").write_text("patient\nSmith\n")
    with pytest.raises(UserError, match=r"its patients \(Smith, ...\) fit no case"):
        make_trainer(0).do_split()
    write_json(splits_of(make_trainer(0)), patient_splits(CASES, 3))
    trainer = make_trainer(0)
    trainer.do_split()
    assert "fit no case" in trainer.said[0]


@pytest.mark.parametrize("number", [3, 5, 6])
def test_a_fold_that_there_is_not(make_trainer, number: int) -> None:
    write_json(splits_of(make_trainer(0)), patient_splits(CASES, number))
    make_trainer(number - 1).do_split()
    make_trainer("all").do_split()
    with pytest.raises(UserError, match=rf"Fold {number}: .* has {number} folds, 0 to {number - 1}"):
        make_trainer(number).do_split()


def test_missing_data_and_unknown_cases(make_trainer) -> None:
    trainer = make_trainer(0)
    folder = splits_of(trainer).parent / "nnUNetPlans_2d"
    (folder / f"{CASES[0]}.b2nd").unlink()
    with pytest.raises(UserError, match=r"2d_crop lacks 1 of 12 cases .*nnUNetv2_preprocess -d 27 -c 2d_crop"):
        trainer.do_split()
    write_json(splits_of(trainer), [{"train": CASES[2:], "val": ["patient9"]}])
    with pytest.raises(UserError, match=r"fold 0 names 1 cases that the data set does not have \(patient9\)"):
        trainer.do_split()
    write_json(splits_of(trainer), [{"train": CASES[4:], "val": CASES[2:4]}])
    trainer.do_split()
    assert "2 cases of 1 patients (patient001) are in no fold" in trainer.said[0]


def test_commands_for_missing_predictions_name_the_folds_of_the_file(make_trainer) -> None:
    folds = patient_splits(CASES, 6)
    write_json(splits_of(make_trainer(0)), folds)
    missing = [folds[5]["val"][0], folds[2]["val"][1]]
    for fold in (0, "all"):
        with pytest.raises(UserError) as refused:
            make_trainer(fold)._require_coarse_predictions([*missing])
        commands = [line.strip() for line in str(refused.value).splitlines() if "nnUNetv2_train" in line]
        assert [line.split()[1:4] for line in commands] == [
            ["Dataset027_ACDC", "2d", "2"],
            ["Dataset027_ACDC", "2d", "5"],
        ]
    with pytest.raises(UserError) as refused:
        make_trainer("all", simulated=True)._require_coarse_predictions([*missing])
    assert "nnUNetv2_train Dataset027_ACDC 2d all" in str(refused.value)


def test_cases_that_no_fold_validates_have_no_command(make_trainer) -> None:
    write_json(splits_of(make_trainer(0)), [{"train": CASES[:2], "val": CASES[2:]}])
    with pytest.raises(UserError, match=r"splits_final\.json validates these cases in no fold; add them to one"):
        make_trainer(0)._require_coarse_predictions(CASES[:1])
