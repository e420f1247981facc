"""Takes straight lines that cross the picture out of the ink: rules, squares, frames, margins, folds."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STRIP = 20  # pixels; a line's place and strength are found in strips this wide
STEEPEST = 0.14  # pixels down per pixel to the right: eight degrees
THICKEST = 11  # pixels; a line that is thicker is a stroke
LENGTH = 0.62  # of the picture's width; a line that is shorter may be a stroke
MOST = 60  # lines; a page of print has more
DARK = 3  # lines as dark as the pen; fewer hide no others
LEAST = 0.03  # contrast of a line
REACH = 7  # pixels above and below a line's middle that are looked at
FAINTER = 0.9  # of the darkest ink are the strokes without the lines, if these are darker
LIKE_PEN = 0.6  # of the pen's contrast; a darker rule hides what is beneath


class Lines(NamedTuple):
    """Lines that cross a picture: where they are in each column, and in each row."""

    across: NDArray[np.int64]  # [N, W] rows
    down: NDArray[np.int64]  # [M, H] columns
    pen: float  # the contrast of the strokes
    hiding: int = 0  # how many of them are so dark that what lies beneath cannot be seen


def erased(ink: Floats, there: tuple[Lines, ...] = (), *, length: float = LENGTH) -> tuple[Floats, tuple[Lines, ...]]:
    """The ink [H, W], 0-1, without lines from side to side and from top to bottom, and these; crossed strokes remain.

    Takes out the lines that are there, if they are known. Dark lines hide others beside them: then it looks again.
    """
    if there:
        for known in there:
            ink, _ = once(ink, known)
        return ink, there
    rest, first = once(ink, length=length)
    if (pen := level(rest)) < FAINTER * first.pen:
        rest, first = once(ink, first._replace(pen=pen))
    if first.hiding < DARK:
        return rest, (first,)
    rest, second = once(rest, length=length)
    return rest, (first, second)


def once(ink: Floats, there: Lines | None = None, *, length: float = LENGTH) -> tuple[Floats, Lines]:
    """The ink without the lines that are there or found."""
    pen = level(ink) if there is None else there.pen
    across = found(ink, length) if there is None else there.across
    rest, hiding = without(ink, across, pen)
    turned = np.ascontiguousarray(rest.T)
    down = found(turned, length) if there is None else there.down
    rest, more = without(turned, down, pen)
    return rest.T, Lines(across, down, pen, hiding + more)


def level(ink: Floats) -> float:
    """The contrast of what is darkest."""
    return max(float(np.quantile(ink[::2, ::2], 0.995)), LEAST)


def found(ink: Floats, length: float) -> NDArray[np.int64]:
    """The lines that cross the picture from left to right, at slopes of up to eight degrees: rows, [N, columns]."""
    height, width = ink.shape
    strips = max(4, width // STRIP)
    edges = np.linspace(0, width, strips + 1).round().astype(int)
    means = (np.add.reduceat(ink, edges[:-1], 1).T / np.diff(edges)[:, None]).astype(np.float32)  # [strips, H]
    tops = means - widest(narrowest(means, THICKEST), THICKEST)  # what is thin in this direction
    near = widest(tops, 3)
    middles = (edges[:-1] + edges[1:]) / 2 - width / 2
    slopes = np.arange(-STEEPEST, STEEPEST, 4 / width)
    margin = int(STEEPEST * width / 2) + 2
    padded = np.pad(near, ((0, 0), (margin, margin)))
    place = int((1 - length) * strips)
    shifts = np.rint(slopes[:, None] * middles).astype(int)
    moved = sliding_window_view(padded, height, 1)[np.arange(strips), margin + shifts]  # [slopes, strips, H]
    strength = np.partition(moved, place, 1)[:, place]  # [slopes, H]
    best = strength.max(0)
    ground = np.quantile(strength, 0.2)
    peaks = np.flatnonzero((best == widest(best[None], 7)[0]) & (best > ground + LEAST))
    peaks = peaks[np.diff(peaks, prepend=-9) > 2]
    peaks = np.sort(peaks[np.argsort(-best[peaks], kind="stable")[:MOST]])
    if not len(peaks):
        return np.zeros((0, width), int)
    expected = peaks[:, None] + slopes[strength[:, peaks].argmax(0)][:, None] * middles  # [lines, strips]
    return traced(tops, expected, middles, width)


def traced(
    tops: Floats, expected: NDArray[np.floating], middles: NDArray[np.floating], width: int
) -> NDArray[np.int64]:
    """Each line's rows, found within two pixels of a straight line in every strip and joined: [lines, columns]."""
    nearby = np.arange(-2, 3)
    rows = np.rint(expected).astype(int)[..., None] + nearby
    values = tops[np.arange(len(tops))[:, None], rows.clip(0, tops.shape[1] - 1)]
    weights = values**2 + 1e-9
    off = (weights * nearby).sum(-1) / weights.sum(-1) * (values.max(-1) > LEAST)
    off = np.median(sliding_window_view(np.pad(off, ((0, 0), (2, 2)), "edge"), 5, 1), -1)
    places = np.arange(width) - width / 2
    return np.stack([np.rint(np.interp(places, middles, line)).astype(int) for line in rows[..., 2] + off])


