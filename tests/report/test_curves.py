from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.report.curves import TrainingCurve, curve_figure, read_training_log

# written by nnUNetTrainer.print_to_log_file of nnU-Net 2.8.1 with NumPy 2, blanks at line ends included
HEAD = """
#######################################################################
Please cite the following paper when using nnU-Net:
Isensee, F., Jaeger, P. F., Kohl, S. A., Petersen, J., & Maier-Hein, K. H. (2021). nnU-Net. Nature methods.
####################################################################### \n
This is the configuration used by this training:
Configuration name: 2d
 {'data_identifier': 'nnUNetPlans_2d', 'batch_size': 12, 'patch_size': [256, 224]} \n
2026-11-20 19:48:20.100000: Using splits from existing split file: splits_final.json 
2026-11-20 19:48:25.528478:  
"""  # noqa: W291
EPOCH = """2026-11-20 19:48:25.528730: Epoch {epoch} 
2026-11-20 19:48:25.528847: Current learning rate: 0.01 
2026-11-20 19:48:25: train_loss {train} 
2026-11-20 19:48:25.529114: val_loss {val} 
2026-11-20 19:48:25.529304: Pseudo dice [{dice}] 
2026-11-20 19:48:25.529364: Epoch time: {seconds} s 
2026-11-20 19:48:25.529384: Yayy! New best EMA pseudo Dice: 0.5 
2026-11-20 19:48:25.529384:  
"""  # noqa: W291
NUMPY_2 = "np.float64(0.5123), np.float32(nan), np.float64(1e-04)"


def epoch(number: int, train: float = -0.1, dice: str = NUMPY_2) -> str:
    return EPOCH.format(epoch=number, train=train, val=0.25, dice=dice, seconds=12.75)


def test_reads_epochs(tmp_path: Path) -> None:
    (tmp_path / "training_log_2026_11_20_19_48_20.txt").write_text(HEAD + epoch(0) + epoch(1, -0.4) + epoch(2, "nan"))
    curve = read_training_log(tmp_path)
    assert curve.epoch.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(curve.train_loss, [-0.1, -0.4, np.nan])
    np.testing.assert_array_equal(curve.val_loss, [0.25] * 3)
    np.testing.assert_array_equal(curve.pseudo_dice, [[0.5123, np.nan, 1e-4]] * 3)
    assert curve.seconds.sum() == pytest.approx(38.25)


def test_reads_numpy_1_and_one_class(tmp_path: Path) -> None:
    log = tmp_path / "training_log_2026_11_20_19_48_20.txt"
    log.write_text(epoch(0, dice="0.5, 0.25, nan"))
    np.testing.assert_array_equal(read_training_log(tmp_path).pseudo_dice, [[0.5, 0.25, np.nan]])
    log.write_text(epoch(0, dice="np.float64(0.75)"))
    assert read_training_log(tmp_path).pseudo_dice.tolist() == [[0.75]]


def test_resumed_training_overwrites_and_interrupted_epochs_drop_out(tmp_path: Path) -> None:
    cut, again = (epoch(number, -9.0).split("2026-11-20 19:48:25.529304")[0] for number in (2, 3))
    (tmp_path / "training_log_2026_9_30_23_00_00.txt").write_text(epoch(0) + epoch(1, -0.2) + cut)
    # October sorts before September by name
    (tmp_path / "training_log_2026_10_1_08_00_00.txt").write_text(HEAD + epoch(1, -0.3) + epoch(2, -0.5) + again)
    curve = read_training_log(tmp_path)
    assert curve.epoch.tolist() == [0, 1, 2]
    assert curve.train_loss.tolist() == [-0.1, -0.3, -0.5]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no training_log_\*\.txt; expected the fold folder"):
        read_training_log(tmp_path)
    (tmp_path / "training_log_2026_11_20_19_48_20.txt").write_text(HEAD)
    with pytest.raises(UserError, match=r"training_log_2026_11_20_19_48_20\.txt holds no complete epoch"):
        read_training_log(tmp_path)


def test_figure_names_the_classes(curve: TrainingCurve) -> None:
    losses, dice = curve_figure(curve, ["RV", "MYO", "LV"]).axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    assert [line.get_label() for line in dice.lines] == ["RV", "MYO", "LV"]
    np.testing.assert_array_equal(dice.lines[2].get_ydata(), curve.pseudo_dice[:, 2])
    unnamed = curve_figure(curve, ["LA"]).axes[1]
    assert [line.get_label() for line in unnamed.lines] == ["class 1", "class 2", "class 3"]


def test_figure_of_one_epoch_has_marks(curve: TrainingCurve) -> None:
    first = TrainingCurve(*(np.asarray(values)[:1] for values in vars(curve).values()))
    assert {line.get_marker() for axes in curve_figure(first).axes for line in axes.lines} == {"o"}
