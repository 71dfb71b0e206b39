"""From DICOM folders to label maps, through the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.inference import CardiacPredictor


@pytest.fixture
def predict(write_system: Callable[..., Path], scanner: Any, tmp_path: Path) -> Callable[..., int]:
    model = write_system("nnUNet")

    def run(*options: object, source: Path | None = None) -> int:
        words = ["predict", "-i", source or scanner.folder, "-o", tmp_path / "out", "-m", model, "-device", "cpu"]
        return main([str(word) for word in [*words, "--threads", 1, "--quiet", *options]])

    run.model = model
    return run


@pytest.fixture
def beating(heart: np.ndarray) -> np.ndarray:
    return 2 * np.rint(np.stack([heart[:4] + 40 * t for t in range(3)]).clip(0) / 2)


def test_label_map_lies_on_the_series(
    predict: Callable[..., int], scanner: Any, beating: np.ndarray, tmp_path: Path
) -> None:
    scanner.classic(beating)
    assert predict("--precision", "fp32") == 0
    result = sitk.ReadImage(tmp_path / "out" / "study42.nii.gz")
    assert result.GetSize() == (77, 92, 4, 3)
    np.testing.assert_allclose(result.GetSpacing(), (1.5, 1.25, 9.5, 0.0315), rtol=1e-5)  # ITK has seconds
    np.testing.assert_allclose(result.GetOrigin()[:3], (-120.5, 33.25, 80.0), atol=1e-4)
    predictor = CardiacPredictor.from_folder(predict.model, device="cpu", precision="fp32")
    for frame, image in zip(sitk.GetArrayFromImage(result), beating, strict=True):
        np.testing.assert_array_equal(frame, predictor.predict(image, (9.5, 1.25, 1.5)))


def test_no_output_names_the_patient(
    predict: Callable[..., int], scanner: Any, beating: np.ndarray, tmp_path: Path
) -> None:
    scanner.folder = tmp_path / "DOE_JANE"
    scanner.classic(beating)
    assert predict("--indices", source=scanner.folder) == 0
    assert predict("--resume", "--indices", source=scanner.folder) == 0
    secrets = ("doe", "jane", "774411", scanner.study)
    for path in (tmp_path / "out").iterdir():
        assert path.name.startswith(("study-", "indices"))
        text = path.read_bytes() if path.suffix != ".gz" else sitk.GetArrayFromImage(sitk.ReadImage(path)).tobytes()
        assert not any(secret.lower().encode() in text.lower() for secret in secrets)
    assert predict("--keep-identifiers", source=scanner.folder) == 0
    assert "MRN-774411" in (tmp_path / "out" / "DOE_JANE.json").read_text()


def test_a_bad_study_does_not_stop_the_others(
    predict: Callable[..., int], scanner: Any, beating: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    cohort = tmp_path / "cohort"
    for name in ("a", "b", "c"):
        scanner.folder = cohort / name
        scanner.study = f"1.2.3.{ord(name)}"
        scanner.classic(beating, skip=lambda _, z, name=name: name == "b" and z == 1)
    scanner.folder = cohort / "a"
    scanner.patient_id = "SOMEONE-ELSE"
    scanner.classic(beating, number=9)
    assert predict(source=cohort) == 1
    out = capsys.readouterr().out
    assert "files of 2 patients" in out
    assert "1 done, 0 skipped, 2 failed" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c.json", "c.nii.gz"]


def test_missing_slices_have_no_labels(
    predict: Callable[..., int], scanner: Any, heart: np.ndarray, tmp_path: Path
) -> None:
    scanner.classic(2 * np.rint(heart[None, :5].clip(0) / 2), skip=lambda _, z: z == 2)
    assert predict() == 1
    assert predict("--allow-gaps") == 0
    labels = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "out" / "study42.nii.gz"))
    assert labels.shape[0] == 5
    assert not labels[2].any()
    assert labels[3].any()


def test_truncated_files_stop_their_own_study_only(
    predict: Callable[..., int], scanner: Any, beating: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    cut = {}
    for number, name in enumerate(("header", "spacing", "pixels", "whole")):
        scanner.folder = tmp_path / "cohort" / name
        scanner.study = f"1.2.3.{number}"
        cut[name] = scanner.classic(beating)[5]
    content = cut["header"].read_bytes()
    spacing = content.index(b"\x28\x00\x30\x00DS")
    for name, length in (("header", 500), ("spacing", spacing + 10), ("pixels", len(content) - 200)):
        cut[name].write_bytes(cut[name].read_bytes()[:length])
    assert predict(source=tmp_path / "cohort") == 1
    out = capsys.readouterr().out
    assert f"{cut['header']}: damaged or truncated DICOM file (it ends within its header)" in out
    assert f"{cut['spacing']}: damaged or truncated DICOM file" in out
    assert f"{cut['pixels']}: truncated or damaged pixels" in out
    assert "1 done, 0 skipped, 3 failed" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["whole.json", "whole.nii.gz"]
