"""The ink of a mark on evenly lit paper: how far each pixel's colour is from the paper's towards the pen's."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

MIN_CONTRAST = 24  # of 255; with less, the sheet is blank
FLOOR = 0.1  # of the strongest ink; less is paper: grain and JPEG artefacts
EDGE = 0.3  # of the strongest ink; the digit's box ends there


def strength(picture: Image.Image) -> Floats:
    """How far each pixel's colour is from the paper's towards the pen's: [H, W], 0-1."""
    bands = [np.asarray(band) for band in picture.split()]
    grey = all(np.array_equal(bands[0], band) for band in bands[1:])
    planes = np.stack(bands[:1] if grey else bands).astype(np.float32)  # [1 or 3, H, W]
    planes -= paper(planes)
    distance = np.abs(planes).max(0)
    if distance.max() < MIN_CONTRAST:
        return np.zeros_like(distance)
    row, column = np.unravel_index(distance.argmax(), distance.shape)
    likeness = np.einsum("c,chw->hw", planes[:, row, column], planes)
    colour = planes[:, likeness > likeness.max() / 2].mean(1)
    found: Floats = np.einsum("c,chw->hw", colour, planes)
    found /= found.max()
    found[found < FLOOR] = 0
    return found


def paper(planes: Floats) -> Floats:
    """The paper's colour under even or uneven light: a plane fitted to the border pixels without ink."""
    height, width = planes.shape[1:]
    down, right = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    frame = np.ones((height, width), bool)
    frame[1:-1, 1:-1] = False
    row, column = np.nonzero(frame)
    basis, colours = np.stack([np.ones_like(down[row]), down[row], right[column]], 1), planes[:, frame].T
    fitted = np.median(colours, axis=0)
    for _ in range(3):
        off = np.abs(colours - fitted).max(1)
        near = off <= 2 * np.median(off) + 1
        level, tilt, lean = np.linalg.lstsq(basis[near], colours[near])[0]
        fitted = basis @ np.stack([level, tilt, lean])
    sheet: Floats = level[:, None, None] + tilt[:, None, None] * down[:, None] + lean[:, None, None] * right
    return sheet
