"""Agreement of volumes in the validation summary, as Vesal et al. 2020 report it for the left atrium.

The paper prints mm³ where only mL are plausible; here it is mL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from nnunet_cardiac.evaluation.agreement import Agreement, agreement
from nnunet_cardiac.evaluation.cases import match_cases, read_pair
from nnunet_cardiac.evaluation.volumes import volumes_ml
from nnunet_cardiac.files import read_json, write_json


def add_volume_agreement(
    predictions: Path, references: Path, labels: Mapping[str, int], file_ending: str
) -> dict[str, Agreement]:
    """Add the agreement of volumes in mL to nnU-Net's `summary.json`, under `volume_agreement`.

    Args:
        predictions: Validation folder with label maps and `summary.json`.
        references: Folder of the reference segmentations.
        labels: Structure -> label value.
        file_ending: Of the label maps.

    Returns:
        Structure -> agreement.

    Raises:
        UserError: If label maps are missing, unreadable or lie on different grids.
        ValueError: If there is no label map.
    """
    cases = [path.name.removesuffix(file_ending) for path in sorted(predictions.glob(f"*{file_ending}"))]
    if not cases:
        raise ValueError(f"{predictions}: found no label map, expected the validation cases of a fold.")
    pairs = []
    for pair in match_cases(references, predictions, cases):
        maps = read_pair(pair, labels.values())
        pairs.append([volumes_ml(m, labels, maps.spacing_mm) for m in (maps.reference, maps.prediction)])
    found = {
        name: agreement([manual[name] for manual, _ in pairs], [automatic[name] for _, automatic in pairs])
        for name in pairs[0][0]
    }
    summary = predictions / "summary.json"
    content = read_json(summary) if summary.is_file() else {}
    write_json(summary, {**content, "volume_agreement": {name: asdict(value) for name, value in found.items()}})
    return found


def limits_line(found: Agreement) -> str:
    """One line for a log on the agreement of volumes in mL."""
    return (
        f"bias {found.bias:+.2f} mL (manual - automatic), limits of agreement {found.limit_low:+.2f} to "
        f"{found.limit_high:+.2f} mL, {found.n} cases"
    )
