"""What lies apart from the heart is removed, and the geometry stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.benchmark.accuracy.largest import keep_largest


def test_only_the_heart_stays(tmp_path: Path) -> None:
    labels = np.zeros((3, 12, 14), np.uint8)
    labels[:, 2:6, 2:6] = 2
    labels[:, 3:5, 3:5] = 3
    labels[2, 6, 6] = 1  # touches by a corner
    heart = labels.copy()
    labels[0, 9:11, 9:12] = 1  # apart
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((1.5, 1.25, 8.0))
    image.SetOrigin((-3, 4, 5))
    source = tmp_path / "source"
    source.mkdir()
    sitk.WriteImage(image, str(source / "a.nii.gz"))
    sitk.WriteImage(sitk.GetImageFromArray(0 * labels), str(source / "empty.nii.gz"))
    (source / "dataset.json").write_text("{}")
    (source / "benchmark.json").write_text("{}")
    target = keep_largest(source, tmp_path / "largest", ".nii.gz")
    assert sorted(file.name for file in target.iterdir()) == ["a.nii.gz", "dataset.json", "empty.nii.gz"]
    found = sitk.ReadImage(str(target / "a.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), heart)
    np.testing.assert_allclose(found.GetSpacing(), image.GetSpacing())
    np.testing.assert_allclose(found.GetOrigin(), image.GetOrigin())
    assert not sitk.GetArrayFromImage(sitk.ReadImage(str(target / "empty.nii.gz"))).any()
    assert keep_largest(source, tmp_path / "largest", ".nii.gz") == target  # replaced
