"""The ink of one digit on paper: under uneven light, among rules, frames and other marks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitline.data.background import contrast
from digitline.data.marks import Marks, components
from digitline.data.rules import erased

Floats = NDArray[np.float32]

WORKING = 480  # pixels of the longer side
WINDOWS = (4, 7)  # of the shorter side; of the closing that gives the background


class Reading(NamedTuple):
    """What was found in a picture."""

    ink: Floats  # [H, W], 0-1; zeros where nothing was found
    sure: bool  # whether it is one digit on paper, as far as can be seen


def cleaned(picture: Image.Image, window: int | None = None) -> Floats:
    """All ink of a picture on paper, without shadows, rules and frames: [H, W], 0-1."""
    return erased(contrast(picture, window or min(picture.size) // WINDOWS[0]))


def reduced(picture: Image.Image) -> Image.Image:
    """The picture, at most WORKING pixels long."""
    factor = WORKING / max(picture.size)
    if factor >= 1:
        return picture
    size = [max(1, round(side * factor)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BOX)
