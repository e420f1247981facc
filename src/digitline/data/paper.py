"""The ink of one digit on paper: under uneven light, among rules, frames and other marks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitline.data.background import contrast, darkened, steps
from digitline.data.choice import alone, chosen, regrown
from digitline.data.even import NEAR, clean, strength
from digitline.data.rules import erased

Floats = NDArray[np.float32]

SMALLEST = 64  # pixels of the shorter side; on a smaller picture there is nothing to take away
WORKING = 480  # pixels of the longer side
WINDOWS = (4, 6, 9, 12)  # of the shorter side; of the closing that gives the background
MANY, BROKEN = 8, 0.25  # so many dark lines break the strokes: into parts so far apart, of a digit's length
BETTER = 1.05  # times the score has another window's mark that is taken instead


class Reading(NamedTuple):
    """What was found in a picture."""

    ink: Floats  # [H, W], 0-1; zeros where nothing was found
    sure: bool  # whether it is one digit on paper, as far as can be seen


def read(picture: Image.Image) -> Reading:
    """The ink of one digit in an upright RGB picture; a single mark on an empty, evenly lit sheet is taken as it is."""
    whole = strength(picture)
    if min(picture.size) < SMALLEST or not whole.any() or clean(picture, whole):
        return Reading(whole, sure=True)
    plane = darkened(reduced(picture))
    edges, there, best = steps(plane, 7), None, None
    for part in WINDOWS:
        ink = contrast(plane, min(plane.values.shape) // part)
        ink, there = erased(ink, there)
        found = chosen(ink, edges, BROKEN if there.hiding >= MANY else NEAR)
        if found and (not best or found.score > BETTER * best[0].score):
            best = found, ink
        if found and found.certain:
            break
    if not best:
        return Reading(whole, sure=False)
    digit, ink = best
    return Reading(regrown(ink, digit), sure=digit.certain and alone(ink, digit))


def cleaned(picture: Image.Image) -> Floats:
    """All ink of a picture on paper, without shadows, rules and frames: [H, W], 0-1."""
    ink = contrast(darkened(picture), min(picture.size) // WINDOWS[0])
    return erased(ink)[0]


def reduced(picture: Image.Image) -> Image.Image:
    """The picture, at most WORKING pixels long."""
    factor = WORKING / max(picture.size)
    if factor >= 1:
        return picture
    size = [max(1, round(side * factor)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BOX)
