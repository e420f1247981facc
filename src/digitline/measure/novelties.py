"""Drawn images of no class, of kinds that no training sees: whether a model doubts what is new to it.

Drawn by other code than what model.outliers trains with, without a font, and in integers from the canvas on, so that
every machine gets the same bytes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digitline.data.dataset import Bytes
from digitline.data.entry import Shape

EACH = 400  # images of a kind
FINE = 8  # pixels of the canvas per pixel of the image
REACH = 20 / 28  # of the image, the longer side of what is drawn, as in MNIST
PEN = (1.7, 3.6)  # the width of a stroke in pixels of 28, as in MNIST

Points = NDArray[np.float64]  # (x, y), [P, 2]
Random = np.random.Generator
Stroke = list[tuple[float, float]]

# Letters and signs that look like no digit, as strokes in a square.
LETTERS: list[list[Stroke]] = [
    [[(0, 1), (0.5, 0), (1, 1)], [(0.2, 0.6), (0.8, 0.6)]],  # A
    [[(0, 1), (0, 0), (0.5, 0.7), (1, 0), (1, 1)]],  # M
    [[(0, 0), (0.5, 1), (1, 0)]],  # V
    [[(0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)]],  # W
    [[(0, 0), (0.85, 1)], [(0.85, 0), (0, 1)]],  # X
    [[(0.3, 0), (0.2, 1)], [(0.75, 0), (0.65, 1)], [(0, 0.33), (1, 0.33)], [(0, 0.67), (1, 0.67)]],  # #
    [[(0.5, 0), (0.5, 1)], [(0, 0.2), (1, 0.8)], [(0, 0.8), (1, 0.2)]],  # *
]


def drawn(shape: Shape) -> dict[str, Bytes]:
    """The images of each kind [N, H, W], light on dark, always the same."""
    return {name: np.stack([one(make, seed, shape) for seed in range(EACH)]) for name, make in KINDS.items()}


def ellipse(random: Random) -> tuple[list[Points], bool]:
    """A filled ellipse."""
    return [turned(around(48) * [1, random.uniform(0.35, 1)], random)], True


def triangle(random: Random) -> tuple[list[Points], bool]:
    """The outline of a triangle."""
    angles = 2 * np.pi * (np.arange(3) / 3 + random.uniform(-0.1, 0.1, 3))
    corners = turned(np.stack([np.cos(angles), np.sin(angles) * random.uniform(0.5, 1)], 1), random)
    return [corners[[0, 1, 2, 0, 1]]], False


def star(random: Random) -> tuple[list[Points], bool]:
    """A star of five to seven points, filled or as an outline."""
    points = int(random.integers(5, 8))
    away = np.tile([1, random.uniform(0.35, 0.5)], points)[:, None]
    corners = turned(around(2 * points) * away, random)
    return [np.concatenate([corners, corners[:2]])], bool(random.random() < 0.5)


def hatching(random: Random) -> tuple[list[Points], bool]:
    """Parallel lines; half of the images have crossing ones."""
    places = np.linspace(-1, 1, int(random.integers(3, 6)))
    lines = [np.array([(place, -1), (place, 1)]) for place in places]
    crossing = [line[:, ::-1] for line in lines] if random.random() < 0.5 else []
    return list(turned(np.stack([*lines, *crossing]), random)), False


def letter(random: Random) -> tuple[list[Points], bool]:
    """A letter or sign written in a narrow or wide, slanted hand."""
    strokes, wide, slant = LETTERS[random.integers(len(LETTERS))], random.uniform(0.6, 1.1), random.uniform(-0.3, 0.2)
    shaken = [np.array(stroke) + random.normal(0, 0.02, (len(stroke), 2)) for stroke in strokes]
    return [np.stack([stroke[:, 0] * wide + stroke[:, 1] * slant, stroke[:, 1]], 1) for stroke in shaken], False


Make = Callable[[Random], tuple[list[Points], bool]]
KINDS: dict[str, Make] = {
    "filled ellipses": ellipse,
    "open triangles": triangle,
    "stars": star,
    "hatchings": hatching,
    "letters and signs": letter,
}


def around(count: int) -> Points:
    """Points on a circle."""
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def turned(points: Points, random: Random) -> Points:
    """The points [..., 2], turned around the middle."""
    angle = random.uniform(0, 2 * np.pi)
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], -1)


def one(make: Make, seed: int, shape: Shape) -> Bytes:
    """One image of a kind."""
    random = np.random.default_rng(seed)
    return picture(*make(random), random, shape)


def picture(strokes: list[Points], filled: bool, random: Random, shape: Shape) -> Bytes:
    """The strokes at MNIST's scale, their ink's centre in the middle: [H, W]."""
    side, every = FINE * min(shape[:2]), np.concatenate(strokes)
    pen = round(random.uniform(*PEN) * side / 28)
    factor = (REACH * side - pen) / np.ptp(every, axis=0).max()
    middle = (every.min(0) + every.max(0)) / 2
    canvas = Image.new("L", (FINE * shape.width, FINE * shape.height))
    brush = ImageDraw.Draw(canvas)
    for stroke in strokes:
        places = np.rint((stroke - middle) * factor + [canvas.width / 2, canvas.height / 2]).astype(int)
        path = [(x, y) for x, y in places.tolist()]
        if filled:
            brush.polygon(path, fill=255)
        brush.line(path, fill=255, width=pen, joint="curve")
        for x, y in (path[0], path[-1]):
            brush.circle((x, y), pen / 2, fill=255)
    return reduced(np.asarray(canvas))


def reduced(canvas: Bytes) -> Bytes:
    """The canvas with its ink's centre in the middle, each square of pixels as its mean."""
    for axis in (0, 1):
        ink = canvas.sum(1 - axis, dtype=np.int64)
        centre = int((ink * np.arange(len(ink))).sum() // ink.sum())
        canvas = np.roll(canvas, len(ink) // 2 - centre, axis)
    height, width = (side // FINE for side in canvas.shape)
    sums = canvas.reshape(height, FINE, width, FINE).sum((1, 3), dtype=np.int64)
    means: Bytes = ((sums + FINE**2 // 2) // FINE**2).astype(np.uint8)
    return means
