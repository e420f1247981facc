"""Finds the digits of a whole picture: lines of strokes, and the candidates for a digit in each."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from digitline.base.errors import InputError
from digitline.data import paper, prepare
from digitline.data.cuts import Seam, seams
from digitline.data.dataset import Bytes
from digitline.data.even import EDGE, strength
from digitline.data.marks import components

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

WORKING = 720  # pixels of the longer side; a larger picture is reduced
LEAST = 0.08  # contrast; with less, the sheet is blank
FLOOR = 0.15  # of the pen's ink; less is paper
MOST = 100  # digits of a picture
SPECK = 0.1  # of a digit's height; a mark that is not longer is dirt
TALL = 0.45  # of a digit's height; a lower mark is a part of a digit, or none
SHARED = 0.4  # of the lower one's height, in which two neighbours in a line overlap
FAR = 4  # digits' heights; a wider gap separates lines
NARROW = 0.3  # of a digit's height; a narrower mark is not cut
WIDE = 1.6  # of a digit's height; strokes that are wider together are no digit
NEAR, HIGH = 0.1, 1.4  # of a digit's height: the gap between its parts above each other, and their height together
FURTHEST = 0.4  # of a digit's height; the widest gap in a digit
RIM = 4  # pixels along the picture's edge, where rules and shadows are not taken out wholly
FAINT = 0.7  # of the pen's ink
BLOT = 0.35  # of a mark's longer side; a wider stroke is a blot, which is neither cut nor made thinner
EDGES = 3  # pixels around a stroke's core that belong to it

# What makes a candidate less likely to be one digit, in nats: fitted to MNIST's training digits, alone and touching.
CUT, CROSSED = 1.5, 2.0  # each seam beside it, and each digit's height of ink that the seam crosses
JOINED, GAP = 1.0, 6.0  # each mark that is joined to another, and each digit's height of empty columns between them
LOW, USUAL = 15.0, 0.6  # what it lacks to this part of the digits' height
ACROSS, DOWN, LENGTH, NONE = 8.5, -3.5, 2.75, -22.6  # see several


class Box(NamedTuple):
    """In pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Piece(NamedTuple):
    """A candidate for one digit: what lies between two places of a line."""

    begin: int
    end: int
    box: Box
    image: Bytes  # [28, 28]
    cut: bool  # by a seam or by the picture's edge
    low: bool  # whether it is lower than digits usually are in its line
    cost: float  # in nats: how unlikely its size, its cuts and its gaps make it
    several: float  # log-odds that it is more than one digit, by its strokes


class Line(NamedTuple):
    """Strokes beside each other; places are numbered from left to right: between marks and at seams within them."""

    height: float  # of its digits
    places: int  # the number of the last one
    pieces: list[Piece]


class Page(NamedTuple):
    width: int  # of the picture, upright
    height: int
    scale: float  # pixels of the picture for each pixel of the lines
    lines: list[Line]

    def whole(self, box: Box) -> Box:
        """A box of a line in pixels of the picture."""
        return Box(*(round(self.scale * side) for side in box))


def page(data: bytes) -> Page:
    """The lines of a picture's file; InputError if it cannot be read, is blank or has too many marks."""
    picture = prepare.open_picture(data)
    with prepare.refusals():
        width, height = prepare.undecoded(data).size
    if picture.getexif().get(ExifTags.Base.Orientation, 1) > 4:  # it lies on its side
        width, height = height, width
    ink = written(prepare.flatten(picture))
    found = lines(ink)
    if not found:
        raise InputError("the picture is blank apart from rules and shadows, expected strokes that differ from them")
    return Page(width, height, width / ink.shape[1], found)


def written(picture: Image.Image) -> Floats:
    """The ink of an upright RGB picture without its paper, the pen's as 1: [H, W]; zeros if it is blank."""
    if min(picture.size) < paper.SMALLEST:
        return strength(picture)
    factor = min(1, WORKING / max(picture.size))
    size = [max(1, round(side * factor)) for side in picture.size]
    ink = paper.cleaned(picture.resize((size[0], size[1]), Image.Resampling.BOX))
    if ink.max() < LEAST:
        return np.zeros_like(ink)
    pen = np.quantile(ink[ink > 0.4 * ink.max()], 0.8)
    return np.where(ink > FLOOR * pen, ink / pen, 0).clip(0, 1).astype(np.float32)


