"""Height and weight as the sources give them: empty cells, words, other units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnunet_cardiac.datasets.subject import Subject
from nnunet_cardiac.patients.csv_table import number

#: Column -> plausible range. Outside lie zeros for "unknown" and heights in m.
RANGES: Mapping[str, tuple[float, float]] = {"height_cm": (30.0, 250.0), "weight_kg": (2.0, 350.0)}


def body_size(facts: Mapping[str, object]) -> dict[str, float | None]:
    """Return height and weight where they are plausible numbers, else None, so that no index is made of them."""
    return {name: _plausible(facts[name], *limits) for name, limits in RANGES.items() if name in facts}


def left_empty(subjects: Sequence[Subject]) -> Iterator[str]:
    """Yield a sentence if heights or weights were given that are none."""
    for name, (low, high) in RANGES.items():
        wrong = [s for s in subjects if str(s.facts.get(name) or "").strip() and body_size(s.facts)[name] is None]
        if wrong:
            first = f"{wrong[0].patient}: {wrong[0].facts[name]!r}"
            yield f"{name} of {len(wrong)} patients left empty ({first}); expected a number from {low:g} to {high:g}"


def _plausible(value: object, low: float, high: float) -> float | None:
    found = number(str(value))
    return found if found is not None and low <= found <= high else None
