"""Small phantom stacks for measurements that train a network for some steps; imported by the scripts beside it."""

from __future__ import annotations

import numpy as np
import torch
from tqdm import tqdm

from nnunet_cardiac.phantom.short_axis import make_study

MATRIX, SPACING_MM = (96, 96), (9.0, 2.0)


def phantom_stacks(patients: int, first_seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Z-scored images (1, Z, Y, X) and label maps (Z, Y, X) of end-diastole, a stack a patient."""
    stacks = []
    for seed in tqdm(range(first_seed, first_seed + patients), "phantom"):
        study = make_study(seed, matrix=MATRIX, spacing=SPACING_MM, phases_only=True)
        image, labels = study.phase(study.ed_frame)
        image = np.asarray(image, np.float32)
        image = (image - image.mean()) / image.std()
        stacks.append((torch.from_numpy(image)[None], torch.from_numpy(np.asarray(labels, np.int64))))
    return stacks


def foreground_dice(predicted: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean Dice of the foreground classes over label maps of one shape."""
    scores = []
    for value in labels.unique().tolist():
        if value:
            a, b = predicted == value, labels == value
            scores.append(2 * (a & b).sum().item() / max((a.sum() + b.sum()).item(), 1))
    return float(np.mean(scores))
