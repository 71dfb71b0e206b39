"""Colours of the structures: the usual blue RV, green myocardium and red LV, from the palette of Okabe and Ito.

Its hues stay apart for the common colour vision deficiencies, and on dark images as well as on paper.
"""

from __future__ import annotations

STRUCTURE_COLOURS = {"RV": "#56b4e9", "MYO": "#00a878", "LV": "#ee6a2c", "LA": "#cc79a7"}
#: For structures that have no colour of their own.
OTHER_COLOUR = "#f0e442"
FILM = "#0c0f12"
FILM_TEXT = "#d7dde3"
INK = "#30363d"
GRID = "#e3e6ea"
#: Methods and groups: blue, orange, green, pink, sky and black of Okabe and Ito, dark enough for white paper.
METHOD_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#30363d")


def structure_colour(name: str) -> str:
    """Colour of a structure as `#rrggbb`."""
    return STRUCTURE_COLOURS.get(name, OTHER_COLOUR)
