"""A stack in one pass beside nnU-Net's networks: what is built and what is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nnunet_cardiac import cli
from nnunet_cardiac.benchmark.speed.stacks import (
    FULL,
    SINGLE,
    SLICE_BY_SLICE,
    VOLUME,
    WAYS,
    StacksOptions,
    build_way,
    measure_stacks,
    volume_architecture,
)

SMALL = StacksOptions(slices=3, size=(64, 64), rounds=1, memory=False)


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_give_logits_of_the_stack(way: str) -> None:
    network, x = build_way(way, SMALL)
    with torch.inference_mode():
        assert network(x).shape == (1, 4, 3, 64, 64)


def test_nnunets_volume_network_is_that_of_acdc() -> None:
    plan = volume_architecture(10, (256, 224))["arch_kwargs"]
    assert plan["features_per_stage"] == [32, 64, 128, 256, 320, 320]
    assert [tuple(s) for s in plan["strides"]] == [(1, 1, 1), *[(1, 2, 2)] * 2, (2, 2, 2), *[(1, 2, 2)] * 2]
    assert [tuple(k) for k in plan["kernel_sizes"]] == [(1, 3, 3)] * 2 + [(3, 3, 3)] * 4


def test_slice_by_slice_is_the_network_on_each_slice() -> None:
    network, x = build_way(SLICE_BY_SLICE, SMALL)
    with torch.inference_mode():
        torch.testing.assert_close(network(x)[:, :, 1], network.network(x[:, :, 1]))


def test_operations_grow_with_the_slices() -> None:
    few, many = (measure_stacks(replace(SMALL, slices=n), progress=False) for n in (2, 6))
    gflop = {way: [next(r["gflop"] for r in run if r["way"] == way) for run in (few, many)] for way in WAYS}
    assert gflop[SLICE_BY_SLICE][1] == pytest.approx(3 * gflop[SLICE_BY_SLICE][0])
    assert gflop[SINGLE][1] == pytest.approx(3 * gflop[SINGLE][0])
    assert gflop[FULL][1] == pytest.approx(3 * gflop[FULL][0], rel=0.01)
    assert gflop[VOLUME][1] > gflop[VOLUME][0]


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = [
        "benchmark",
        "stacks",
        "-device",
        "cpu",
        "--rounds",
        "1",
        "--no-memory",
        "--quiet",
        "--patch",
        "64",
        "64",
    ]
    assert cli.main([*command, "--slices", "1", "2", "--json", str(tmp_path / "runs.json")]) == 0
    printed = capsys.readouterr().out
    assert "1 slices of 64 x 64" in printed
    assert "GFLOP: nnU-Net 2d, slice by slice " in printed
    runs = json.loads((tmp_path / "runs.json").read_text())
    assert [run["arguments"]["slices"] for run in runs] == [1, 2]
    assert cli.main(["benchmark", "stacks", "--patch", "100", "64"]) != 0
    assert "multiples of 16" in capsys.readouterr().err
