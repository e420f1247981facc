"""Ways to cut ink in which digits may touch: seams from top to bottom that cross as little of it as they can."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

FINE = 32  # pixels of a digit's height, while seams are looked for
ASIDE = 0.04  # the cost of a step to the side, in pixels of full ink
LONGEST = 0.4  # of a digit's height; a seam through more ink is none
LEAST, OTHER = 0.08, 0.06  # of the ink, on each side of a seam and between two of them
MOST = 5  # seams


class Seam(NamedTuple):
    left: Mask  # [H, W], what lies left of it
    crossed: float  # how much ink it crosses, in heights of a digit


def seams(ink: Floats, height: float) -> list[Seam]:
    """The best cuts of ink [H, W], 0-1, from left to right, in a line whose digits are that many pixels high."""
    factor = FINE / height
    size = [max(3, round(side * factor)) for side in ink.shape[::-1]]
    small = np.asarray(Image.fromarray(ink).resize((size[0], size[1]), Image.Resampling.BOX))
    paths, costs = cheapest(small)
    before = np.pad(np.cumsum(small, 1), ((0, 0), (1, 0)))
    shares = before[np.arange(len(small)), paths].sum(1) / small.sum()
    chosen: list[int] = []
    for place in np.argsort(costs, kind="stable").tolist():
        if costs[place] > LONGEST * FINE or len(chosen) == MOST:
            break
        apart = all(abs(shares[place] - shares[other]) > OTHER for other in chosen)
        if LEAST < shares[place] < 1 - LEAST and apart:
            chosen.append(place)
    rows = np.arange(len(ink)) * len(small) // len(ink)
    columns, scale = np.arange(ink.shape[1]), ink.shape[1] / small.shape[1]
    return [
        Seam(columns < scale * paths[place][rows][:, None], float(costs[place] / FINE))
        for place in sorted(chosen, key=lambda place: shares[place])
    ]


def cheapest(ink: Floats) -> tuple[NDArray[np.int64], Floats]:
    """For each column [W - 1] where a seam may begin at the top: its best way down, [W - 1, H], and its cost.

    A way is between two columns of a row: at 1 between the first two. Each step down goes at most one column aside.
    """
    height, width = ink.shape
    crossed = np.maximum(ink[:, 1:], ink[:, :-1])
    starts = width - 1
    totals = np.full((starts, starts + 2), np.inf, np.float32)  # by beginning and place, with a margin
    inner = totals[:, 1:-1]
    np.fill_diagonal(inner, crossed[0])
    steps = np.zeros((height, starts, starts), np.int8)
    for row in range(1, height):
        left, right = totals[:, :-2] + ASIDE, totals[:, 2:] + ASIDE
        side = np.minimum(left, right)
        steps[row] = np.where(inner <= side, 0, np.where(left <= right, -1, 1))
        inner[:] = np.minimum(inner, side) + crossed[row]
    place = inner.argmin(1)
    every = np.arange(starts)
    costs: Floats = inner[every, place]
    paths = np.empty((starts, height), np.int64)
    for row in range(height - 1, -1, -1):
        paths[:, row] = place + 1
        place = place + steps[row, every, place]
    return paths, costs
