import math

import numpy as np
import pytest

from nnunet_cardiac.evaluation.volumes import ejection_fraction, myocardial_mass_g, volumes_ml, voxel_volume_ml


def test_box_in_anisotropic_voxels() -> None:
    label_map = np.zeros((5, 20, 30), np.uint8)
    label_map[1:4, 2:12, 3:23] = 3  # 3 slices of 10 mm, 10 × 1.25 mm, 20 × 1.5 mm: 30 × 12.5 × 30 mm
    volumes = volumes_ml(label_map, {"background": 0, "LV": 3, "RV": 1}, (10.0, 1.25, 1.5))
    assert volumes == {"LV": pytest.approx(11.25), "RV": 0.0}


def test_indices_by_hand() -> None:
    assert ejection_fraction(150.0, 60.0) == pytest.approx(60.0)
    assert myocardial_mass_g(100.0) == pytest.approx(105.0)


@pytest.mark.parametrize("edv", [0.0, float("nan")])
def test_ejection_fraction_without_a_ventricle_is_undefined(edv: float) -> None:
    assert math.isnan(ejection_fraction(edv, 0.0))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0)])
def test_rejects_bad_spacing(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"three positive numbers \(z, y, x\), got"):
        voxel_volume_ml(spacing)
