"""Seeds: what they fix, and what they must not cost."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.utils.deterministic

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.trainers.recipe.reproducibility import VARIABLE, make_deterministic, requested_seed


@pytest.fixture
def restored() -> Iterator[None]:
    """Leave torch's settings as they were."""
    filling, benchmark = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = filling
    torch.backends.cudnn.benchmark = benchmark


def draw() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_a_seed_fixes_all_generators_and_asks_for_deterministic_kernels(restored: None) -> None:
    make_deterministic(5)
    first = draw()
    make_deterministic(5)
    assert draw() == first
    make_deterministic(6)
    assert all(a != b for a, b in zip(draw(), first, strict=True))
    assert torch.are_deterministic_algorithms_enabled()


def test_new_memory_is_not_filled(restored: None) -> None:
    make_deterministic(5)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.empty(100)
    assert "aten::empty" in {event.key for event in profile.key_averages()}
    assert "aten::fill_" not in {event.key for event in profile.key_averages()}


@pytest.mark.parametrize(("value", "seed"), [("", None), (" ", None), ("0", 0), ("12", 12)])
def test_seed_from_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, seed: int | None) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert requested_seed() == seed


@pytest.mark.parametrize("value", ["-1", "1.5", "x"])
def test_what_is_no_seed_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(UserError, match=f"{VARIABLE} is '{value}'.*whole number"):
        requested_seed()
