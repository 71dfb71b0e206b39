"""Two stages against one pass: what is compared is what prediction does."""

import json

import pytest
import torch

from nnunet_cardiac import cli
from nnunet_cardiac.benchmark.speed.localise_and_crop import StagesOptions, TwoStages, WholeVolume, measure_stages
from nnunet_cardiac.benchmark.speed.passes import passes_table

SMALL = StagesOptions((4, 32, 32), (4, 16, 16), (4, 16, 16), filters=2, rounds=2, memory=False)


def test_both_ways_give_logits_of_the_volume_and_agree_in_the_window() -> None:
    torch.manual_seed(0)
    whole, stages = WholeVolume(SMALL).eval(), TwoStages(SMALL).eval()
    stages.segmenter.inner.load_state_dict(whole.network.state_dict())
    x = torch.randn(1, 1, *SMALL.volume)
    with torch.inference_mode():
        found = stages(x)
        assert found.shape == whole(x).shape == (1, 4, 4, 32, 32)
        torch.testing.assert_close(found[..., 8:24, 8:24], whole.network(x[..., 8:24, 8:24]))
    assert found[:, 1:, :, :8].eq(-20).all()


def test_ratios_are_those_of_the_medians() -> None:
    whole, stages = measure_stages(SMALL, progress=False)
    assert (whole["time_ratio"], whole["memory_ratio"], whole["peak_bytes"]) == (1, None, None)
    assert stages["time_ratio"] == pytest.approx(sum(stages["seconds"]) / sum(whole["seconds"]))  # medians of two
    assert "two stages" in passes_table([whole, stages])


def test_from_the_command_line(tmp_path, capsys) -> None:
    sizes = ["--volume", "2", "16", "16", "--low", "2", "8", "8", "--window", "2", "8", "8", "--filters", "2"]
    command = ["benchmark", "stages", "-device", "cpu", "--rounds", "1", "--no-memory", "--quiet", *sizes]
    assert cli.main([*command, "--json", str(tmp_path / "runs.json")]) == 0
    assert "whole volume" in capsys.readouterr().out
    (run,) = json.loads((tmp_path / "runs.json").read_text())
    assert (run["benchmark"], run["arguments"]["volume"]) == ("stages", [2, 16, 16])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [(["--window", "16", "100", "128"], "multiples of 8"), (["--window", "16", "512", "128"], "no side larger")],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message, capsys) -> None:
    assert cli.main(["benchmark", "stages", *sizes]) != 0
    assert message in capsys.readouterr().err
