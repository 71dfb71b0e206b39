"""How exact volumes of perfect label maps are: against the shape at the levels of the slices, and against the shape.

python tests/scripts/phantom_volumes.py --patients 24
"""

from __future__ import annotations

import argparse

import numpy as np
from tqdm import tqdm

from nnunet_cardiac.evaluation.volumes import ejection_fraction, volumes_ml
from nnunet_cardiac.phantom.patient import draw_patient
from nnunet_cardiac.phantom.short_axis import draw_stack, make_study

MATRIX, SPACING_MM = (128, 128), (8.0, 1.4)
TURN = np.linspace(0, 2 * np.pi, 400, endpoint=False)


def errors(seed: int) -> tuple[list[float], list[float]]:
    """Errors of EDV in %, ESV in % and EF in points: of the pixels alone, and with those of the slices."""
    patient = draw_patient(seed, None, 20, None)
    levels = draw_stack(patient, MATRIX, None, SPACING_MM).level_mm
    study = make_study(seed, matrix=MATRIX, spacing=SPACING_MM, phases_only=True)
    measured, sliced = [], []
    for frame in (study.ed_frame, study.es_frame):
        left = patient.cycle.left[frame]
        radii = [left.endocardium(TURN, np.full_like(TURN, z)) for z in levels if z >= left.base_mm]
        sliced.append(sum(np.pi * np.mean(radius**2) for radius in radii) * SPACING_MM[0] / 1000)
        labels = study.phase(frame)[1]
        measured.append(volumes_ml(labels, study.label_values, study.geometry.spacing_mm)["LV"])
    return difference(measured, sliced), difference(measured, [study.left.edv_ml, study.left.esv_ml])


def difference(measured: list[float], truth: list[float]) -> list[float]:
    """EDV and ESV in %, EF in points."""
    percent = [100 * (a / b - 1) for a, b in zip(measured, truth, strict=True)]
    return [*percent, ejection_fraction(*measured) - ejection_fraction(*truth)]


def main() -> None:
    """Print mean, standard deviation and largest error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=24, metavar="N")
    table = np.array([errors(seed) for seed in tqdm(range(parser.parse_args().patients))])  # (patients, 2, 3)
    for title, part in zip(("slices of the shape", "exact volume"), np.swapaxes(table, 0, 1), strict=True):
        for name, column in zip(("EDV %", "ESV %", "EF points"), part.T, strict=True):
            largest = np.abs(column).max()
            print(f"{title:20} {name:10} {column.mean():+6.2f} +- {column.std(ddof=1):5.2f}, at most {largest:5.2f}")


if __name__ == "__main__":
    main()
