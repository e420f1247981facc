"""The ink of one digit on paper: under uneven light, among rules, frames and other marks."""

from operator import le
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitline.data.background import Plane, contrast, darkened, inverted, steps
from digitline.data.choice import ALONE, CROWD, STRICT, USUAL, Limits, around, chosen, regrown
from digitline.data.even import NEAR, clean, strength
from digitline.data.rules import Lines, erased

Floats = NDArray[np.float32]

SMALLEST = 64  # pixels of the shorter side; on a smaller picture there is nothing to take away
WORKING = 480  # pixels of the longer side
WINDOWS = (4, 8, 14)  # of the shorter side; of the closing that gives the background
FEWER, INVERTED = (5,), 0.9  # where the ink has the other sign than it seems; its score by the other's
WHOLE = 0.85  # of the picture; in one cut close around its numbers a shorter line is a part of digits
MANY, BROKEN = 8, 0.35  # so many dark lines break the strokes: into parts so far apart, of a digit's length


class Reading(NamedTuple):
    """What was found in a picture."""

    ink: Floats  # [H, W], 0-1; zeros where nothing was found
    sure: bool  # whether it is one digit on paper, as far as can be seen
    crowd: bool = False  # whether so many marks lie there that no other reading is worth its time


def read(picture: Image.Image) -> Reading:
    """The ink of one digit in an upright RGB picture; a single mark on an empty, evenly lit sheet is taken as it is."""
    whole = strength(picture)
    if min(picture.size) < SMALLEST or not whole.any() or clean(picture, whole):
        return Reading(whole, sure=True)
    plane = darkened(reduced(picture))
    found, score = searched(plane, WINDOWS, USUAL)
    if not found.sure and not found.crowd:
        other, rival = searched(inverted(plane), FEWER, STRICT)
        found = other if rival > INVERTED * score and (other.sure or not score) else found
    return found if found.ink.any() else Reading(whole, sure=False)


def searched(plane: Plane, windows: tuple[int, ...], limits: Limits) -> tuple[Reading, float]:
    """The digit with the best score over these windows, the first one that is sure, and its score; 0 if there is none.

    The limits are those of the first window; a smaller one finds marks also where there is no paper.
    """
    edges, best, crowd = steps(plane, 7), None, False
    there: tuple[Lines, ...] = ()
    for part in windows:
        ink = contrast(plane, min(plane.values.shape) // part)
        ink, there = erased(ink, there)
        found = chosen(ink, edges, BROKEN if there[0].hiding >= MANY else NEAR)
        if not found:
            continue
        rest = around(ink, found)
        if found.certain and (all(map(le, rest, limits)) or (found.alone and all(map(le, rest, ALONE)))):
            return Reading(regrown(ink, found), sure=True), found.score
        if not best or found.score > best[0].score:
            best = found, ink
        if crowd := rest.others > CROWD:
            break
        limits = STRICT
    if not best:
        return Reading(np.zeros_like(edges), sure=False), 0.0
    digit, ink = best
    return Reading(regrown(ink, digit), sure=False, crowd=crowd), digit.score


def cleaned(picture: Image.Image) -> Floats:
    """All ink of a picture on paper, without shadows, rules and frames: [H, W], 0-1."""
    ink = contrast(darkened(picture), min(picture.size) // WINDOWS[0])
    return erased(ink, length=WHOLE)[0]


def reduced(picture: Image.Image) -> Image.Image:
    """The picture, at most WORKING pixels long."""
    factor = WORKING / max(picture.size)
    if factor >= 1:
        return picture
    size = [max(1, round(side * factor)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BOX)
