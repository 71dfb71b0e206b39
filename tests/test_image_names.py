"""Names of image files: one list for all parts of the package."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from nnunet_cardiac.evaluation.cases import match_cases
from nnunet_cardiac.image_names import IMAGE_ENDINGS, image_ending, image_stem
from nnunet_cardiac.images.image_file import read_image
from nnunet_cardiac.inference.sources import find_sources
from nnunet_cardiac.patients.tables import read_patient_list


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.nii.gz", "a"),
        ("folder/d.e.nii", "d.e"),
        ("B.MHA", "B"),
        ("c.mhd", "c"),
        ("c.raw", None),
        (".hidden.nii.gz", None),
    ],
)
def test_stem(name: str, stem: str | None) -> None:
    assert image_stem(name) == stem


@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
def test_every_part_takes_every_ending(tmp_path: Path, ending: str) -> None:
    image = sitk.Image(4, 5, 3, sitk.sitkUInt8)
    image.SetSpacing((1.25, 1.25, 8.0))
    for folder in ("gt", "pred"):
        (tmp_path / folder).mkdir()
        sitk.WriteImage(image, str(tmp_path / folder / f"p1{ending}"))
    table = tmp_path / "cases.csv"
    table.write_text(f"case,patient\np1{ending},one\n")
    assert [pair.case for pair in match_cases(tmp_path / "gt", tmp_path / "pred")] == ["p1"]
    assert list(read_patient_list(table).cases) == ["p1"]
    assert [source.name for source in find_sources(tmp_path / "gt", 1)] == ["p1"]
    assert read_image(tmp_path / "gt" / f"p1{ending}").header.spacing == (1.25, 1.25, 8.0)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.nii.gz", ".nii.gz"),
        ("A.NII.GZ", ".NII.GZ"),
        ("a.Nii", ".Nii"),
        ("a.seq.nrrd", ".nrrd"),
        ("a.gz", None),
        ("a.nii.gz.part", None),
    ],
)
def test_ending_as_it_is_written(name: str, ending: str | None) -> None:
    assert image_ending(name) == ending
