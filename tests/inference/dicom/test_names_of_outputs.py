"""Through the command: what outputs of DICOM studies are called, and which files they leave alone."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_cardiac.cli import main


@pytest.fixture
def predict(write_system: Callable[..., Path], tmp_path: Path) -> Callable[..., int]:
    model = write_system("nnUNet")

    def run(source: Path, *options: object, output: Path = tmp_path / "out") -> int:
        words = ["predict", "-i", source, "-o", output, "-m", model, "-device", "cpu", "--threads", 1, "--quiet"]
        return main([str(word) for word in [*words, *options]])

    return run


@pytest.fixture
def stack(heart: np.ndarray) -> np.ndarray:
    return 2 * np.rint(heart[None, :3].clip(0) / 2)


def maps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.nii.gz"))


def test_two_patients_with_one_uid(
    predict: Callable[..., int], scanner: Any, stack: np.ndarray, tmp_path: Path
) -> None:
    for name in ("JANE", "JOHN"):
        scanner.folder, scanner.patient, scanner.patient_id = tmp_path / "in" / f"DOE_{name}", f"DOE^{name}", name
        scanner.classic(stack)
    assert predict(tmp_path / "in", "--overwrite") == 0
    first, second = sorted((name.removesuffix(".nii.gz") for name in maps(tmp_path / "out")), key=len)
    assert second == f"{first}-2"
    assert first.startswith("study-")
    assert predict(tmp_path / "in", "--resume") == 0
    assert len(maps(tmp_path / "out")) == 2


def test_a_link_keeps_its_name(predict: Callable[..., int], scanner: Any, stack: np.ndarray, tmp_path: Path) -> None:
    scanner.folder, scanner.patient, scanner.patient_id = tmp_path / "archive" / "DOE_JANE", "ANON", "0"
    scanner.classic(stack)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p001").symlink_to(scanner.folder)
    assert predict(tmp_path / "in") == 0
    assert maps(tmp_path / "out") == ["p001.nii.gz"]


def test_the_json_file_has_no_path_and_no_description(
    predict: Callable[..., int], scanner: Any, stack: np.ndarray, tmp_path: Path
) -> None:
    scanner.folder = tmp_path / "p001"
    scanner.classic(stack, number=5)
    scanner.classic(stack, number=8, description="again of J. Doe", skip=lambda _, z: z == 1)
    assert predict(tmp_path / "p001") == 0
    (path,) = (tmp_path / "out").glob("*.json")
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    assert str(tmp_path) not in text
    assert "again of" not in text


def test_objects_do_not_replace_the_study(
    predict: Callable[..., int], scanner: Any, stack: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    scanner.folder = tmp_path / "p001"
    file = scanner.classic(stack)[0]
    inside = file.rename(file.with_name("p001.dcm"))
    before = inside.read_bytes()
    for option in ("--overwrite", "--resume"):
        assert predict(scanner.folder, "--dicom-seg", option, output=scanner.folder) == 2
        assert "p001.dcm would replace an input" in capsys.readouterr().err
    assert inside.read_bytes() == before
    assert not list(scanner.folder.glob("*.json"))


def test_a_study_in_an_archive(predict: Callable[..., int], scanner: Any, stack: np.ndarray, tmp_path: Path) -> None:
    scanner.classic(stack)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in scanner.folder.iterdir():
            archive.write(path, f"DICOM/{path.name}")
    assert predict(tmp_path / "export.zip") == 0
    assert maps(tmp_path / "out") == ["export.nii.gz"]
    assert predict(scanner.folder) == 0
    label_maps = [(tmp_path / "out" / f"{name}.nii.gz").read_bytes() for name in ("export", "study42")]
    assert label_maps[0] == label_maps[1]
    assert str(tmp_path) not in (tmp_path / "out" / "export.json").read_text()


def test_a_folder_a_slice(predict: Callable[..., int], scanner: Any, heart: np.ndarray, tmp_path: Path) -> None:
    cine = 2 * np.rint(np.stack([heart[:3] + 40 * t for t in range(2)]).clip(0) / 2)
    scanner.folder = tmp_path / "flat"
    scanner.classic(cine, series_per_slice=True)
    for number, path in enumerate(sorted(scanner.folder.iterdir())):
        folder = tmp_path / "p001" / f"sax_{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
    assert predict(tmp_path / "p001") == 0
    assert predict(tmp_path / "flat") == 0
    first, second = ((tmp_path / "out" / f"{name}.nii.gz").read_bytes() for name in ("p001", "flat"))
    assert first == second
