"""The colours of variants, told apart by the colour-blind too: the first six are Okabe and Ito's (2008)."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

BLUE = "#0072b2"
ORANGE = "#d55e00"
INK, SOFT, LINE, PAPER = "#1d2430", "#5c6675", "#dfe3e8", "#ffffff"  # words, their notes, grids, what all lies on
COLOURS = [BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#777777"]
CLASSES = [*COLOURS, "#b8a400", "#7f5aa2"]  # of the ten digits, which are named besides


class Style(NamedTuple):
    """How a row is drawn."""

    colour: str
    dashed: bool = False  # a vote, beside the lines of its variant, whose colour it has


def styles(variants: Iterable[str], votes: Mapping[str, str]) -> dict[str, Style]:
    """A colour a variant, in the order of params.yaml wherever it stands; a vote has that of its variant."""
    own = {name: Style(COLOURS[place % len(COLOURS)]) for place, name in enumerate(variants)}
    return own | {vote: Style(own[name].colour, dashed=True) for vote, name in votes.items()}
