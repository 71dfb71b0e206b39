"""Do the networks learn faster from the initialisation that nnU-Net gives its own networks?

python tests/scripts/initial_weights.py --steps 120 --seeds 3

nnU-Net calls a network's `initialize` on every module; ours define none, so weights are as torch and the blocks draw
them. Here each network, narrow, is trained for some steps on phantom slices or stacks with its own initial weights and
with nnU-Net's (He, negative slope 0.01, zero biases), and Dice of unseen ones is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from phantom_stacks import foreground_dice, phantom_stacks
from torch import nn
from tqdm import tqdm

from nnunet_cardiac.architectures import ClassifierGuidedNet, DilatedResidualUNet, E2AUNet, HALSRNet, SpecialistNetworks
from nnunet_cardiac.architectures.classifier_guided import StageOutputs
from nnunet_cardiac.trainers.recipe.gated_loss import ClassifierGuidedLoss
from nnunet_cardiac.trainers.recipe.losses import CrossEntropyDiceLoss

NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {  # network and axes of its input
    "E2AUNet": (lambda: E2AUNet(1, 4, features=(16, 32, 64, 128, 256), reference_size=(96, 96)), 2),
    "SpecialistNetworks": (lambda: SpecialistNetworks(4, 4, base_width=8, reference_size=(96, 96)), 2),
    "HALSRNet": (lambda: HALSRNet(1, 4, features=(32, 64, 128, 256, 512)), 2),
    "ClassifierGuidedNet": (lambda: ClassifierGuidedNet(1, 4, features=(16, 32, 64, 64, 64), squeeze="slice"), 3),
    "DilatedResidualUNet": (lambda: DilatedResidualUNet(1, 4, filters=8), 3),
}


def inputs(network: nn.Module, image: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Image (1, ...), and for specialists one-hot coarse labels, here shifted references."""
    if not isinstance(network, SpecialistNetworks):
        return image
    coarse = labels.roll((3, -2), (-2, -1))
    return torch.cat([image, *((coarse == value).float()[None] for value in (1, 2, 3))])


def trained(name: str, he: bool, seed: int, steps: int, training: list, unseen: list, rate: float = 1e-3) -> float:
    """Dice of unseen data after some steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    build, axes = NETWORKS[name]
    network = build()
    if he:
        network.apply(InitWeights_He(1e-2))
    loss, gated = CrossEntropyDiceLoss(), ClassifierGuidedLoss()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(steps):
        batch = []
        for image, labels in (training[i] for i in rng.permutation(len(training))[: 4 if axes == 2 else 2]):
            z = int(rng.integers(image.shape[1] - 4))
            part = z + 2 if axes == 2 else slice(z, z + 5)
            batch.append((inputs(network, image[:, part], labels[part]), labels[part]))
        x, y = (torch.stack(parts) for parts in zip(*batch, strict=True))
        output = network(x)
        value = gated if isinstance(output, StageOutputs) else loss
        optimizer.zero_grad()
        value(output, y[:, None]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
    network.eval()
    scores = []
    with torch.inference_mode():
        for image, labels in unseen:
            x = inputs(network, image, labels)
            out = network(x.movedim(1, 0)).movedim(1, 0) if axes == 2 else network(x[None])[0]
            scores.append(foreground_dice(out.argmax(0), labels))
    return float(np.mean(scores))


def main() -> None:
    """Print a line a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=120, metavar="N")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    args = parser.parse_args()
    training, unseen = phantom_stacks(12), phantom_stacks(4, 100)
    for name in args.network:
        scores = {
            he: [trained(name, he, seed, args.steps, training, unseen) for seed in tqdm(range(args.seeds), name)]
            for he in (False, True)
        }
        own, nnunet = (f"{np.mean(s):.3f} ({min(s):.3f} to {max(s):.3f})" for s in (scores[False], scores[True]))
        print(f"{name:22} own weights {own}   nnU-Net's {nnunet}", flush=True)


if __name__ == "__main__":
    main()