def lines(ink: Floats) -> list[Line]:
    """The lines of a picture's ink [H, W], 0-1, from top to bottom; InputError if it has too many marks."""
    marks = components(ink > EDGE)
    if not len(marks.areas):
        return []
    boxes = [Box(left, top, right, bottom) for top, left, bottom, right in marks.boxes.tolist()]
    height = usual([box.height for box in boxes], marks.areas)
    kept = [at for at, box in enumerate(boxes) if max(box.width, box.height) > SPECK * height]
    kept = [at for at in kept if not remains(ink, marks.labels, at + 1, boxes[at], height)]
    if len(kept) > MOST:
        raise InputError(f"the picture has {len(kept)} separate marks, expected at most {MOST} digits")
    labels = grown(marks.labels, ink > 0)
    found = []
    for members in rows(boxes, kept, height):
        of_line = usual([boxes[at].height for at in members], marks.areas[members])
        found.append(Strokes(ink, labels, boxes, members, of_line).line())
    return found


def remains(ink: Floats, labels: Labels, label: int, box: Box, height: float) -> bool:
    """Whether a mark is what is left of a rule or a shadow: thin without a pen's ink, or low at the picture's edge."""
    high, wide = ink.shape
    beside, above = box.left < RIM or box.right > wide - RIM, box.top < RIM or box.bottom > high - RIM
    low = (beside and box.width < TALL * height) or (above and box.height < TALL * height)
    thin = beside or above or min(box.width, box.height) < TALL * height
    if low or not thin:
        return low
    part = (slice(box.top, box.bottom), slice(box.left, box.right))
    return float(np.quantile(ink[part][labels[part] == label], 0.9)) < FAINT


def usual(heights: Sequence[int], areas: NDArray[np.int64]) -> float:
    """The median height, weighted by ink: that of digits, whatever else there is."""
    order = np.argsort(heights, kind="stable")
    total = np.cumsum(areas[order])
    return float(heights[order[np.searchsorted(total, total[-1] / 2)]])


def grown(labels: Labels, ink: NDArray[np.bool_]) -> Labels:
    """The labels [H, W], extended to the soft edges of their strokes."""
    for _ in range(EDGES):
        wide = np.pad(labels, 1)
        near = np.maximum.reduce([wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]])
        labels = np.where((labels == 0) & ink, near, labels)
    return labels


def rows(boxes: Sequence[Box], kept: Sequence[int], height: float) -> list[list[int]]:
    """The marks of each line, from left to right, the lines from top to bottom."""
    tall = [at for at in kept if boxes[at].height >= TALL * height]
    found: list[list[int]] = []
    for at in sorted(tall, key=lambda at: boxes[at].left):
        before = [line for line in found if beside(boxes[line[-1]], boxes[at], height)]  # of a digit in parts, several
        found = [line for line in found if line not in before]
        found.append([*sorted((one for line in before for one in line), key=lambda one: boxes[one].right), at])
    for at in sorted(set(kept) - set(tall)):
        distances = [min(distance(boxes[at], boxes[one]) for one in line) for line in found]
        if distances and min(distances) < height / 2:
            found[int(np.argmin(distances))].append(at)
        else:
            found.append([at])
    found = [sorted(line, key=lambda at: boxes[at].left + boxes[at].right) for line in found]
    return sorted(found, key=lambda line: float(np.mean([boxes[at].top + boxes[at].bottom for at in line])))


def beside(left: Box, right: Box, height: float) -> bool:
    """Whether the right mark can be the left one's neighbour in a line, or the other part of a broken digit."""
    shared = min(left.bottom, right.bottom) - max(left.top, right.top)
    if shared >= SHARED * min(left.height, right.height):
        return right.left - left.right < FAR * height
    over = min(left.right, right.right) - max(left.left, right.left)
    both = max(left.bottom, right.bottom) - min(left.top, right.top)
    return over >= min(left.width, right.width) / 2 and -shared < NEAR * height and both < HIGH * height


def distance(one: Box, other: Box) -> int:
    """The gap between two boxes in pixels."""
    across = max(one.left - other.right, other.left - one.right)
    return max(across, one.top - other.bottom, other.top - one.bottom, 0)


