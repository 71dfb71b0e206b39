"""Folders of cases: outputs, resume, failures that stay alone, nothing half-written, nothing of the patient."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.files import read_json
from nnunet_cardiac.inference import CardiacPredictor, case


def write_image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array.astype(np.float32), isVector=False)
    image.SetSpacing((1.5, 1.4, 9.0, 30.0)[: array.ndim])
    sitk.WriteImage(image, path)


@pytest.fixture
def cine(heart: np.ndarray) -> np.ndarray:
    """Four frames (4, 3, 92, 77), each brighter than the last."""
    return np.stack([heart[:3] * (1 + 0.2 * t) + 5 * t for t in range(4)])


@pytest.fixture
def model(write_system: Callable[..., Path]) -> Path:
    return write_system("nnUNet")


@pytest.fixture
def predict(model: Path, tmp_path: Path) -> Callable[..., int]:
    """Run the command on `images`, writing into `out`."""

    def run(*options: object, images: Path = tmp_path / "images") -> int:
        words = ["predict", "-i", images, "-o", tmp_path / "out", "-m", model, "-device", "cpu", "--threads", 1]
        return main([str(word) for word in [*words, "--quiet", *options]])

    return run


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def labels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


def test_stack_and_cine(
    predict: Callable[..., int], model: Path, cine: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "images" / "a_0000.nii.gz", cine[1])
    write_image(tmp_path / "images" / "b.nii.gz", cine)
    assert predict("--precision", "fp32") == 0
    assert files(tmp_path / "out") == ["a.json", "a.nii.gz", "b.json", "b.nii.gz"]
    predictor = CardiacPredictor.from_folder(model, device="cpu", precision="fp32")
    spacing = (9.0, float(np.float32(1.4)), 1.5)
    frames = labels(tmp_path / "out" / "b.nii.gz")
    np.testing.assert_array_equal(labels(tmp_path / "out" / "a.nii.gz"), frames[1])
    for frame, image in zip(frames, cine, strict=True):
        np.testing.assert_array_equal(frame, predictor.predict(image, spacing))
    sidecar = read_json(tmp_path / "out" / "b.json")
    lv = [float((frame == 3).sum()) * 9 * 1.4 * 1.5 / 1000 for frame in frames]
    np.testing.assert_allclose(sidecar["volumes_ml"]["LV"], lv, atol=1e-3)
    assert sidecar["phases"] == {"ED": int(np.argmax(lv)) + 1, "ES": int(np.argmin(lv)) + 1}
    assert sidecar["model"]["stages"][0]["configuration"] == "2d"
    assert {"read", "predict", "write"} == set(sidecar["seconds"])
    assert "2 done, 0 skipped, 0 failed" in capsys.readouterr().out


def test_phases_can_be_given(predict: Callable[..., int], cine: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "b.nii.gz", cine)
    assert predict("--ed", 2, "--es", 3, "--indices") == 0
    sidecar = read_json(tmp_path / "out" / "b.json")
    assert sidecar["phases"] == {"ED": 2, "ES": 3}
    edv, esv = (sidecar["volumes_ml"]["LV"][frame] for frame in (1, 2))
    table = (tmp_path / "out" / "indices.csv").read_text().splitlines()
    assert table[0] == "case,index,unit,value"
    assert f"b,LV EDV,mL,{edv:.2f}" in table
    assert f"b,LV EF,%,{100 * (edv - esv) / edv:.2f}" in table
    assert f"b,LV mass,g,{1.05 * sidecar['volumes_ml']['MYO'][1]:.2f}" in table
    assert predict("--overwrite", "--ed", 7) == 1


def test_frames_in_files_of_their_own_are_one_heart(
    predict: Callable[..., int], cine: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for t in (0, 3):
        write_image(tmp_path / "images" / f"p1_frame{t + 1:02d}.nii.gz", cine[t])
    assert predict("--indices") == 0
    volumes = [read_json(tmp_path / "out" / f"p1_frame0{t}.json")["volumes_ml"]["LV"][0] for t in (1, 4)]
    table = (tmp_path / "out" / "indices.csv").read_text()
    assert f"p1,LV EDV,mL,{max(volumes):.2f}" in table
    assert f"p1,LV ESV,mL,{min(volumes):.2f}" in table
    assert "LV EDV" in capsys.readouterr().out


def test_existing_results(predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: Any) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", heart)
    assert predict() == 0
    assert predict() == 2
    assert "results of 1 cases exist (a). Add --resume" in capsys.readouterr().err
    before = (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns
    write_image(tmp_path / "images" / "b.nii.gz", heart)
    assert predict("--resume", "--indices") == 0
    assert "1 done, 1 skipped, 0 failed" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns == before
    assert "a,LV volume" in (tmp_path / "out" / "indices.csv").read_text()  # skipped cases are in the table, too
    assert predict("--overwrite") == 0
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns > before


def test_resume_repeats_what_was_interrupted(predict: Callable[..., int], heart: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", heart)
    assert predict() == 0
    whole = (tmp_path / "out" / "a.nii.gz").read_bytes()
    record = tmp_path / "out" / "a.json"
    record.rename(record.with_name(".a.json.99999.part"))  # takes its name when all else is written
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"half")
    assert predict("--resume") == 0
    assert files(tmp_path / "out") == ["a.json", "a.nii.gz"]
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == whole


@pytest.mark.slow
def test_a_killed_run_is_resumed(model: Path, heart: np.ndarray, tmp_path: Path) -> None:
    for name in "abcdefgh":
        write_image(tmp_path / "images" / f"{name}.nii.gz", np.concatenate([heart] * 3))

    def command(output: str, *options: str) -> list[str]:
        words = ["predict", "-i", tmp_path / "images", "-o", tmp_path / output, "-m", model, "-device", "cpu"]
        return [sys.executable, "-m", "nnunet_cardiac.cli", *map(str, words), "--threads", "1", *options]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("out"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list((tmp_path / "out").glob("*.json")):
        time.sleep(0.005)
    process.kill()
    process.wait()
    finished = files(tmp_path / "out")
    assert 0 < len([name for name in finished if name.endswith(".json")]) < 8
    (tmp_path / "out" / ".h.nii.gz.99999.part").write_bytes(b"half")  # whether or not the kill left one
    subprocess.run(command("out", "--resume"), check=True, capture_output=True)
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    for name in "abcdefgh":
        assert (tmp_path / "out" / f"{name}.nii.gz").read_bytes() == (
            tmp_path / "whole" / f"{name}.nii.gz"
        ).read_bytes()


def test_resume_refuses_results_of_another_model(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", heart)
    assert predict() == 0
    assert predict("--resume", "--precision", "fp32") == 1
    assert "made by another model or with other options" in capsys.readouterr().out


def test_resume_refuses_results_of_another_image(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", heart)
    assert predict() == 0
    write_image(tmp_path / "images" / "a.nii.gz", heart + 1)
    assert predict("--resume") == 1
    assert "made from another image" in capsys.readouterr().out
    write_image(tmp_path / "images" / "a.nii.gz", heart)
    assert predict("--resume") == 0


def test_one_failure_stays_alone(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", np.where(heart > 200, np.nan, heart))
    (tmp_path / "images" / "b.nii.gz").write_bytes(b"no image at all")
    write_image(tmp_path / "images" / "c.nii.gz", np.zeros_like(heart))
    write_image(tmp_path / "images" / "d.nii.gz", heart)
    assert predict() == 1
    out = capsys.readouterr().out
    assert "a.nii.gz: " in out
    assert "are not finite" in out
    assert "b.nii.gz: " in out
    assert "zero everywhere" in out
    assert "1 done, 0 skipped, 3 failed" in out
    assert files(tmp_path / "out") == ["d.json", "d.nii.gz"]


def test_a_full_disk_leaves_nothing_behind(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name in "ab":
        write_image(tmp_path / "images" / f"{name}.nii.gz", heart)
    write_json = case.write_json

    def full(path: Path, content: object) -> None:
        if path.name == "a.json":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_json(path, content)

    monkeypatch.setattr(case, "write_json", full)
    assert predict() == 1
    assert files(tmp_path / "out") == ["b.json", "b.nii.gz"]
    assert "a.json: No space left on device" in capsys.readouterr().out


def test_parts_share_the_cases(predict: Callable[..., int], heart: np.ndarray, tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.nii.gz", heart[:1])
    assert predict("--num-parts", 2, "--part-id", 1, "--indices") == 0
    assert files(tmp_path / "out") == ["b.json", "b.nii.gz", "indices_part1of2.csv"]
    assert predict("--num-parts", 2, "--part-id", 2) == 2


def test_bad_options(predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: Any) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", heart)
    (tmp_path / "out").write_text("")
    assert predict() == 2
    assert "is a file, expected a folder" in capsys.readouterr().err
    assert predict("-d", "5") == 2
    assert main(["predict", "-i", str(tmp_path), "-o", str(tmp_path)]) == 2
    assert "No model: give its result folder with -m" in capsys.readouterr().err


def test_four_dimensions_where_three_were_promised(
    predict: Callable[..., int], cine: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    write_image(tmp_path / "images" / "a.nii.gz", cine)
    assert predict("--dimensions", "3d") == 1
    assert "a.nii.gz: is 4D, 77 x 92 x 3 x 4, and --dimensions says 3d" in capsys.readouterr().out
    assert files(tmp_path / "out") == []


def test_single_slice_keeps_its_dimensions(predict: Callable[..., int], heart: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "flat.nii.gz", heart[3])
    write_image(tmp_path / "images" / "one.nii.gz", heart[3:4])
    assert predict("--indices") == 0
    assert (tmp_path / "out" / "indices.csv").read_text() == "case,index,unit,value\n"  # one slice has no volume
    assert nibabel.load(tmp_path / "out" / "flat.nii.gz").shape == (77, 92)
    assert nibabel.load(tmp_path / "out" / "one.nii.gz").shape == (77, 92, 1)
    np.testing.assert_array_equal(labels(tmp_path / "out" / "flat.nii.gz"), labels(tmp_path / "out" / "one.nii.gz")[0])
    assert json.loads((tmp_path / "out" / "flat.json").read_text())["volumes_ml"]["LV"] == [None]
