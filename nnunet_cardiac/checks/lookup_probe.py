"""Looks trainers up as nnU-Net does; run as `python -m nnunet_cardiac.checks.lookup_probe NAME ...`.

nnU-Net prints while it searches, so the answer is the last line of stdout: JSON, name -> problem, "" if there is none.
"""

from __future__ import annotations

import json
import pickle
import sys


def probe(name: str) -> str:
    """Return what is wrong with the class that nnU-Net finds under a name, or an empty string."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    from nnunet_cardiac.systems import is_of_a_system

    try:
        found = recursive_find_trainer_class_by_name(name)
    except Exception as error:  # a trainer file may raise anything when it is imported
        return f"{type(error).__name__}: {error}"
    if not is_of_a_system(found.__module__):
        return f"nnU-Net found {found.__module__}.{found.__qualname__}, expected a class of the package nnunet_cardiac"
    try:
        # pickle compares the class with the one that its module has now, which is the identity that workers need.
        pickle.dumps(found)
    except pickle.PicklingError as error:
        return f"nnU-Net found a second copy: {error}"
    return ""


if __name__ == "__main__":
    print("\n" + json.dumps({name: probe(name) for name in sys.argv[1:]}))
