"""The trainer of the toy system."""

from typing import ClassVar

from nnunet_cardiac.systems import TRAINERS, TrainerFacts
from nnunet_cardiac.trainers.crop import CropTrainer


class ToyTrainer(CropTrainer):
    """Train both stages of the toy system."""

    facts: ClassVar[TrainerFacts] = TRAINERS["ToyTrainer"]
    segmenter: ClassVar[str] = "toy_networks.ToyNet"
