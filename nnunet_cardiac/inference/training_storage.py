"""How the images of a model's training set lie in their files, so that images to segment are brought to lie alike."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, REFERENCE, Matrix, Way, canonical_way, says_how_it_lies
from nnunet_cardiac.images.stored_ways import stored_ways
from nnunet_cardiac.inference.model_folder import StageFolder
from nnunet_cardiac.planning.orientation_record import read_record, readable_headers

#: What a user may say: as the training images, canonical whatever they were, or as in the file.
ORIENTATIONS = AUTO, CANONICAL, AS_STORED = "auto", "canonical", "as-stored"

#: Files of a training set that are read where nothing is recorded.
_ENOUGH = 200

_UNKNOWN = (
    "It is not known how the training images of this model lie in their files, so images are taken as they are stored. "
    "If the training images are canonical, as convert writes them, add --orientation canonical."
)


@dataclass(frozen=True)
class TrainingStorage:
    """How the training images lie.

    Attributes:
        way: From their storage to the canonical one; None if images are taken as they are stored.
        known_from: Where that comes from: `plans`, `validation`, `raw`, `preprocessed`, `asked`, or empty.
        warning: What a user should know; empty if nothing.
    """

    way: Way | None
    known_from: str = ""
    warning: str = ""

    def way_of(self, header: Header, like: Matrix | None = None) -> Way:
        """Return how an image is brought to lie as the training images; one that does not say how it lies stays.

        Args:
            header: Its geometry.
            like: Canonical axes of another stack of the study, one a column, see :func:`canonical_way`.
        """
        if self.way is None or not says_how_it_lies(header):
            return IDENTITY
        return canonical_way(header, REFERENCE if like is None else like).then(self.way.inverse)

    @property
    def record(self) -> str:
        """For the JSON file: `as-stored`, or the axes of the training images (:attr:`Way.code`)."""
        return AS_STORED if self.way is None else self.way.code


#: Of networks that come without a folder.
UNKNOWN = TrainingStorage(None, "", _UNKNOWN)


def find_training_storage(stages: Sequence[StageFolder], asked: str = AUTO) -> TrainingStorage:
    """Find out how the training images of a system lie.

    The plans say it where `plan` of this package wrote them. Else the headers of the validation predictions beside the
    weights do, of the raw images or of nnU-Net's copies of the references.

    Args:
        stages: First stage first; all are trained on the same images.
        asked: One of `ORIENTATIONS`, or a :attr:`Way.code` of the training images.

    Raises:
        UserError: If `asked` is none of them.
    """
    if asked != AUTO:
        return TrainingStorage(_way_of(asked), "asked")
    last = stages[-1].folder
    plans, ending = read_json(last / "plans.json"), read_json(last / "dataset.json").get("file_ending", "")
    recorded = read_record(plans)
    if recorded is not None:
        return TrainingStorage(recorded.way, "plans", _warning(recorded.way, recorded.ways))
    for origin, folders in _places(stages, str(plans.get("dataset_name", ""))).items():
        files = chain.from_iterable(sorted(folder.glob(f"*{ending}")) for folder in folders if ending)
        headers = readable_headers(islice(files, _ENOUGH), ending)
        if headers:  # the first place that has files decides: the others hold the same images
            found = stored_ways(headers)
            return TrainingStorage(found.usual, origin, _warning(found.usual, found.counts))
    return UNKNOWN


def _warning(usual: Way | None, ways: Mapping[str, int]) -> str:
    if usual is None or len(ways) < 2:
        return _UNKNOWN if usual is None else ""
    shown = ", ".join(f"{code} ({number})" for code, number in ways.items())
    return (
        f"The training images of this model lie in {len(ways)} ways: {shown}. Images are brought to lie as most of "
        "them do. Train on one way: nnunet_cardiac convert generic."
    )


def _way_of(asked: str) -> Way | None:
    if asked in (CANONICAL, AS_STORED):
        return IDENTITY if asked == CANONICAL else None
    try:
        return Way.of(asked)
    except ValueError as error:
        raise UserError(f"orientation is {asked!r}, expected one of {', '.join(ORIENTATIONS)}.") from error


def _places(stages: Sequence[StageFolder], dataset: str) -> dict[str, list[Path]]:
    """Where files of the training set may be: validation predictions lie as the images do, and so do references."""
    roots = {name: os.environ.get(f"nnUNet_{name}") for name in ("raw", "preprocessed")}
    of_dataset = {name: Path(root) / dataset for name, root in roots.items() if root and dataset}
    return {
        "validation": [folder for stage in reversed(stages) for folder in stage.folder.glob("fold_*/validation")],
        "raw": [of_dataset["raw"] / "imagesTr"] if "raw" in of_dataset else [],
        "preprocessed": [of_dataset["preprocessed"] / "gt_segmentations"] if "preprocessed" in of_dataset else [],
    }
