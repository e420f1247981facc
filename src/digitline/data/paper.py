"""The ink of one digit on paper: under uneven light, among rules, frames and other marks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitline.data.background import closed, contrast, darkened, spread, steps
from digitline.data.even import EDGE, FLOOR, strength
from digitline.data.marks import Marks, components
from digitline.data.rules import erased, lines

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SMALLEST = 64  # pixels of the shorter side; on a smaller picture there is nothing to take away
WORKING = 480  # pixels of the longer side
WINDOWS = (4, 6, 9, 12)  # of the shorter side; of the closing that gives the background
LEAST = 0.05  # of the picture's shorter side, and at least as long is a digit
CORE, REGROWN = 0.45, 0.2  # of a mark's contrast: what belongs to it, and what belongs to its edge
NEAR = 0.08  # of a digit's length; a mark as near to it is a part
INNER = 0.35  # of a frame's length; what is shorter inside a mark may be a blot in a digit
INSIDE = 0.15  # of a mark's length; on a clean sheet there is nothing that long inside it
EVEN = 0.03  # of the brightness; paper that varies more is not evenly lit
SHARP = 4  # contrast per length of a mark; a shadow's outline is softer
SHARPEST = 0.97  # of a mark's outline with a step; with less, there is a shadow in it, or no paper
CLUTTER = 0.25  # of a mark's contrast; what has more beside it is no paper
BETWEEN, BESIDE = 0.25, 0.9  # of a mark's area: clutter in its box, and in a quarter of its length around
OTHERS = 5  # marks of a quarter of its length
PARTS = 8  # of a mark on a clean sheet; a bar code has more
RIVAL = 0.55  # of the best mark's score; another one that has more could be the digit too


class Reading(NamedTuple):
    """What was found in a picture."""

    ink: Floats  # [H, W], 0-1; zeros where nothing was found
    sure: bool  # whether it is one digit on paper, as far as can be seen


class Choice(NamedTuple):
    """A mark that may be the digit."""

    mask: Mask  # [H, W]
    score: float
    sharp: float  # the share of its outline where the picture has a step too
    rival: float = 0  # the score of the next best


def read(picture: Image.Image) -> Reading:
    """The ink of one digit in an upright RGB picture; a single mark on an empty, evenly lit sheet is taken as it is."""
    whole = strength(picture)
    if min(picture.size) < SMALLEST or not whole.any() or clean(picture, whole):
        return Reading(whole, sure=True)
    plane = darkened(reduced(picture))
    edges = steps(plane, 7)
    best, there = None, None
    for part in WINDOWS:
        ink = contrast(plane, min(plane.values.shape) // part)
        there = there or lines(ink)
        ink = erased(ink, there)
        found = chosen(ink, edges)
        if found and (not best or found.score > 1.05 * best[0].score):
            best = found, ink
        if found and found.sharp > SHARPEST and found.rival < RIVAL * found.score:
            break
    if not best:
        return Reading(whole, sure=False)
    found, ink = best
    sure = found.sharp > SHARPEST and found.rival < RIVAL * found.score and alone(ink, found.mask)
    return Reading(ink_of(ink, found.mask), sure)


def alone(ink: Floats, mask: Mask) -> bool:
    """Whether the mark lies on paper: little other ink between its strokes and beside it, few marks like it."""
    pen = float(np.quantile(ink[mask], 0.9))
    top, left, bottom, right = box_of(mask)
    length = max(bottom - top, right - left)
    other = (ink > CLUTTER * pen) & (spread(mask.astype(np.uint8), 9, np.maximum, 0) == 0)
    gap, area = round(0.25 * length), int(mask.sum())
    beside = other[max(0, top - gap) : bottom + gap, max(0, left - gap) : right + gap].sum()
    between = other[top:bottom, left:right].sum()
    marks = components(other)
    rest = (marks.lengths > 0.25 * length) & ~marks.sides(ink.shape).any(1)
    return bool(between <= BETWEEN * area and beside <= BESIDE * area and rest.sum() <= OTHERS)


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """The top, left, bottom and right of a mask, the last two excluded."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def cleaned(picture: Image.Image) -> Floats:
    """All ink of a picture on paper, without shadows, rules and frames: [H, W], 0-1."""
    ink = contrast(darkened(picture), min(picture.size) // WINDOWS[0])
    return erased(ink, lines(ink))


def reduced(picture: Image.Image) -> Image.Image:
    """The picture, at most WORKING pixels long."""
    factor = WORKING / max(picture.size)
    if factor >= 1:
        return picture
    size = [max(1, round(side * factor)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BOX)


def clean(picture: Image.Image, whole: Floats) -> bool:
    """Whether nothing but one mark with a sharp outline lies on evenly lit paper; `whole` is its strength [H, W]."""
    marks = components(whole > EDGE)
    length = marks.lengths
    best = int(length.argmax())
    parts = grouped(marks.boxes, best, np.ones(len(length), bool), NEAR * length[best])
    sides = marks.sides(whole.shape)
    cut = (len(length) > 1 and bool(sides.any())) or bool((sides[:, :2] & sides[:, 2:]).any())
    return (
        bool(parts.all())
        and len(parts) <= PARTS
        and not cut
        and not marks.enclosing(INSIDE).any()
        and sharp(whole, int(length[best]))
        and even(picture, whole)
    )


def sharp(whole: Floats, length: int) -> bool:
    """Whether the strength falls steeply where it falls below EDGE."""
    down, right = np.abs(np.diff(whole, axis=0))[:, :-1], np.abs(np.diff(whole, axis=1))[:-1]
    inside = whole > EDGE
    outline = (inside[1:, :-1] != inside[:-1, :-1]) | (inside[:-1, 1:] != inside[:-1, :-1])
    outline |= np.zeros_like(outline)
    soft = (whole > FLOOR) & ~inside
    return (
        bool(outline.any()) and np.hypot(down, right)[outline].mean() * length > SHARP and soft.sum() < 4 * inside.sum()
    )


def even(picture: Image.Image, whole: Floats) -> bool:
    """Whether the paper's brightness is a plane, once what is darker or lighter than it is closed."""
    grey = picture.convert("L")
    pixels, mark = np.asarray(grey), whole > EDGE
    small = np.asarray(grey.resize((64, 64), Image.Resampling.BOX))
    plane = small if pixels[mark].mean() < pixels[~mark].mean() else 255 - small
    background = closed(plane, 20).astype(float).ravel()
    down, right = np.indices(small.shape).reshape(2, -1) / 32 - 1
    basis = np.stack([np.ones_like(down), down, right], 1)
    off = background - basis @ np.linalg.lstsq(basis, background)[0]
    return float(np.abs(off).max()) < EVEN * 255


def grouped(boxes: NDArray[np.int64], first: int, allowed: Mask, gap: float) -> Mask:
    """Which of the boxes [N, 4] are within that many pixels of the first one, directly or by way of others."""
    parts = np.zeros(len(boxes), bool)
    parts[first] = True
    while True:
        top, left, bottom, right = (boxes[parts][:, place] for place in range(4))
        high = np.maximum(top[:, None] - boxes[:, 2], boxes[:, 0] - bottom[:, None])
        wide = np.maximum(left[:, None] - boxes[:, 3], boxes[:, 1] - right[:, None])
        more = parts | (allowed & (np.maximum(high, wide) <= gap).any(0))
        if np.array_equal(more, parts):
            return parts
        parts = more


def chosen(ink: Floats, edges: Floats) -> Choice | None:
    """The mark that is most like a digit by its size, contrast and shape; none if there is none that is large enough."""
    top = float(np.quantile(ink[::2, ::2], 0.998))
    if top < FLOOR:
        return None
    found = [one for level in (0.6, 0.35, 0.2) for one in candidates(ink, edges, level * top)]
    if not found:
        return None
    best = max(found, key=lambda one: one.score)
    thick = spread(best.mask.astype(np.uint8), 9, np.maximum, 0) > 0
    rivals = [one.score for one in found if (one.mask & thick).sum() < 0.5 * one.mask.sum()]
    return best._replace(rival=max(rivals, default=0.0))


def candidates(ink: Floats, edges: Floats, level: float) -> list[Choice]:
    """The marks above that level, with their parts, that could be a digit; a few, the longest first."""
    marks = components(ink > level)
    length = marks.lengths
    inside = ~marks.sides(ink.shape).any(1)
    inside[inside] = ~marks.enclosing(INNER, inside)
    allowed = inside & (length >= LEAST * min(ink.shape))
    found = []
    for place in sorted(np.flatnonzero(allowed), key=lambda each: -length[each])[:5]:
        near = inside & (marks.areas > 0.04 * marks.areas[place]) & (length <= length[place])
        parts = grouped(marks.boxes, place, near, NEAR * length[place])
        mask = np.append(False, parts)[marks.labels]
        share = stepped(ink, mask, edges)
        found.append(Choice(mask, share**8 * score(ink, mask, marks, place), share))
    return found


def stepped(ink: Floats, mask: Mask, edges: Floats) -> float:
    """The share of a mark's outline near which the picture has a step of half the mark's contrast."""
    outline = mask & (spread(mask.astype(np.uint8), 3, np.minimum, 0) == 0)
    return float((edges[outline] > 0.5 * np.quantile(ink[mask], 0.9)).mean())


def score(ink: Floats, mask: Mask, marks: Marks, place: int) -> float:
    """How much a mark is like a digit: long, dark, and of strokes that are neither blots nor hair lines."""
    top, left, bottom, right = marks.boxes[place]
    length = max(bottom - top, right - left)
    values = ink[mask]
    padded = np.pad(mask, 1)
    outline = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    stroke = 2.5 * mask.sum() / outline / length  # a disc has 0.5, MNIST's strokes 0.1 to 0.25
    shape = 1 if stroke < 0.3 else max(0.05, 1 - 4 * (stroke - 0.3))
    return float(length * np.quantile(values, 0.9) * shape)


def ink_of(ink: Floats, mask: Mask) -> Floats:
    """The strength of the chosen mark alone, regrown to its edges: [H, W], 0-1."""
    pen = float(np.quantile(ink[mask], 0.9))
    top, left, bottom, right = box_of(mask)
    length = max(bottom - top, right - left)
    reach = 2 * max(2, round(0.04 * length)) + 1
    core = mask & (ink > CORE * pen)
    around = spread(core.astype(np.uint8), reach, np.maximum, 0) > 0
    found: Floats = np.where(around & (ink > REGROWN * pen), ink / pen, 0).clip(0, 1).astype(np.float32)
    return found
