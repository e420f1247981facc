"""Which mark on paper is the digit, and its ink."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitline.data.background import spread
from digitline.data.even import FLOOR, NEAR
from digitline.data.marks import components, grouped

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEVELS = (0.6, 0.35, 0.2)  # of the darkest ink; marks are looked for above each
LEAST = 0.05  # of the picture's shorter side, and at least as long is a digit
SPECK = 0.015  # of the picture's shorter side; what is shorter is no part of a digit either
MOST = 80  # marks that are looked at, the longest
TRIED = 5  # of them as the digit
INNER = 0.35  # of a frame's length; what is shorter inside a mark may be a blot in a digit
MOST_OF = 0.8  # of the picture's height and width; what is larger is the sheet's edge or a frame
FINEST = 0.02  # of its length is the width of a line that no pen draws
HAIR = 0.035  # of its length is the width of a line that is no digit, if it is straight
LONG, RIM = 0.45, 0.12  # of the picture's side: such a line is longer, or lies as near to the border
PART = 0.04  # of a digit's area has its smallest part
BAR, APART, FLAT = 0.25, 0.3, 0.67  # of a digit's length is a bar that far above the rest, as of a 5; its height
FLIMSY = 0.35  # of the rest's area per length; a bar has more
CORE, REGROWN = 0.45, 0.2  # of a mark's contrast: what belongs to it, and what belongs to its edge
SHARPEST = 0.95  # of a mark's outline with a step; with less, there is a shadow in it, or no paper
BROADEST = 0.27  # of its length is the width of a digit's strokes; of a door or a flower it is more
SOLID, LEAN = 0.7, 0.4  # the share of its box that no digit fills, unless it is lean: a 1
MOST_WINDING = 9  # times its length is a digit's outline; leaves and windows have more
RIVAL = 0.55  # of the best mark's score; another one that has more could be the digit too
CLUTTER = 0.25  # of a mark's contrast; what has more beside it is no paper
THIN = 4  # pixels; what is thinner is left of a rule
CROWD = 12  # marks of a quarter of its length; with more, this is no sheet with one digit


class Limits(NamedTuple):
    """What else may lie on a sheet with one digit."""

    between: float  # of the digit's area: ink in its box
    beside: float  # of the digit's area: ink in a quarter of its length around it
    others: int  # marks of a quarter of its length


USUAL, STRICT = Limits(0.2, 0.17, 5), Limits(0.1, 0.1, 2)


ALONE = Limits(0.2, 0.32, 1)  # around a mark without any rival, as under two shadows


class Choice(NamedTuple):
    """A mark that may be the digit."""

    mask: Mask  # within its box
    box: tuple[slice, slice]  # rows and columns
    pen: float  # its contrast
    score: float  # how much it is like a digit
    sharp: float  # the share of its outline where the picture has a step too
    stroke: float  # how wide its strokes are, of its length
    winding: float  # how long its outline is, of its length
    rival: float = 0  # the score of the next best

    @property
    def length(self) -> int:
        """The longer side of its box."""
        return int(max(self.mask.shape))

    @property
    def alone(self) -> bool:
        """Whether no other mark comes near it and it is no hair line."""
        return self.rival < 0.2 * self.score and self.stroke > HAIR

    @property
    def certain(self) -> bool:
        """Whether it consists of strokes with an outline and no other mark is as likely."""
        solid = self.mask.mean() > SOLID and min(self.mask.shape) > LEAN * self.length
        strokes = self.stroke < BROADEST and self.winding < MOST_WINDING and not solid
        return strokes and self.sharp > SHARPEST and self.rival < RIVAL * self.score


def chosen(ink: Floats, edges: Floats, near: float = NEAR) -> Choice | None:
    """The mark that is most like a digit by its size, contrast, outline and shape; none if none is large enough.

    Marks within `near` of its length are its parts.
    """
    top = float(np.quantile(ink[::2, ::2], 0.998))
    if top < FLOOR:
        return None
    found = [one for level in LEVELS for one in candidates(ink, edges, level * top, near)]
    if not found:
        return None
    best = max(found, key=lambda one: one.score)
    return best._replace(rival=max((one.score for one in found if apart(one, best)), default=0.0))


def apart(one: Choice, other: Choice) -> bool:
    """Whether less than half of the smaller box lies in the other."""
    shared, sizes = 1, [1, 1]
    for mine, theirs in zip(one.box, other.box, strict=True):
        shared *= max(0, min(mine.stop, theirs.stop) - max(mine.start, theirs.start))
        sizes = [sizes[0] * (mine.stop - mine.start), sizes[1] * (theirs.stop - theirs.start)]
    return shared < 0.5 * min(sizes)


def candidates(ink: Floats, edges: Floats, level: float, near: float) -> list[Choice]:
    """The longest marks above that level, with their parts, that could be a digit."""
    marks = components(ink > level)
    side = min(ink.shape)
    inside = ~marks.sides(ink.shape).any(1) & (marks.lengths >= SPECK * side)
    places = np.flatnonzero(inside)[np.argsort(-marks.lengths[inside], kind="stable")[:MOST]]
    places = places[~marks.enclosing(INNER, places)]
    boxes, lengths, areas = marks.boxes[places], marks.lengths[places], marks.areas[places]
    found = []
    for place in range(int((lengths >= LEAST * side).sum()))[:TRIED]:
        allowed = (areas > PART * areas[place]) & (lengths <= lengths[place])
        parts = grouped(boxes, place, allowed, near * lengths[place])
        bars = allowed & (lengths > BAR * lengths[place]) & barred(boxes, areas / lengths, place)
        parts |= grouped(boxes, place, parts | bars, APART * lengths[place])
        top, left = boxes[parts, :2].min(0).tolist()
        bottom, right = boxes[parts, 2:].max(0).tolist()
        box = (slice(top, bottom), slice(left, right))
        if bottom - top < MOST_OF * ink.shape[0] or right - left < MOST_OF * ink.shape[1]:
            found.append(judged(np.isin(marks.labels[box], places[parts] + 1), box, ink, edges))
    return found


def barred(boxes: NDArray[np.int64], thick: NDArray[np.float64], place: int) -> Mask:
    """Which boxes [N, 4] are a bar above that one's middle, or have that one as a bar above their middle.

    What is thin against it, by area per length, is what is left of a frame.
    """
    wide = boxes[:, 3] - boxes[:, 1]
    flat = (boxes[:, 2] - boxes[:, 0] < FLAT * wide) & (thick > HAIR * wide)
    middles = (boxes[:, 0] + boxes[:, 2]) / 2
    above = flat & (boxes[:, 2] < middles[place]) & (thick > FLIMSY * thick[place])
    below = flat[place] & (boxes[place, 2] < middles) & (thick[place] > FLIMSY * thick)
    either: Mask = above | below
    return either


def judged(mask: Mask, box: tuple[slice, slice], ink: Floats, edges: Floats) -> Choice:
    """A mark with its score: it is high if the mark is long, dark, sharply outlined and of strokes, no blot or rule."""
    pen = float(np.quantile(ink[box][mask], 0.9))
    padded = np.pad(mask, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline = mask & ~core
    sharp = float((edges[box][outline] > 0.4 * pen).mean())
    length = max(mask.shape)
    stroke = 1.6 * mask.sum() / outline.sum() / length  # a disc has 0.5, MNIST's strokes 0.1 to 0.25
    shape = 1 if stroke < 0.3 else max(0.05, 1 - 4 * (stroke - 0.3))
    straight = stroke < HAIR and outline.sum() < 2.5 * np.hypot(*mask.shape)
    if stroke < FINEST or (
        straight and (length > LONG * min(ink.shape) or edge_of(box, ink.shape) < RIM * min(ink.shape))
    ):
        shape = 0.1  # what is left of a frame, a margin or the edge of a shadow
    return Choice(mask, box, pen, float(sharp**8 * length * pen * shape), sharp, float(stroke), outline.sum() / length)


def edge_of(box: tuple[slice, slice], shape: tuple[int, ...]) -> int:
    """How far from the picture's border all of the box lies, in pixels: the largest distance of its far side."""
    return int(min(min(side.stop, size - side.start) for side, size in zip(box, shape, strict=True)))


