"""What `plan --paper` takes from each paper, what is ours because the paper is silent, and what plans cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nnunet_cardiac.anatomy import canonical_anatomy

#: Ending of the name of the plans.
PAPER_SUFFIX = "Paper"


@dataclass(frozen=True)
class Notes:
    """Statements on one system.

    Attributes:
        stated: What the plans have from the paper, or from the authors' code where that is said.
        ours: What the plans need and the paper does not print.
        elsewhere: What the paper states and plans cannot express, with what happens instead.
        anatomies: Structures that the authors segment; None means any.
    """

    stated: tuple[str, ...]
    ours: tuple[str, ...]
    elsewhere: tuple[str, ...]
    anatomies: tuple[str, ...] | None = None


_DR_UNET = (
    "contrast equalised in each slice (CLAHE), volumes of mean 0 and variance 1",
    "short-axis stacks: 10 x 1.25 x 1.25 mm, padded with zeros to 16 x 256 x 256; slices not pooled (Keep Z); 32 "
    "filters (Table 3)",
    "Adam 1e-4, constant, until the validation stops improving, the best weights kept, no augmentation; multi-class "
    "Dice, for one structure Dice and binary cross-entropy",
)
_DR_UNET_ELSEWHERE = (
    "volumes larger than the patch are cropped at the centre; nnU-Net draws patches and predicts in tiles",
    "CLAHE comes before the normalisation; here the network does both, on what it sees",
    "80 percent of the cases in five folds, 20 percent kept apart; your folds are those of splits_final.json",
)

NOTES: dict[str, Notes] = {
    "CroCNetTrainer": Notes(
        stated=(
            "margin of 15 pixels around the largest connected region that is not background",
            "from the authors' code, which has the second stage alone: window of 128 x 128, one box for each image, "
            "pixels outside the enlarged box are zero, all coarse labels are shown",
            "Adam 1e-4, divided by 10 after 100 and 200 of 500 epochs; Dice; flips, elastic and affine deformation, "
            "blur, gamma, noise",
        ),
        ours=(
            "pixel size: nnU-Net's; patch of the first stage: 224 x 224; both are not printed",
            "batch of 8 (the authors' code of the second stage), an epoch is one pass",
            "coarse labels of training cases are predicted out of fold",
        ),
        elsewhere=("long-axis images, one slice each: the data set decides", "five folds: those of splits_final.json"),
        anatomies=("LV", "MYO", "RV"),
    ),
    "HALSRNetTrainer": Notes(
        stated=(
            "a regressed box for each image, a window around it",
            "Adam 1e-3, batch of 32, early stopping, dropout 0.3 to 0.5, no augmentation; half binary cross-entropy, "
            "half Dice; squared error of the corners",
        ),
        ours=(
            "pixel size and patch: nnU-Net's; window from the data set with a margin of 10 pixels; none is printed",
            "boxes of training cases are predicted out of fold; patience of 20 epochs, an epoch is one pass",
        ),
        elsewhere=(
            "boxes that look wrong are corrected by hand; nobody does it here",
            "one split in training, validation and test; your folds are those of splits_final.json",
        ),
        anatomies=("LV", "MYO"),
    ),
    "ClassifierGuidedTrainer": Notes(
        stated=(
            "pixels of 1.3 mm, slices not resampled, all slices of a time point in one sample",
            "Adam 1e-4, constant, 200 epochs; cross-entropy, gated by the classifier in the second stage, 0.1 of the "
            "classifier's; rotation, shift, flip and crop",
        ),
        ours=("patch of 192 x 192 pixels", "one stack a step, an epoch is one pass"),
        elsewhere=("one split by patient in training and test; your folds are those of splits_final.json",),
        anatomies=("LV", "MYO", "RV"),
    ),
    "DRUNetTrainer": Notes(
        stated=(*_DR_UNET, "training windows follow the activation map of the localiser, as those of prediction do"),
        ours=(
            "low resolution: the median volume has 128 pixels in-plane; 8 filters of the localiser",
            "window: 99 percent of the hearts with 15 mm on each side; its size is not printed",
            "batch of 2, patience of 20 epochs, an epoch is one pass",
            "other volumes: nnU-Net's grid and patch, which are not printed; 16 filters, the better row of Table 2",
        ),
        elsewhere=_DR_UNET_ELSEWHERE,
    ),
    "DRUNetEndToEndTrainer": Notes(
        stated=(
            *_DR_UNET,
            "3d_joint on the padded volumes, on which section 4 says that all networks were trained; 3d_joint_low on "
            "the downsampled image, of which section 2 says that it goes into the second network",
        ),
        ours=(
            "low resolution: the median volume has 128 pixels in-plane; 8 filters of the first network",
            "batch of 2, patience of 20 epochs, an epoch is one pass; both losses count the same",
            "other volumes: nnU-Net's grid and patch, which are not printed; 8 filters, as in Table 2",
        ),
        elsewhere=_DR_UNET_ELSEWHERE,
    ),
}


def paper_notes(trainer: str, labels: Mapping[str, object]) -> Iterator[str]:
    """Yield the lines that `plan --paper` prints.

    Args:
        trainer: Name in the registry.
        labels: Those of `dataset.json`.
    """
    notes = NOTES[trainer]
    yield from (f"Of the paper: {line}" for line in notes.stated)
    yield from (f"Ours: {line}" for line in notes.ours)
    yield from (f"Not in plans: {line}" for line in notes.elsewhere)
    if notes.anatomies is None:
        return
    named = {canonical_anatomy(name) for name in labels} - {None}
    more, less = sorted(named - set(notes.anatomies)), sorted(set(notes.anatomies) - named)
    if more:
        yield f"Not of the paper: the data set names {', '.join(more)}, which is segmented, too"
    if less:
        yield f"Not of the paper: the data set does not name {', '.join(less)}"
