"""The published systems, one file each. Imports neither torch nor numpy.

A system is a file with a name `SYSTEM`. It is found here, in another package that names it as an entry point of the
group `nnunet_cardiac.systems`, or by its path in the environment variable `NNUNET_CARDIAC_SYSTEMS`.
"""

from __future__ import annotations

from nnunet_cardiac.systems.discovery import find_systems
from nnunet_cardiac.systems.facts import System, TrainerFacts

#: Short name -> system, in the order of lists.
SYSTEMS: dict[str, System] = {system.key: system for system in find_systems()}

#: Class name -> trainer, in the order of the systems.
TRAINERS: dict[str, TrainerFacts] = {
    trainer.name: trainer for system in SYSTEMS.values() for trainer in system.trainers
}

#: Trainer of `plan` and `train` where the user names none, and of entries in plans that do not say.
FIRST_TRAINER = next(iter(TRAINERS))


#: Packages of networks and trainers: this one, and those that other systems bring.
_PACKAGES = {"nnunet_cardiac"} | {
    path.split(".")[0] for one in TRAINERS.values() for path in (one.module, *one.network_paths)
}


def is_of_a_system(path: str) -> bool:
    """Whether a network or trainer belongs to a system, and not to nnU-Net or anyone else.

    Args:
        path: Dotted path of the class or its module.
    """
    return path.split(".")[0] in _PACKAGES


def system_of(trainer: str) -> System:
    """Return the system of a trainer.

    Args:
        trainer: Key of `TRAINERS`.
    """
    return next(system for system in SYSTEMS.values() if any(one.name == trainer for one in system.trainers))
