"""Facts about anatomies and trainers, without torch, so that `--help` answers at once.

Data sets number the anatomies differently (ACDC: 1 RV, 2 MYO, 3 LV; M&Ms: 1 LV, 2 MYO, 3 RV), so every part of this
package looks a structure up by name with :func:`anatomy_labels` and never by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.label_values import check_ignore_is_highest, refuse_regions, structure_values

#: Canonical name -> accepted spellings (compared in lower case without blanks, dashes and underscores).
ANATOMIES: dict[str, tuple[str, ...]] = {
    "LV": ("lv", "lvc", "lvbp", "lvcavity", "lvbloodpool", "leftventricle", "leftventricularcavity", "lvendo"),
    "MYO": ("myo", "mlv", "lvm", "lvmyo", "lvmyocardium", "myocardium", "leftventricularmyocardium", "lvwall"),
    "RV": ("rv", "rvc", "rvbp", "rvcavity", "rvbloodpool", "rightventricle", "rightventricularcavity"),
    "LA": ("la", "leftatrium", "lacavity", "leftatrialcavity", "laendo"),
}


@dataclass(frozen=True)
class TrainerFacts:
    """What a user has to know of a trainer.

    Attributes:
        name: Class name, the value of `-tr`.
        system: Short name of the published system.
        paper: Authors, venue and year.
        anatomies: Structures that `dataset.json` must name.
        optional: Structures that the system makes use of where `dataset.json` names them.
        configurations: Configuration -> one line on what it trains.
        parameters: Network -> trainable parameters in millions at the default size.
    """

    name: str
    system: str
    paper: str
    anatomies: tuple[str, ...]
    configurations: Mapping[str, str]
    parameters: Mapping[str, float]
    optional: tuple[str, ...] = ()


_VESAL = (
    "Vesal et al., Fully automated 3D cardiac MRI localisation and segmentation using deep neural networks, "
    "Journal of Imaging 2020"
)

TRAINERS: dict[str, TrainerFacts] = {
    "CroCNetTrainer": TrainerFacts(
        name="CroCNetTrainer",
        system="CroCNet",
        paper="Khan et al., Crop and Couple: cardiac image segmentation using interlinked specialist networks, "
        "ISBI 2024",
        anatomies=("LV", "MYO", "RV"),
        configurations={
            "2d": "E-2A U-Net on whole slices",
            "2d_crop": "three coupled specialist networks on the window around the heart",
            "2d_crop_uncoupled": "ablation: specialists without cross-attention",
            "2d_crop_single": "ablation: one network instead of three specialists",
        },
        parameters={"E2AUNet": 17.06, "SpecialistNetworks": 5.338, "uncoupled": 1.648, "single": 1.648},
    ),
    "HALSRNetTrainer": TrainerFacts(
        name="HALSRNetTrainer",
        system="HALSR-Net",
        paper="Fakhfakh et al., HALSR-Net: improving CNN segmentation of cardiac left ventricle MRI with hybrid "
        "attention and latent space reconstruction, Computerized Medical Imaging and Graphics 2025",
        anatomies=("LV",),
        optional=("MYO",),
        configurations={
            "2d": "HALSR-Net on whole slices",
            "2d_roi": "regression of the box of the left ventricle",
            "2d_crop": "HALSR-Net on the window around the regressed box",
        },
        parameters={"HALSRNet": 10.82, "ROIRegressor": 3.847},
    ),
    "ClassifierGuidedTrainer": TrainerFacts(
        name="ClassifierGuidedTrainer",
        system="Classifier-guided network",
        paper="classifier-guided two-stage network with all-slice fusion transformer",
        anatomies=("LV", "MYO", "RV"),
        configurations={
            "2d_stack": "both stages with slice fusion and classifier, on whole stacks",
            "2d_stack_single": "ablation: one stage, slice by slice",
        },
        parameters={"ClassifierGuidedNet": 21.19, "single": 7.419},
    ),
    "DRUNetTrainer": TrainerFacts(
        name="DRUNetTrainer",
        system="3D DR-UNet",
        paper=_VESAL,
        anatomies=(),
        configurations={
            "3d_fullres": "3D DR-UNet on nnU-Net's patches",
            "3d_locate": "small 3D DR-UNet on whole volumes of low resolution, whose activation map marks the heart",
            "3d_crop": "3D DR-UNet on the window around the heart",
        },
        parameters={"DilatedResidualUNet": 10.15, "GCAMLocaliser": 0.639},
    ),
    "DRUNetEndToEndTrainer": TrainerFacts(
        name="DRUNetEndToEndTrainer",
        system="3D DR-UNet",
        paper=_VESAL,
        anatomies=(),
        configurations={
            "3d_joint": "both 3D DR-UNets as one network on nnU-Net's patches",
            "3d_joint_low": "the same on whole volumes of low resolution (plan --paper)",
        },
        parameters={"JointDilatedResidualUNet": 10.79},
    ),
}


def canonical_anatomy(name: str) -> str | None:
    """Return the canonical name of a label, or None if it is no known anatomy."""
    key = "".join(c for c in name.lower() if c.isalnum())
    return next((anatomy for anatomy, spellings in ANATOMIES.items() if key in spellings), None)


def anatomy_labels(labels: Mapping[str, object], required: Iterable[str] = ()) -> dict[str, int]:
    """Map canonical anatomy names to label values.

    Args:
        labels: The `labels` entry of a `dataset.json`, name -> value.
        required: Canonical names that must be there.

    Returns:
        Canonical name -> label value, in the order of the values.

    Raises:
        UserError: If values are not consecutive integers from 0, a name is unknown, a structure is named twice, a
            required one is missing, or nnU-Net's `ignore` is not the highest value.
    """
    refuse_regions(labels, "dataset.json")
    shown = ", ".join(f"{name}: {value}" for name, value in labels.items())
    values = sorted(labels.values())
    if values != list(range(len(values))):
        raise UserError(
            f"dataset.json: label values {values} have gaps or repeat; nnU-Net needs 0, 1, 2, ... without gaps. "
            "Renumber the label files and dataset.json."
        )
    check_ignore_is_highest(labels, "dataset.json")
    found: dict[str, int] = {}
    for name, value in sorted(structure_values(labels).items(), key=lambda item: item[1]):
        anatomy = canonical_anatomy(name)
        if anatomy is None:
            raise UserError(
                f"dataset.json: label name {name!r} is no known anatomy; expected one of {', '.join(ANATOMIES)} or a "
                f"spelling such as {ANATOMIES['LV'][5]!r}. Rename it in dataset.json (values stay as they are)."
            )
        if anatomy in found:
            raise UserError(f"dataset.json: {anatomy} is named twice in {{{shown}}}; keep one.")
        found[anatomy] = value
    missing = [anatomy for anatomy in required if anatomy not in found]
    if missing:
        raise UserError(
            f"dataset.json: labels {{{shown}}} do not name {', '.join(missing)}; this system needs "
            f"{', '.join(required)}. Name the structures in dataset.json, or use another trainer."
        )
    return found