class Strokes(NamedTuple):
    """The marks of one line in the picture's ink."""

    ink: Floats  # [H, W] of the picture
    labels: Labels  # of its pixels' marks, from 1
    boxes: list[Box]  # of all marks
    members: list[int]  # of the line, from left to right
    height: float  # of the line's digits

    def line(self) -> Line:
        """The line with all its candidates."""
        pieces, starts = list[Piece](), [0]
        for at in self.members:
            pieces += self.parts(at, starts[-1])
            starts.append(pieces[-1].end)
        for many in (2, 3):
            for first in range(len(self.members) - many + 1):
                pieces += self.joint(self.members[first : first + many], (starts[first], starts[first + many]))
        return Line(self.height, starts[-1], pieces)

    def parts(self, at: int, begin: int) -> Iterator[Piece]:
        """What a mark can be cut into; itself comes last."""
        ink, corner = self.alone([at])
        box = self.boxes[at]
        blot = prepare.stroke(prepare.crop(ink)) > BLOT * max(box.width, box.height)
        cuttable = box.width > NARROW * self.height and box.height > USUAL * self.height and not blot
        border = np.zeros(ink.shape, bool)
        ways = [Seam(border, 0), *(seams(ink, self.height) if cuttable else []), Seam(~border, 0)]
        last = len(ways) - 1
        for first, second in pairs(last):
            crossed, sides = ways[first].crossed + ways[second].crossed, (first > 0) + (second < last)
            part = np.where(ways[second].left & ~ways[first].left, ink, 0)
            if (part > EDGE).any():
                cost = CUT * sides + CROSSED * crossed
                yield self.candidate(part, corner, (begin + first, begin + second), cut=sides > 0, cost=cost)

    def joint(self, members: Sequence[int], places: tuple[int, int]) -> Iterator[Piece]:
        """Several marks as one digit, unless they are too far apart."""
        boxes = [self.boxes[at] for at in members]
        width = max(box.right for box in boxes) - min(box.left for box in boxes)
        gap = sum(max(0, right.left - left.right) for left, right in pairwise(boxes)) / self.height
        if width <= WIDE * self.height and gap <= FURTHEST:
            cost = JOINED * (len(members) - 1) + GAP * gap
            yield self.candidate(*self.alone(members), places, cut=False, cost=cost)

    def alone(self, members: Sequence[int]) -> tuple[Floats, tuple[int, int]]:
        """The ink of these marks without others, with their soft edges, and its left upper corner in the picture."""
        left, top, right, bottom = zip(*(self.boxes[at] for at in members), strict=True)
        x, y = max(0, min(left) - EDGES), max(0, min(top) - EDGES)
        part = (slice(y, max(bottom) + EDGES), slice(x, max(right) + EDGES))
        mine = np.isin(self.labels[part], [at + 1 for at in members])
        return np.where(mine, self.ink[part], 0), (x, y)

    def candidate(
        self, ink: Floats, corner: tuple[int, int], places: tuple[int, int], *, cut: bool, cost: float
    ) -> Piece:
        """Some ink [H, W], which lies at that corner of the picture, as one digit."""
        solid = ink > EDGE
        rows, columns = np.flatnonzero(solid.any(1)).tolist(), np.flatnonzero(solid.any(0)).tolist()
        x, y = corner
        box = Box(x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
        high, wide = self.ink.shape
        cut |= box.left == 0 or box.top == 0 or box.right == wide or box.bottom == high
        digit = prepare.crop(ink)
        stroke = prepare.stroke(digit)
        drawn = prepare.pen(digit) if stroke < BLOT * max(digit.size) else digit
        image = prepare.centre(prepare.scale(drawn, prepare.BOX))
        lacking = USUAL - box.height / self.height
        cost += LOW * max(0, lacking)
        return Piece(*places, box, image, cut, lacking > 0, cost, several(solid, stroke, self.height))


def pairs(last: int) -> Iterator[tuple[int, int]]:
    """All pairs of places, the widest one last."""
    for width in range(1, last + 1):
        for first in range(last - width + 1):
            yield first, first + width


def several(solid: NDArray[np.bool_], stroke: float, height: float) -> float:
    """The log-odds that strokes are more than one digit, to which the model's doubt adds.

    Two digits have more strokes beside each other than one, but no more above each other, and are longer together.
    """
    padded = np.pad(solid, 1)
    across = (padded[:, 1:] > padded[:, :-1]).sum() / solid.any(1).sum()  # runs in a row
    down = (padded[1:] > padded[:-1]).sum() / solid.any(0).sum()
    length = solid.sum() / stroke / height
    return float(ACROSS * across + DOWN * down + LENGTH * length + NONE)