def without(ink: Floats, lines: NDArray[np.int64], pen: float) -> tuple[Floats, int]:
    """The ink without these lines, each taken out as a layer under the strokes; how many are as dark as those."""
    if not len(lines):
        return ink, 0
    height, width = ink.shape
    around = np.arange(-REACH, REACH + 1)
    rows = (lines[:, None, :] + around[:, None]).clip(0, height - 1)  # [lines, around, columns]
    columns = np.arange(width)
    seen = ink[rows, columns]
    rule = profile(seen)
    edge = np.maximum(rule[:, :1], rule[:, -1:])
    rule = (rule - edge).clip(0)
    thick = rule > 0.2 * rule.max(1, keepdims=True)
    half = (thick * np.abs(around)[:, None]).max(1) + 2  # [lines, columns]
    half = half.clip(2, REACH)
    which, across = np.arange(len(seen))[:, None], columns[None]
    above, below = (seen[which, REACH + sign * half, across] for sign in (-1, 1))
    part = (around[:, None] + half[:, None]) / (2 * half[:, None])
    bridge = above[:, None] * (1 - part) + below[:, None] * part
    mixed = ((seen - rule) / (1 - rule / pen).clip(0.2)).clip(0)
    mixed = np.minimum(mixed, np.maximum(above, below)[:, None] * 1.1)
    dark = rule.max(1, keepdims=True) > LIKE_PEN * pen
    replaced = np.where(dark, bridge, mixed)
    inside = np.abs(around)[:, None] < half[:, None]
    result = ink.copy()
    places = (rows[inside], np.broadcast_to(columns, rows.shape)[inside])
    np.minimum.at(result, places, replaced[inside].astype(np.float32))
    return result, int(np.median(dark[:, 0], -1).sum())


def profile(seen: Floats) -> Floats:
    """Each line's own ink around its middle, from what most columns of its part of the picture show: like seen."""
    width = seen.shape[2]
    strips = max(4, width // STRIP)
    edges = np.linspace(0, width, strips + 1).round().astype(int)
    each = np.stack([np.median(seen[..., start:end:2], -1) for start, end in pairwise(edges.tolist())], -1)
    whole = np.quantile(seen[..., ::4], 0.4, axis=-1)
    local = np.median(sliding_window_view(np.pad(each, ((0, 0), (0, 0), (4, 4)), "edge"), 9, -1), -1)
    strip = np.repeat(np.arange(strips), np.diff(edges))
    rule: Floats = np.minimum(local, 1.3 * whole[..., None] + 0.01)[..., strip].astype(np.float32)
    return rule


def narrowest(rows: Floats, size: int) -> Floats:
    """The minimum over that many neighbours: [N, length]."""
    least: Floats = sliding_window_view(np.pad(rows, ((0, 0), (size // 2, size // 2)), "edge"), size, 1).min(-1)
    return least


def widest(rows: Floats, size: int) -> Floats:
    """The maximum over that many neighbours: [N, length]."""
    most: Floats = sliding_window_view(np.pad(rows, ((0, 0), (size // 2, size // 2)), "edge"), size, 1).max(-1)
    return most
