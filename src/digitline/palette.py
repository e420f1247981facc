"""The colours of variants, told apart by the colour-blind too: the first six are Okabe and Ito's (2008)."""

from collections.abc import Iterable, Mapping

from digitline.leaderboard import base

BLUE = "#0072b2"
ORANGE = "#d55e00"
INK, SOFT, LINE, PAPER = "#1d2430", "#5c6675", "#dfe3e8", "#ffffff"  # words, their notes, grids, what all lies on
COLOURS = [BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#777777"]
CLASSES = [*COLOURS, "#b8a400", "#7f5aa2"]  # of the ten digits, which are named besides


def dashed(name: str, colours: Mapping[str, str]) -> bool:
    """Whether a row's lines are dashed: a vote's, beside those of its variant, whose colour it has."""
    return any(name.startswith(f"{other}_") and colours[other] == colours[name] for other in colours)


def colours(variants: Iterable[str], votes: Iterable[str] = ()) -> dict[str, str]:
    """A colour a variant, in the order of params.yaml wherever it stands; a vote has that of its variant."""
    own = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(variants)}
    return own | {vote: own[str(base(vote, own))] for vote in votes}
