from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from nnunet_cardiac.report.figure import write_overlay_figure
from nnunet_cardiac.report.overlay_case import OverlayCase
from nnunet_cardiac.report.palette import STRUCTURE_COLOURS

MakeHeart = Callable[..., OverlayCase]


def test_picture_of_two_cases(tmp_path: Path, make_heart: MakeHeart) -> None:
    cases = [make_heart("patient001_frame01", "ED"), make_heart("patient001_frame09", "ES")]
    for name in ("a.png", "b.png"):
        write_overlay_figure(tmp_path / name, cases, max_slices=3, dpi=80)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"), float)
    height, width, _ = pixels.shape
    assert height > width > 300
    for name in ("RV", "MYO", "LV"):
        distance = np.abs(pixels - 255 * np.array(to_rgb(STRUCTURE_COLOURS[name]))).max(axis=-1)
        assert np.count_nonzero(distance < 40) > 100, name


def test_failure_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one case"):
        write_overlay_figure(tmp_path / "a.png", [])
    assert not list(tmp_path.iterdir())
