"""Classifier-guided two-stage network: all slices of a stack at once, refined, and gated by what a slice holds."""

from __future__ import annotations

from typing import Any

from nnunet_cardiac.systems.facts import AsInPaper, System, TrainerFacts
from nnunet_cardiac.systems.kinds import Network, WholeStack
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.systems.rows import Row, RowStage
from nnunet_cardiac.systems.short import STACKS
from nnunet_cardiac.systems.shown import Shown

TRAINER = "ClassifierGuidedTrainer"
CLASSIFIER_GUIDED = "nnunet_cardiac.architectures.classifier_guided.ClassifierGuidedNet"

#: Adam 1e-4, constant, 200 epochs; one stack a step is ours, the paper names no batch size.
RECIPE = Recipe(epochs=200, batch_size=1, loss="gated")

_NARROW = Network(CLASSIFIER_GUIDED, {"features": [16, 32, 64, 64, 64]})


def _row(title: str, configuration: str, **switches: Any) -> Row:
    stage = RowStage(configuration)
    if switches:
        stage = RowStage(configuration, "2d_stack", Network(CLASSIFIER_GUIDED, switches))
    return Row(title, TRAINER, (stage,))


SYSTEM = System(
    key="classifier-guided",
    title="Classifier-guided",
    paper="Chen et al., Enhancing cardiac MRI segmentation via classifier-guided two-stage network and all-slice "
    "information fusion transformer, arXiv:2309.00800, 2023",
    place=3,
    trainers=(
        TrainerFacts(
            name=TRAINER,
            module="nnunet_cardiac.trainers.classifier_guided",
            anatomies=("LV", "MYO", "RV"),
            network=CLASSIFIER_GUIDED,
            recipe=RECIPE,
            short_slices=5,
            configurations=(
                WholeStack(
                    name="2d_stack",
                    purpose="both stages with slice fusion and classifier, on whole stacks",
                    network=Network(CLASSIFIER_GUIDED),
                    narrow=_NARROW,
                    short=STACKS,
                ),
                WholeStack(
                    name="2d_stack_single",
                    purpose="ablation: one stage, slice by slice",
                    network=Network(CLASSIFIER_GUIDED, {"ref": False, "fusion": False, "classifier": None}),
                    narrow=_NARROW,
                    short=STACKS,
                ),
            ),
            parameters={"ClassifierGuidedNet": 21.19, "single": 7.419},
            paper=AsInPaper(
                recipe=RECIPE,
                stated=(
                    "pixels of 1.3 mm, slices not resampled, all slices of a time point in one sample",
                    "Adam 1e-4, constant, 200 epochs; cross-entropy, gated by the classifier in the second stage, 0.1 "
                    "of the classifier's; rotation, shift, flip and crop",
                ),
                ours=("patch of 192 x 192 pixels", "one stack a step, an epoch is one pass"),
                elsewhere=("one split by patient in training and test; your folds are those of splits_final.json",),
                anatomies=("LV", "MYO", "RV"),
            ),
        ),
    ),
    rows={
        "guided-ss": _row("Seg (SS)", "2d_stack_single"),
        "guided-ss-ref": _row("Seg (SS) + Ref (SS w/o MT)", "2d_stack_ss_ref", fusion=False, classifier=None),
        "guided-ss-ref-mt": _row("Seg (SS) + Ref (SS w/ MT)", "2d_stack_ss_ref_mt", fusion=False),
        "guided-as": _row("Seg (AS)", "2d_stack_as", ref=False, classifier=None),
        "guided-as-mt": _row("Seg (AS + MT)", "2d_stack_as_mt", ref=False, classifier="seg"),
        "guided-as-ref": _row("Seg (AS) + Ref (AS w/o MT)", "2d_stack_as_ref", classifier=None),
        "guided": _row("Seg (AS) + Ref (AS w/ MT)", "2d_stack"),
    },
    shown=Shown(
        name="The classifier-guided network",
        trainer=TRAINER,
        trained={"2d_stack_single": 100, "2d_stack": 200},
        predicted_from={"2d_stack_single": None, "2d_stack": None},
        names={"2d_stack_single": "One stage, slice by slice", "2d_stack": "Two stages, all slices, classifier"},
        preprocessed=("2d_stack",),
        final="2d_stack",
    ),
)