def around(ink: Floats, choice: Choice) -> Limits:
    """What lies around a mark; on paper that is little ink between its strokes and beside it, and few marks like it."""
    mask = np.zeros(ink.shape, np.uint8)
    mask[choice.box] = choice.mask
    other = (ink > CLUTTER * choice.pen) & (spread(mask, 9, np.maximum, 0) == 0)
    gap, area = round(0.25 * choice.length), int(choice.mask.sum())
    rows, columns = (slice(max(0, side.start - gap), side.stop + gap) for side in choice.box)
    marks = components(other)
    ends = [side.start for side in choice.box], [side.stop for side in choice.box]
    frames = (marks.boxes[:, :2] < ends[0]).all(1) & (marks.boxes[:, 2:] > ends[1]).all(1)
    other &= ~np.append(False, frames)[marks.labels]
    sizes = marks.boxes[:, 2:] - marks.boxes[:, :2]
    like = (marks.lengths > 0.25 * choice.length) & (sizes.min(1) > THIN) & ~marks.sides(ink.shape).any(1)
    between, beside = other[choice.box].sum(), other[rows, columns].sum()
    return Limits(between / area, beside / area, int(like.sum()))


def regrown(ink: Floats, choice: Choice) -> Floats:
    """The strength of the mark alone, with its soft edges: [H, W], 0-1."""
    core = np.zeros(ink.shape, np.uint8)
    core[choice.box] = choice.mask & (ink[choice.box] > CORE * choice.pen)
    reach = 2 * max(2, round(0.04 * choice.length)) + 1
    near = spread(core, reach, np.maximum, 0) > 0
    found: Floats = np.where(near & (ink > REGROWN * choice.pen), ink / choice.pen, 0).clip(0, 1).astype(np.float32)
    return found
