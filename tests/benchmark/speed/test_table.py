"""Numbers derived from a measurement, and their table."""

import pytest

from nnunet_cardiac.benchmark.speed.measurement import Measurement
from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork
from nnunet_cardiac.benchmark.speed.table import speed_tables

PLAIN = Measurement(
    subject=MeasuredNetwork("nnU-Net", "2d", 1, (10, 20)),
    batch=4,
    parameters=20_000_000,
    forward_flop=5e9,
    step_multiply_adds=7.5e9,
    forward_s=(0.2, 0.1, 0.6),
    step_s=(1.0, 0.5, 2.0),
    peak_bytes=3 * 2**20,
)
OURS = Measurement(
    subject=MeasuredNetwork("OursTrainer", "2d_crop", 1, (10, 20)),
    batch=4,
    parameters=1_648_000,
    forward_flop=2.5e9,
    step_multiply_adds=12e9,
    forward_s=(0.1, 0.3, 0.05),
    step_s=(4.0, 3.0, 2.5),
    peak_bytes=None,
)


def test_derived_numbers():
    found = OURS.as_dict(PLAIN)
    assert found["input"] == [1, 10, 20]
    assert found["step"]["seconds"] == [4.0, 3.0, 2.5]
    assert found["step"]["median_s"] == 3.0
    assert found["step"]["fastest_s"] == 2.5
    assert found["step"]["s_per_image"] == 0.75
    assert found["step"]["s_per_pixel"] == pytest.approx(3.0 / (4 * 10 * 20))
    assert found["step"]["ratio_of_medians"] == 3.0
    assert found["step"]["ratio_of_fastest"] == 5.0
    assert found["forward"]["ratio_of_medians"] == 0.5


TABLES = """\
Size, arithmetic of one image, memory of training
network                    input  M parameters  GFLOP forward  GMAC step      peak MiB
nnU-Net 2d           1 x 10 x 20        20.000           5.00       7.50             3
OursTrainer 2d_crop  1 x 10 x 20         1.648           2.50      12.00  not measured

Forward pass of a batch
network                    input  median ms  fastest ms  ms/image  ns/pixel  x nnU-Net
nnU-Net 2d           1 x 10 x 20      200.0       100.0      50.0  250000.0       1.00
OursTrainer 2d_crop  1 x 10 x 20      100.0        50.0      25.0  125000.0       0.50

Training step with a batch
network                    input  median ms  fastest ms  ms/image   ns/pixel  x nnU-Net
nnU-Net 2d           1 x 10 x 20     1000.0       500.0     250.0  1250000.0       1.00
OursTrainer 2d_crop  1 x 10 x 20     3000.0      2500.0     750.0  3750000.0       3.00"""


def test_tables_are_aligned():
    assert speed_tables([PLAIN.as_dict(PLAIN), OURS.as_dict(PLAIN)]) == TABLES
