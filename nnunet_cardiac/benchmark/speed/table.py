"""Measurements as text. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SIZE_HEAD = ("network", "input", "M parameters", "GFLOP forward", "GMAC step", "peak MiB")
_TIME_HEAD = ("median ms", "fastest ms", "ms/image", "ns/pixel", "x nnU-Net")


def speed_tables(results: Sequence[dict[str, Any]]) -> str:
    """Return three aligned tables: sizes, forward passes, training steps.

    Args:
        results: Measurements as `Measurement.as_dict` gives them; those of one input stand together.
    """
    tables = [
        ["Size, arithmetic of one image, memory of training", *_aligned([_SIZE_HEAD, *map(_size_row, results)])],
        ["Forward pass of a batch", *_aligned([("network", "input", *_TIME_HEAD), *_time_rows(results, "forward")])],
        ["Training step with a batch", *_aligned([("network", "input", *_TIME_HEAD), *_time_rows(results, "step")])],
    ]
    return "\n\n".join("\n".join(lines) for lines in tables)


def _names(result: dict[str, Any]) -> tuple[str, str]:
    return f"{result['trainer']} {result['configuration']}", " x ".join(map(str, result["input"]))


def _size_row(result: dict[str, Any]) -> tuple[str, ...]:
    peak = result["peak_bytes"]
    return (
        *_names(result),
        f"{result['parameters'] / 1e6:.3f}",
        f"{result['forward_gflop_per_image']:.2f}",
        f"{result['step_gmac_per_image']:.2f}",
        "not measured" if peak is None else f"{peak / 2**20:.0f}",
    )


def _time_rows(results: Sequence[dict[str, Any]], kind: str) -> list[tuple[str, ...]]:
    return [
        (
            *_names(result),
            f"{1e3 * result[kind]['median_s']:.1f}",
            f"{1e3 * result[kind]['fastest_s']:.1f}",
            f"{1e3 * result[kind]['s_per_image']:.1f}",
            f"{1e9 * result[kind]['s_per_pixel']:.1f}",
            f"{result[kind]['ratio_of_medians']:.2f}",
        )
        for result in results
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names to the left, everything else to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
