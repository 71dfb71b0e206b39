"""Label maps that two patients share: a file copied under a wrong name, or one heart under two names."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nnunet_cardiac.patients.cohort import CaseName

logger = logging.getLogger(__name__)


def warn_of_copies(
    keys: Sequence[tuple[str, int, str]], digests: Sequence[tuple[str, str]], names: Mapping[str, CaseName]
) -> None:
    """Log references, and predictions of a method, that are the same for different patients.

    Args:
        keys: Method, run and case of each comparison.
        digests: Hash of the label map of the reference and of the prediction of each; empty where nothing is labelled.
        names: Case -> patient.
    """
    references = {case: digest for (_, _, case), (digest, _) in zip(keys, digests, strict=True)}
    for pair in copies(references.items(), names):
        logger.warning("The references of %s and %s hold the same voxels; is one a copy?", *pair)
    for method in dict.fromkeys(method for method, _, _ in keys):
        own = [(key[2], predicted) for key, (_, predicted) in zip(keys, digests, strict=True) if key[0] == method]
        for pair in copies(own, names):
            logger.warning("%s: the predictions of %s and %s hold the same voxels; is one a copy?", method, *pair)


def copies(digests: Iterable[tuple[str, str]], names: Mapping[str, CaseName]) -> Iterator[tuple[str, str]]:
    """Yield pairs of cases with one hash that belong to different patients, the first case of a hash with each other.

    Args:
        digests: Case and hash; an empty hash is left out.
        names: Case -> patient.
    """
    seen: dict[str, str] = {}
    for case, digest in digests:
        first = seen.setdefault(digest, case)
        if digest and names[first].patient != names[case].patient:
            yield first, case
