"""How often the window around a localiser's maps holds the whole heart, for images that no training saw.

    python tests/scripts/unseen_windows.py PLANS.json CONFIGURATION MAPS LABELS

Adds `localisation` to MAPS/summary.json, as training does for its validation cases, and prints it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.evaluation.localisation import add_localisation_report
from nnunet_cardiac.files import read_json


def main(plans: Path, configuration: str, maps: Path, labels: Path) -> None:
    """Compare the maps of a folder with the references of another."""
    crop = PlansManager(plans).get_configuration(configuration)
    rule = RegionRule.from_plans(crop.network_arch_init_kwargs)
    ending = read_json(maps / "dataset.json")["file_ending"]
    print(add_localisation_report(maps, labels, rule, crop.spacing, ending))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(Path, sys.argv[3:5]))
