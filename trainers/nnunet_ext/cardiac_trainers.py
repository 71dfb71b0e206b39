"""The file that nnU-Net reads: `nnUNet_extTrainer` points at this folder (`nnunet_cardiac env` prints the line).

No code: nnU-Net imports this file as a flat module and drops it again, so whatever is defined here could not be
pickled. For the same reason the folder is no package.
"""

from nnunet_cardiac.trainers import variants


def __getattr__(name: str) -> type:
    """Find the trainers of all systems, and variants such as `CroCNetTrainer_20epochs`."""
    return getattr(variants, name)
