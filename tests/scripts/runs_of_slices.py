"""Networks trained on runs of five slices: what predicting in runs does, against whole stacks at once.

python tests/scripts/runs_of_slices.py --starts 5 --steps 100

The narrow one-stage network without fusion (*Seg (SS)*), on runs of five slices of phantom stacks, two stacks a step,
Adam 2e-3, cross-entropy and Dice. Printed for each start: Dice of unseen stacks, in runs and whole, and how far logits
of the same slice lie apart, in standard deviations of the logits.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from gate_starts import draw
from phantom_stacks import foreground_dice, phantom_stacks

from nnunet_cardiac.architectures import ClassifierGuidedNet
from nnunet_cardiac.cascade.whole_cases import WholeCase
from nnunet_cardiac.trainers.recipe.gated_loss import StagesLoss
from nnunet_cardiac.trainers.recipe.losses import CrossEntropyDiceLoss

_RUN, _RATE = 5, 2e-3


def start(seed: int, steps: int, training: list, unseen: list) -> tuple[float, float, float]:
    """Dice of unseen stacks in runs and whole, and the distance of the logits."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = ClassifierGuidedNet(
        1, 4, features=(8, 16, 32, 32, 32), ref=False, fusion=False, classifier=None, squeeze="slice"
    )
    loss, optimizer = StagesLoss(CrossEntropyDiceLoss()), torch.optim.Adam(net.parameters(), _RATE)
    for _ in range(steps):
        images, labels = draw(training, rng)
        optimizer.zero_grad()
        loss(net(images), labels).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
    net.eval()
    scores: dict[int, list[float]] = {_RUN: [], 1000: []}
    apart = []
    with torch.inference_mode():
        for image, labels in unseen:
            logits = {n: net.predict_case(image, WholeCase((n, *image.shape[2:]))) for n in scores}
            for n, of_runs in scores.items():
                of_runs.append(foreground_dice(logits[n].argmax(0), labels))
            apart.append(float((logits[_RUN] - logits[1000]).square().mean().sqrt() / logits[1000].std()))
    return float(np.mean(scores[_RUN])), float(np.mean(scores[1000])), float(np.mean(apart))


def main() -> None:
    """Print a line a start, and means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, metavar="N")
    parser.add_argument("--steps", type=int, default=100, metavar="N")
    args = parser.parse_args()
    training, unseen = phantom_stacks(12), phantom_stacks(3, 100)
    rows = []
    for seed in range(args.starts):
        rows.append(start(seed, args.steps, training, unseen))
        print("start {}: Dice in runs {:.3f}, whole {:.3f}, logits {:.2f} SD apart".format(seed, *rows[-1]), flush=True)
    print("mean: Dice in runs {:.3f}, whole {:.3f}, logits {:.2f} SD apart".format(*np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
