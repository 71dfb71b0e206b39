"""Types of command-line arguments."""

from __future__ import annotations

import argparse


def natural(text: str) -> int:
    """A whole number of at least 0."""
    return _whole(text, 0)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1)


def classes(text: str) -> int:
    """A number of classes, background included."""
    return _whole(text, 2)


def fold(text: str) -> str:
    """The number of a fold, or `all`; whether the data set has it is known later."""
    return text if text == "all" else str(_whole(text, 0))


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
    return int(text)
