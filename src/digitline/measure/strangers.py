"""Pictures on sheets of paper that hold no digit: shapes, letters and signs that look like none."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitline.measure.trials import FONTS, SHEET

# Without those that look like a digit in some hand or font: B, C, G, I, J, L, O, Q, S, U, Z, b, c, g, i, j, l and more.
SIGNS = "ADEFHKMNPRTVWXYadefhkmnprvwxy#%@=+*&^~"
MIDDLE = SHEET / 2
CROSS = [(-0.25, 1), (0.25, 1), (0.25, 0.25), (1, 0.25), (1, -0.25), (0.25, -0.25)]  # half of one

Random = np.random.Generator
Points = list[tuple[float, float]]


def paper(random: Random, points: Points, *, filled: bool) -> Image.Image:
    """A shape through those points, around 0 and at most 1 from there, dark on light, turned and off-centre."""
    sheet, size, pen = Image.new("L", (SHEET, SHEET), 255), float(random.uniform(50, 130)), int(random.integers(7, 24))
    angle, place = random.uniform(0, 2 * np.pi), random.uniform(-40, 40, 2) + MIDDLE
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    path = [(float(x), float(y)) for x, y in np.array(points) @ turn * size + place]
    brush = ImageDraw.Draw(sheet)
    if filled:
        brush.polygon(path, fill=0)
    else:
        brush.line([*path, *path[:2]], fill=0, width=pen, joint="curve")
    return sheet


def around(angles: np.ndarray, away: np.ndarray | float = 1.0) -> Points:
    """Points at those angles, in radians, and so far from the middle."""
    return [(float(x), float(y)) for x, y in zip(np.cos(angles) * away, np.sin(angles) * away, strict=True)]


def ellipse(random: Random) -> Image.Image:
    """A filled ellipse."""
    flat = random.uniform(0.35, 1)
    return paper(random, [(x, y * flat) for x, y in around(np.linspace(0, 2 * np.pi, 90))], filled=True)


def triangle(random: Random) -> Image.Image:
    """The outline of a triangle."""
    return paper(random, around((np.arange(3) + random.uniform(-0.25, 0.25, 3)) * 2 * np.pi / 3), filled=False)


def shape(random: Random) -> Image.Image:
    """A rectangle, an arrow, a cross, a hexagon, a heart or a star, filled or as an outline."""
    flat, turn = random.uniform(0.4, 1), np.linspace(0, 2 * np.pi, 60)
    heart = zip(np.sin(turn) ** 3, (5 * np.cos(2 * turn) + 2 * np.cos(3 * turn) - 13 * np.cos(turn)) / 16, strict=True)
    shapes: list[Points] = [
        [(-1, -flat), (1, -flat), (1, flat), (-1, flat)],
        [(-1, -0.2), (0.2, -0.2), (0.2, -0.6), (1, 0), (0.2, 0.6), (0.2, 0.2), (-1, 0.2)],
        [(x * s, y * s) for s in (1, -1) for x, y in CROSS],
        around(np.arange(6) * np.pi / 3),
        [(float(x), float(y)) for x, y in heart],
        around(np.arange(10) * np.pi / 5, np.tile([1, 0.45], 5)),
    ]
    return paper(random, shapes[random.integers(len(shapes))], filled=bool(random.random() < 0.5))


def sign(random: Random) -> Image.Image:
    """A printed letter or sign that looks like no digit."""
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    font = ImageFont.truetype(fonts / f"{random.choice(FONTS)}.ttf", int(random.integers(120, 240)))
    sheet = Image.new("L", (SHEET, SHEET), 255)
    ImageDraw.Draw(sheet).text((MIDDLE, MIDDLE), random.choice(list(SIGNS)), fill=0, font=font, anchor="mm")
    return sheet


KINDS: dict[str, Callable[[Random], Image.Image]] = {
    "filled ellipses": ellipse,
    "open triangles": triangle,
    "other shapes": shape,
    "letters and signs like no digit": sign,
}
