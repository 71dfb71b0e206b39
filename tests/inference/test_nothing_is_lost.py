"""Through the command: inputs and files of the user stay, and whatever a case does, the others are done."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference import case, cohort, ray_worker
from nnunet_cardiac.inference.ray_worker import Worker
from nnunet_cardiac.inference.results import PredictOptions
from nnunet_cardiac.inference.sources import Source
from nnunet_cardiac.inference.training_storage import UNKNOWN


@pytest.fixture
def predict(write_system: Callable[..., Path], tmp_path: Path) -> Callable[..., int]:
    model = write_system("nnUNet")

    def run(source: Path, output: Path, *options: object) -> int:
        words = ["predict", "-i", source, "-o", output, "-m", model, "-device", "cpu", "--threads", 1, "--quiet"]
        return main([str(word) for word in [*words, *options]])

    return run


def write_image(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.4, 9.0))
    sitk.WriteImage(image, path)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("options", [(), ("--resume",), ("--overwrite",), ("--num-parts", 2)])
@pytest.mark.parametrize("single", [True, False])
def test_the_folder_of_the_images(
    predict: Callable[..., int],
    heart: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[object, ...],
    single: bool,
) -> None:
    folder = tmp_path / "x"
    image = write_image(folder / "cine.nii.gz", heart[:2])
    write_image(folder / "other_0000.nii.gz", heart[:2])
    before = content(folder)
    (tmp_path / "link").symlink_to(folder)
    for output in (folder, tmp_path / "link"):
        assert predict(image if single else folder, output, *options) == 2
        message = capsys.readouterr().err
        assert "cine.nii.gz would replace an input. Choose another folder with -o." in message
        assert "--resume" not in message
        assert content(folder) == before


def test_outputs_beside_the_images_are_no_inputs(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "x"
    image = write_image(folder / "p_0000.nii.gz", heart[:2])
    before = image.read_bytes()
    assert predict(folder, folder) == 0
    label_map = (folder / "p.nii.gz").read_bytes()
    capsys.readouterr()
    assert predict(folder, folder, "--resume") == 0
    assert "0 done, 1 skipped, 0 failed" in capsys.readouterr().out
    assert predict(folder, folder, "--overwrite") == 0
    assert "1 done, 0 skipped, 0 failed" in capsys.readouterr().out
    assert content(folder).keys() == {"p_0000.nii.gz", "p.nii.gz", "p.json"}
    assert (image.read_bytes(), (folder / "p.nii.gz").read_bytes()) == (before, label_map)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.json", "indices.csv"])
def test_files_of_the_user(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    image = write_image(tmp_path / "in" / "a.nii.gz", heart[:2])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text('{"name": "a"}')
    for option in ("--overwrite", "--resume", "--quiet"):
        assert predict(image, tmp_path / "out", option, "--indices") == 2
        assert f"{name}" in (message := capsys.readouterr().err)
        assert "so it is kept. Move it away" in message
        assert content(tmp_path / "out") == {name: b'{"name": "a"}'}


@pytest.mark.parametrize(
    "error", [KeyError("0028,0010"), TypeError("float"), MemoryError(), OverflowError("x"), RecursionError("deep")]
)
@pytest.mark.parametrize("step", ["read_series", "volume_curves", "write_label_map"])
def test_any_error_of_a_case_stays_alone(
    heart: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, error: Exception, step: str
) -> None:
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.nii.gz", heart[:2])
    whole = getattr(case, step)

    def broken(*args: Any, **more: Any) -> Any:
        if any("b" in (str(getattr(one, "name", one)).split(".")[0]) for one in args[:1] + args[2:]):
            raise error
        return whole(*args, **more)

    monkeypatch.setattr(case, step, broken)
    monkeypatch.setattr(case, "describe_model", lambda _: {"stages": []})
    predictor: Any = _Predictor()
    sources = [Source(name, (tmp_path / "in" / f"{name}.nii.gz",)) for name in "abc"]
    seen = []
    results = cohort.segment(predictor, sources, PredictOptions(tmp_path / "out"), False, seen.append)
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert [result.name for result in seen] == ["a", "b", "c"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "a.nii.gz", "c.json", "c.nii.gz"]
    assert "b.nii.gz: " in results[1].message
    kind = "memory of this machine is too small" if isinstance(error, MemoryError) else type(error).__name__
    assert kind in results[1].message


class _Predictor:
    """Finds a left ventricle everywhere."""

    def __init__(self) -> None:
        self.labels = {"LV": 1}
        self.device = "cpu"
        self.storage = UNKNOWN

    def predict_frames(self, frames: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        return np.ones_like(frames[:, 0], dtype=np.uint8)


def test_a_traceback_is_shown_on_request(
    predict: Callable[..., int], tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"x")
    monkeypatch.setattr(case, "read_series", lambda *_, **__: {}["no such thing"])
    assert predict(tmp_path / "a.nii.gz", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert "a.nii.gz: KeyError: 'no such thing' (--debug shows where)" in shown.out
    assert "Traceback" not in shown.out + shown.err
    assert predict(tmp_path / "a.nii.gz", tmp_path / "out", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_request_to_end_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = object.__new__(case.Segmenter)

    def interrupted() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(segmenter.segment(Source("a", (tmp_path,)), interrupted))


def test_any_error_in_a_worker_is_its_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *_: Any) -> None:
            pass

        def read(self, source: Source) -> Any:
            return source

        def segment(self, *_: Any) -> Any:
            raise ZeroDivisionError("in a library")

    monkeypatch.setattr(ray_worker, "Segmenter", Broken)
    monkeypatch.setattr(ray_worker, "_Log", lambda level: type("Log", (), {"take": lambda self: []})())
    worker = Worker({}, PredictOptions(tmp_path), threads=1)
    worker._predictor = None  # type: ignore[assignment]
    (result,), _ = worker.run(Source("a", (tmp_path / "a.nii.gz",)), None)
    assert result.status == "failed"
    assert "a.nii.gz: ZeroDivisionError: in a library" in result.message


def test_a_killed_run_leaves_files_that_are_known(heart: np.ndarray, tmp_path: Path, monkeypatch: Any) -> None:
    """The temporary JSON file is there before the label map, and is gone in the end."""
    image = write_image(tmp_path / "in" / "a.nii.gz", heart[:2])
    monkeypatch.setattr(case, "describe_model", lambda _: {"stages": []})
    moments = []
    whole = case.write_label_map

    def look(path: Path, *args: Any) -> None:
        whole(path, *args)
        moments.append({file.name for file in path.parent.iterdir()})

    monkeypatch.setattr(case, "write_label_map", look)
    predictor: Any = _Predictor()
    cohort.segment(predictor, [Source("a", (image,))], PredictOptions(tmp_path / "out"), False)
    assert moments == [{"a.nii.gz", f".a.json.{os.getpid()}.part"}]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"a.nii.gz", "a.json"}


def test_odd_names_and_archives(
    predict: Callable[..., int], heart: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = write_image(tmp_path / "in" / "a.nii.gz", heart[:2])
    with zipfile.ZipFile(tmp_path / "in" / "export.zip", "w") as archive:
        archive.write(image, "data/z.nii.gz")
    try:
        (tmp_path / "in" / os.fsdecode(b"caf\xe9.nii.gz")).write_bytes(image.read_bytes())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    (tmp_path / "in" / os.fsdecode(b"d\xe9.nii.gz")).write_bytes(b"damaged")
    assert predict(tmp_path / "in", tmp_path / "out", "--indices") == 1
    names = ["a", "caf_xE9", "z"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "indices.csv",
        *(f"{name}{ending}" for name in names for ending in (".json", ".nii.gz")),
    }
    assert "3 done, 0 skipped, 1 failed" in capsys.readouterr().out
    records = [read_json(tmp_path / "out" / f"{name}.json") for name in names]
    assert [record["name"] for record in records] == names
    assert len({str(record["volumes_ml"]) for record in records}) == 1
    assert str(tmp_path) not in (tmp_path / "out" / "z.json").read_text()


def test_a_voxel_size_of_ones_own(heart: np.ndarray, tmp_path: Path, monkeypatch: Any) -> None:
    """The option reaches the readers, and the JSON file says so."""
    given: dict[str, Any] = {}
    whole = case.read_series

    def read(*args: Any, spacing_mm: Any = None) -> Any:
        given["spacing_mm"] = spacing_mm
        return whole(*args)

    monkeypatch.setattr(case, "read_series", read)
    monkeypatch.setattr(case, "describe_model", lambda _: {"stages": []})
    image = write_image(tmp_path / "a.nii.gz", heart[:2])
    predictor: Any = _Predictor()
    options = PredictOptions(tmp_path / "out", spacing_mm=(1.0, 2.0, 8.0))
    segmenter = case.Segmenter(predictor, options)
    (one,) = segmenter.segment(Source("a", (image,)), lambda: segmenter.read(Source("a", (image,))))
    (tmp_path / "out").mkdir()
    segmenter.write(one)
    assert given == {"spacing_mm": (1.0, 2.0, 8.0)}
    assert read_json(tmp_path / "out" / "a.json")["input"]["spacing_given_mm_xyz"] == [1.0, 2.0, 8.0]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_voxel_size_that_is_none(predict: Callable[..., int], tmp_path: Path, capsys: Any, value: str) -> None:
    assert predict(tmp_path, tmp_path / "out", "--spacing", 1, value, 8) == 2
    assert "expected three positive sizes in mm" in capsys.readouterr().err


def test_a_table_of_parts_is_resumed_whole(predict: Callable[..., int], heart: np.ndarray, tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.nii.gz", heart[:2])
    part = ("--num-parts", 2, "--part-id", 0, "--indices")
    assert predict(tmp_path / "in", tmp_path / "out", *part) == 0
    table = tmp_path / "out" / "indices_part0of2.csv"
    whole = table.read_text()
    assert {line.split(",")[0] for line in whole.splitlines()[1:]} == {"a", "c"}
    table.unlink()
    (tmp_path / "out" / "a.json").unlink()
    (tmp_path / "out" / "a.nii.gz").unlink()
    assert predict(tmp_path / "in", tmp_path / "out", *part, "--resume") == 0
    assert table.read_text() == whole
    write_json(tmp_path / "out" / "b.json", {})
    assert predict(tmp_path / "in", tmp_path / "out", *part, "--resume") == 0  # of the other part
