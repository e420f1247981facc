"""Connected components of a picture's ink, with their boxes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Marks(NamedTuple):
    """Components, numbered from 1 in `labels`; row i of the others belongs to label i + 1."""

    labels: NDArray[np.int32]  # [H, W], 0 where there is no ink
    areas: NDArray[np.int64]  # [N] pixels
    boxes: NDArray[np.int64]  # [N, 4]: top, left, bottom, right; the last two excluded

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The longer side of each box, in pixels."""
        lengths: NDArray[np.int64] = (self.boxes[:, 2:] - self.boxes[:, :2]).max(1)
        return lengths

    def sides(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Whether each box reaches the picture's top, left, bottom and right: [N, 4]."""
        return np.concatenate([self.boxes[:, :2] <= 1, self.boxes[:, 2:] >= np.array(shape) - 1], 1)

    def enclosing(self, part: float, among: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.bool_]:
        """Whether each of these marks goes around another one at least that part of its length, as a frame does."""
        places, boxes, lengths = np.arange(len(self.boxes))[among], self.boxes[among], self.lengths[among]
        large = np.flatnonzero(lengths > part / 2 * lengths.max(initial=0))
        first = (boxes[:, None, :2] < boxes[None, large, :2]).all(2)
        last = (boxes[:, None, 2:] > boxes[None, large, 2:]).all(2)
        inner = lengths[None, large] > part * lengths[:, None]
        around = np.zeros(len(boxes), bool)
        for outer, within in np.argwhere(first & last & inner).tolist():
            around[outer] |= self.surrounds(int(places[outer]), boxes[large[within]])
        return around

    def surrounds(self, place: int, inner: NDArray[np.int64]) -> bool:
        """Whether a mark lies on three sides of a box's middle, at least: half of a digit in a shadow does not."""
        row, column = (inner[:2] + inner[2:]) // 2
        down, across = self.labels[:, column] == place + 1, self.labels[row] == place + 1
        return sum(map(np.any, (down[:row], down[row:], across[:column], across[column:]))) >= 3


def components(mask: NDArray[np.bool_]) -> Marks:
    """The components of a mask [H, W] whose pixels touch, also at corners."""
    height, width = mask.shape
    stride = width + 2  # so that rows do not touch
    flat = np.zeros((height, stride), np.int8)
    flat[:, :width] = mask
    change = np.diff(flat.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)  # of the runs, row by row
    first = np.searchsorted(ends, starts + stride, "left")
    last = np.maximum(np.searchsorted(starts, ends + stride, "right"), first)
    counts = last - first
    upper = np.repeat(np.arange(len(starts)), counts)
    lower = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) + first[upper]
    roots = joined(len(starts), upper, lower)
    _, numbers = np.unique(roots, return_inverse=True)
    count = int(numbers.max()) + 1 if len(numbers) else 0
    lengths = ends - starts
    values = np.zeros(height * stride, np.int32)
    values[flat.ravel() == 1] = np.repeat(numbers + 1, lengths)
    areas = np.bincount(numbers, lengths, count).astype(np.int64)
    boxes = np.zeros((count, 4), np.int64)
    boxes[:, :2] = max(height, width)
    rows, left = np.divmod(starts, stride)
    for place, extreme, each in ((0, np.minimum, rows), (1, np.minimum, left)):
        extreme.at(boxes[:, place], numbers, each)
    for place, each in ((2, rows + 1), (3, left + lengths)):
        np.maximum.at(boxes[:, place], numbers, each)
    return Marks(values.reshape(height, stride)[:, :width], areas, boxes)


def joined(count: int, ones: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest number in each of `count` numbers' component, from pairs that belong together."""
    roots = np.arange(count)
    while True:
        one, other = roots[ones], roots[others]
        if np.array_equal(one, other):
            return roots
        np.minimum.at(roots, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(roots, up := roots[roots]):
            roots = up


def grouped(boxes: NDArray[np.int64], first: int, allowed: NDArray[np.bool_], gap: float) -> NDArray[np.bool_]:
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
