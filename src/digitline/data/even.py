"""A single mark on empty, evenly lit paper: whether a picture shows that, and its ink."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitline.data.background import closed
from digitline.data.marks import components, grouped

Floats = NDArray[np.float32]

MIN_CONTRAST = 24  # of 255; with less, the sheet is blank
FLOOR = 0.1  # of the strongest ink; less is paper: grain and JPEG artefacts
EDGE = 0.3  # of the strongest ink; the digit's box ends there
NEAR = 0.08  # of a mark's length; what is as near to it is a part
PARTS = 8  # of a mark; a bar code has more
SHEET = 0.65  # the share of its box that a sheet fills; a digit half as large as the picture fills less
INSIDE = 0.15  # of a mark's length; on a clean sheet there is nothing that long inside it
EVEN = 0.03  # of the brightness; paper that varies more is not evenly lit
SHARP = 4  # contrast per length of a mark; a shadow's outline is softer


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


def clean(picture: Image.Image, whole: Floats) -> bool:
    """Whether nothing but one mark with a sharp outline lies on evenly lit paper; `whole` is its strength [H, W]."""
    marks = components(whole > EDGE)
    length = marks.lengths
    if len(length) > PARTS:
        return False
    best = int(length.argmax())
    parts = grouped(marks.boxes, best, np.ones(len(length), bool), NEAR * length[best])
    sides = marks.sides(whole.shape)
    cut = (len(length) > 1 and bool(sides.any())) or bool((sides[:, :2] & sides[:, 2:]).any())
    filled = marks.areas[best] / np.prod(sizes := marks.boxes[best, 2:] - marks.boxes[best, :2])
    if filled > SHEET and (sizes > np.array(whole.shape) / 2).all():
        return False  # it is the sheet, on a table
    return (
        bool(parts.all())
        and not cut
        and not marks.enclosing(INSIDE).any()
        and sharp(whole, int(length[best]))
        and evenly_lit(picture, whole)
    )


def sharp(whole: Floats, length: int) -> bool:
    """Whether the strength falls steeply where it falls below EDGE."""
    down, right = np.abs(np.diff(whole, axis=0))[:, :-1], np.abs(np.diff(whole, axis=1))[:-1]
    inside = whole > EDGE
    outline = (inside[1:, :-1] != inside[:-1, :-1]) | (inside[:-1, 1:] != inside[:-1, :-1])
    soft = (whole > FLOOR) & ~inside
    return (
        bool(outline.any()) and np.hypot(down, right)[outline].mean() * length > SHARP and soft.sum() < 4 * inside.sum()
    )


def evenly_lit(picture: Image.Image, whole: Floats) -> bool:
    """Whether the paper's brightness is a plane, once what is darker or lighter than it is closed."""
    grey = picture.convert("L")
    pixels, mark = np.asarray(grey), whole > EDGE
    small = np.asarray(grey.resize((64, 64), Image.Resampling.BOX))
    plane = small if pixels[mark].mean() < pixels[~mark].mean() else 255 - small
    background = closed(plane, 30).astype(float).ravel()
    down, right = np.indices(small.shape).reshape(2, -1) / 32 - 1
    basis = np.stack([np.ones_like(down), down, right], 1)
    off = background - basis @ np.linalg.lstsq(basis, background)[0]
    return float(np.abs(off).max()) < EVEN * 255
