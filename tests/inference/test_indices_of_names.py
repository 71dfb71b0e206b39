"""Indices of stacks in files of their own: which belong to one heart is read from their names."""

from __future__ import annotations

import pytest

from nnunet_cardiac.inference.indices import indices


def sidecar(name: str, lv_ml: float) -> dict[str, object]:
    return {"name": name, "input": {"shape_tzyx": [1, 9, 64, 64]}, "phases": {}, "volumes_ml": {"LV": [lv_ml]}}


@pytest.mark.parametrize("name", ["p{}_{}", "{1}-p{0}", "sub-0{}_phase-{}_bold", "A{}S9V9_sa_{}"])
def test_phases_in_names_hold(name: str) -> None:
    # the smaller volume is called ED: names rule over volumes
    cases = [sidecar(name.format(n, phase), lv) for n in (1, 2) for phase, lv in (("ed", 80.0), ("es", 100.0))]
    rows = {(case, index): value for case, index, _, value in indices(cases)}
    assert len({case for case, _ in rows}) == 2
    assert sorted(value for (_, index), value in rows.items() if index == "LV EDV") == [80.0, 80.0]
    assert sorted(value for (_, index), value in rows.items() if index == "LV EF") == [-25.0, -25.0]


def test_two_examinations_have_indices_of_their_own() -> None:
    volumes = {"ses-1": (100.0, 40.0), "ses-2": (120.0, 60.0)}
    cases = [
        sidecar(f"sub-01_{session}_phase-{phase}", ml)
        for session, pair in volumes.items()
        for phase, ml in zip(("ED", "ES"), pair, strict=True)
    ]
    found = {case: value for case, index, _, value in indices(cases) if index == "LV EF"}
    assert found == {"sub-01_ses-1": pytest.approx(60.0), "sub-01_ses-2": pytest.approx(50.0)}
