"""Stop when validation no longer improves; the state is nnU-Net's own log, so a resumed training counts on."""

from __future__ import annotations

from collections.abc import Sequence


class EarlyStop(Exception):  # noqa: N818 a signal, not an error
    """Raised at the end of an epoch to leave nnU-Net's loop over epochs."""


def epochs_since_best(values: Sequence[float]) -> int:
    """Return how many epochs ago the best value was reached, 0 for the last one.

    Args:
        values: Validation measure of each epoch, higher is better; of equal values the first is the best, as for
            nnU-Net's best checkpoint.

    Raises:
        ValueError: If there are no values.
    """
    if not len(values):
        raise ValueError("no epoch has been validated yet.")
    best = max(values)
    return len(values) - 1 - next(i for i, value in enumerate(values) if value == best)
