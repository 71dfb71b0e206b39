import numpy as np
import pandas as pd
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.indices import body_surface_area_m2, indices, volume_curves, wall_indices
from nnunet_cardiac.evaluation.patients import PatientTable, read_patient_table
from nnunet_cardiac.evaluation.volumes import ejection_fraction, volumes_ml
from nnunet_cardiac.phantom.patient import draw_patient
from nnunet_cardiac.phantom.short_axis import draw_stack, make_study

SPACING = (8.0, 1.4)


def rows(volumes: dict[tuple[str, str], float], run: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": "m", "run": run, "case": f"p_{phase}", "patient": "p", "phase": phase, "structure": structure,
            "volume_ml_reference": ml, "volume_ml_prediction": ml + run,
        }
        for (structure, phase), ml in volumes.items()
    )  # fmt: skip


VOLUMES = {("LV", "ED"): 150.0, ("LV", "ES"): 60.0, ("MYO", "ED"): 100.0, ("MYO", "ES"): 98.0}


def test_published_body_surface_areas() -> None:
    """Both formulas at 170 cm and 70 kg: 1.82 (Mosteller) and 1.81 m2 (Du Bois)."""
    assert body_surface_area_m2(170, 70) == pytest.approx(1.818, abs=0.0005)
    assert body_surface_area_m2(170, 70, "dubois") == pytest.approx(1.810, abs=0.0005)
    with pytest.raises(UserError, match="choose one of mosteller, dubois"):
        body_surface_area_m2(170, 70, "haycock")


def test_stroke_volume_and_indexed_values() -> None:
    patients = PatientTable(height_cm={"p": 180.0}, weight_kg={"p": 80.0})  # 2.0 m2 by Mosteller
    found = indices(rows(VOLUMES), patients).set_index("index")
    assert found.loc["LV SV", "reference"] == 90
    assert found.loc[["LV EDVi", "LV SVi", "LV massi"], "reference"].tolist() == pytest.approx([75.0, 45.0, 52.5])
    assert found.loc["LV EDVi", "unit"] == "mL/m2"
    assert "LV EFi" not in found.index


def test_the_left_atrium_has_one_volume_at_one_moment() -> None:
    found = indices(pd.concat([rows({("LA", ""): 80.0}), rows({("LA", ""): 80.0}, run=4)]))
    assert found[["index", "unit", "reference", "prediction", "difference"]].to_numpy().tolist() == [
        ["LA volume", "mL", 80.0, 82.0, 2.0]
    ]
    both = indices(pd.concat([rows(VOLUMES), rows({("LA", "ED"): 80.0})]))
    assert "LA volume" not in set(both["index"])


def test_repeated_runs_are_averaged() -> None:
    both = pd.concat([rows(VOLUMES), rows(VOLUMES, run=1)])
    assert indices(both).set_index("index").loc["LV EDV", "prediction"] == 150.5


def test_volume_curve_follows_the_frame_numbers() -> None:
    table = rows(VOLUMES).iloc[:1]
    cine = pd.concat(table.assign(case=f"p_frame{k:02d}", volume_ml_prediction=k) for k in (10, 2, 1))
    curve = volume_curves(pd.concat([cine, table.assign(patient="q", case="q_frame01")]))
    assert curve["frame"].tolist() == [1, 2, 10]
    assert curve["volume_ml_prediction"].tolist() == [1, 2, 10]
    assert set(curve["patient"]) == {"p"}


def test_thickening() -> None:
    keys = {"method": "m", "patient": "p", "group": "", "segment": 1, "name": "basal anterior", "source": "reference"}
    walls = pd.DataFrame([{**keys, "phase": "ED", "thickness_mm": 8.0}, {**keys, "phase": "ES", "thickness_mm": 12.0}])
    row = wall_indices(walls).iloc[0]
    assert (row["ed_thickness_mm"], row["es_thickness_mm"], row["thickening_percent"]) == (8, 12, pytest.approx(50))


def test_patient_table(tmp_path) -> None:
    path = tmp_path / "patients.csv"
    path.write_text("Patient;Pathology;Height;Weight;ED;ES\n001;DCM;180;80;1;12\n002;;;;;\n", encoding="utf-8")
    table = read_patient_table(path)
    assert table.group == {"001": "DCM"}
    assert table.frames == {"001": {"ED": 1, "ES": 12}}
    assert table.height_cm == {"001": 180.0}
    path.write_text("patient,height_cm\n001,1.80\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"height_cm of 001 is '1.80'; expected a number from 30 to 250"):
        read_patient_table(path)
    path.write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(UserError, match="no column `patient`, found name"):
        read_patient_table(path)


@pytest.mark.parametrize("seed", range(6))
def test_perfect_label_maps_of_the_phantom(seed: int) -> None:
    """At 1.4 x 1.4 x 8 mm in-plane discretisation costs at most 1 % of a volume and 0.5 points of EF.

    The oracle is the area of the exact shape at the levels of the slices, times their distance. What then remains to
    the exact volume is the position of the valve plane between two slices: less than half a slice of basal cavity.
    """
    patient = draw_patient(seed, None, 20, None)
    stack = draw_stack(patient, (128, 128), None, SPACING)
    study = make_study(seed, matrix=(128, 128), spacing=SPACING, phases_only=True)
    turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    measured, summed = [], []
    for frame, exact in ((study.ed_frame, study.left.edv_ml), (study.es_frame, study.left.esv_ml)):
        ventricle, labels = patient.cycle.left[frame], study.phase(frame)[1]
        levels = [z for z in stack.level_mm if z >= ventricle.base_mm]
        areas = [np.pi * np.mean(ventricle.endocardium(turn, np.full_like(turn, z)) ** 2) for z in levels]
        summed.append(sum(areas) * SPACING[0] / 1000)
        measured.append(volumes_ml(labels, study.label_values, study.geometry.spacing_mm)["LV"])
        assert measured[-1] == pytest.approx(summed[-1], rel=0.01)
        assert abs(measured[-1] - exact) < 0.5 * max(areas) * SPACING[0] / 1000
    assert ejection_fraction(*measured) == pytest.approx(ejection_fraction(*summed), abs=0.5)
