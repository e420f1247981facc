"""The colours of variants, safe for colour-blind readers: the first six are Okabe and Ito's (2008)."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

BLUE = "#0072b2"
ORANGE = "#d55e00"
INK, SOFT, LINE, PAPER = "#1d2430", "#5c6675", "#dfe3e8", "#ffffff"  # text, notes, grid lines, background
COLOURS = [BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#777777"]
CLASSES = [*COLOURS, "#b8a400", "#7f5aa2"]  # of the ten digits, which also have labels


class Style(NamedTuple):
    """The style of a row."""

    colour: str
    dashed: bool = False  # a vote, to distinguish it from its variant, whose colour it has


def styles(variants: Iterable[str], votes: Mapping[str, str]) -> dict[str, Style]:
    """One colour per variant, assigned in the order of params.yaml; a vote has the colour of its variant."""
    own = {name: Style(COLOURS[place % len(COLOURS)]) for place, name in enumerate(variants)}
    return own | {vote: Style(own[name].colour, dashed=True) for vote, name in votes.items()}
