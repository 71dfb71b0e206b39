"""The file that nnU-Net reads: `nnUNet_extTrainer` points at this folder (`nnunet_cardiac env` prints the line).

Only names, no code: nnU-Net imports this file as a flat module and drops it again, so whatever is defined here could
not be pickled. For the same reason the folder is no package.
"""

from nnunet_cardiac.trainers import variants
from nnunet_cardiac.trainers.classifier_guided import ClassifierGuidedTrainer
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer
from nnunet_cardiac.trainers.dilated_residual_unet import DRUNetEndToEndTrainer, DRUNetTrainer
from nnunet_cardiac.trainers.halsr import HALSRNetTrainer

__all__ = ["ClassifierGuidedTrainer", "CroCNetTrainer", "DRUNetEndToEndTrainer", "DRUNetTrainer", "HALSRNetTrainer"]


def __getattr__(name: str) -> type:
    """Hand variants such as `CroCNetTrainer_20epochs` on."""
    return getattr(variants, name)
