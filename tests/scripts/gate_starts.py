"""How often the classifier of the classifier-guided network shuts a class at the start, and what that costs.

python tests/scripts/gate_starts.py --starts 5 --steps 100 --warmup 0 5 --rate 1e-3

Narrow networks on runs of five slices of phantom stacks, two stacks a step, Adam, the paper's gated loss. Printed
for each length of the warm-up, in which all gates are open: starts in which a class is shut on every slice before the
first step, share of the steps and classes in which no gate was open, and Dice of unseen stacks after training,
predicted in runs of five slices and as a whole.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from phantom_stacks import foreground_dice, phantom_stacks
from tqdm import tqdm

from nnunet_cardiac.architectures import ClassifierGuidedNet
from nnunet_cardiac.cascade.whole_cases import WholeCase
from nnunet_cardiac.trainers.recipe.gated_loss import ClassifierGuidedLoss

_RUN = 5


def draw(stacks: list, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two runs of five slices of two stacks: images (2, 1, 5, Y, X) and labels of the same shape."""
    parts = []
    for image, labels in (stacks[i] for i in rng.permutation(len(stacks))[:2]):
        first = int(rng.integers(image.shape[1] - _RUN + 1))
        run = slice(first, first + _RUN)
        parts.append((image[:, run], labels[None, run]))
    return torch.stack([image for image, _ in parts]), torch.stack([labels for _, labels in parts])


def start(
    seed: int, steps: int, warmup: int, rate: float, training: list, unseen: list
) -> tuple[bool, float, float, float]:
    """Whether a class was shut at the start, share without an open gate, Dice of unseen stacks in runs and whole."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = ClassifierGuidedNet(1, 4, features=(8, 16, 32, 32, 32), squeeze="slice")
    loss, optimizer = ClassifierGuidedLoss(), torch.optim.Adam(net.parameters(), rate)
    shut = []
    for step in range(steps):
        loss.gates_open = step < warmup
        images, labels = draw(training, rng)
        output = net(images)
        shut.append(~(output.presence > 0).any(0))
        optimizer.zero_grad()
        loss(output, labels).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
    net.eval()
    scores = []
    with torch.inference_mode():
        for slices in (_RUN, 1000):
            case = WholeCase((slices, *unseen[0][0].shape[2:]))
            found = [foreground_dice(net.predict_case(image, case).argmax(0), labels) for image, labels in unseen]
            scores.append(float(np.mean(found)))
    return bool(shut[0].any()), float(torch.stack(shut).float().mean()), scores[0], scores[1]


def main() -> None:
    """Print a line for each length of the warm-up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, metavar="N")
    parser.add_argument("--steps", type=int, default=100, metavar="N")
    parser.add_argument("--warmup", type=int, nargs="+", default=[0, 5], metavar="STEPS")
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam; the paper's is 1e-4 (default: %(default)s)")
    args = parser.parse_args()
    training, unseen = phantom_stacks(12), phantom_stacks(3, 100)
    for warmup in args.warmup:
        rows = [
            start(seed, args.steps, warmup, args.rate, training, unseen)
            for seed in tqdm(range(args.starts), f"{warmup}")
        ]
        shut, without, runs, whole = (np.array(column, float) for column in zip(*rows, strict=True))
        print(
            f"warm-up of {warmup} steps: a class is shut at the start in {int(shut.sum())} of {len(rows)}, no gate of "
            f"a class open in {100 * without.mean():.1f} % of steps; Dice in runs {runs.mean():.3f} +- "
            f"{runs.std(ddof=1):.3f}, lowest {runs.min():.3f}; whole {whole.mean():.3f}, runs better in "
            f"{int((runs > whole).sum())}",
            flush=True,
        )


if __name__ == "__main__":
    main()
