"""The file in which nnU-Net finds the trainers of the benchmark; the benchmark alone names this folder to it.

No code and no package, for the reasons that `trainers/nnunet_ext/cardiac_trainers.py` gives.
"""

from nnunet_cardiac.benchmark.accuracy import budget_variants


def __getattr__(name: str) -> type:
    """Find trainers such as `CroCNetTrainer_Budget`."""
    return getattr(budget_variants, name)
