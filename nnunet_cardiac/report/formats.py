"""How numbers and durations are written on a page."""

from __future__ import annotations

import math

NOT_AVAILABLE = "–"


def number(value: float, digits: int, signed: bool = False) -> str:
    """Format a number with a fixed count of decimals and a true minus sign; a dash for NaN."""
    if math.isnan(value):
        return NOT_AVAILABLE
    rounded = round(value, digits) + 0.0  # no negative zero
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Format seconds as `0.4 s`, `42 s`, `3 min 05 s` or `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
