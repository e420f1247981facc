"""What is printed, lies or falls on a sheet of paper: rules, frames, blots, shadows, hands, a table beneath."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE = 400  # pixels of a sheet

Floats = NDArray[np.float64]
Random = np.random.Generator


class Box(NamedTuple):
    """Where the digit's ink is, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


Layer = Callable[[Floats, Box, Random], Floats]  # the sheet [H, W], 0-255, with one thing more


def across(shape: tuple[int, ...], angle: float) -> Floats:
    """Each pixel's distance along the direction that is that many degrees from downwards."""
    down, right = np.indices(shape)
    turn = np.deg2rad(angle)
    distance: Floats = down * np.cos(turn) + right * np.sin(turn)
    return distance


def lined(sheet: Floats, distance: Floats, width: float, grey: float) -> Floats:
    """The sheet with a line of that grey where the distance to its middle is zero."""
    cover = (width / 2 + 0.5 - np.abs(distance)).clip(0, 1)
    darker: Floats = sheet + cover * (np.minimum(grey, sheet) - sheet)
    return darker


def rules(grey: tuple[float, float], *, squared: bool, width: float = 0) -> Layer:
    """Printed rules, or squares, of that grey, turned by up to three degrees."""

    def layer(sheet: Floats, _: Box, random: Random) -> Floats:
        shade, spacing, angle = random.uniform(*grey), random.uniform(24, 48), random.uniform(-3, 3)
        thick = width or random.uniform(1, 2.5)
        for turn in (0, 90) if squared else (0,):
            place = across(sheet.shape, angle + turn) + random.uniform(0, spacing)
            sheet = lined(sheet, (place + spacing / 2) % spacing - spacing / 2, thick, shade)
        return sheet

    return layer


def margin(sheet: Floats, _: Box, random: Random) -> Floats:
    """A line down one side, at times a doubled one."""
    place, angle = random.uniform(18, 45), random.uniform(88, 92)
    distance = across(sheet.shape, angle) - (place if random.random() < 0.7 else SIDE - place)
    grey, width = random.uniform(60, 190), random.uniform(1.5, 4)
    if random.random() < 0.3:
        sheet = lined(sheet, distance - 7, width, grey)
    return lined(sheet, distance, width, grey)


def around(sheet: Floats, box: tuple[float, float, float, float], width: float, grey: float, angle: float) -> Floats:
    """The sheet with a rectangle, turned about its middle."""
    left, top, right, bottom = box
    down, aside = across(sheet.shape, angle), across(sheet.shape, angle + 90)
    row, column = int((top + bottom) / 2), int((left + right) / 2)
    down, aside = down - down[row, column], aside - aside[row, column]
    high, wide = (bottom - top) / 2, (right - left) / 2
    outside = np.maximum(np.abs(down) - high, np.abs(aside) - wide)
    return lined(sheet, outside, width, grey)


def frame(sheet: Floats, _: Box, random: Random) -> Floats:
    """A frame drawn near the sheet's edge."""
    left, top, right, bottom = random.uniform(8, 30, 4)
    width, grey = random.uniform(1.5, 6), random.uniform(10, 150)
    return around(sheet, (left, top, SIDE - right, SIDE - bottom), width, grey, random.uniform(-1.5, 1.5))


def own_box(sheet: Floats, box: Box, random: Random) -> Floats:
    """A box around the digit alone."""
    gap = random.uniform(14, 36, 4)
    sides = (box.left - gap[0], box.top - gap[1], box.right + gap[2], box.bottom + gap[3])
    return around(sheet, sides, random.uniform(1.5, 4.5), random.uniform(20, 150), random.uniform(-3, 3))


def cell(sheet: Floats, box: Box, random: Random) -> Floats:
    """A printed table, the digit in one of its cells."""
    angle, width, grey = random.uniform(-2, 2), random.uniform(1, 4), random.uniform(20, 150)
    middle = ((box.top + box.bottom) // 2, (box.left + box.right) // 2)
    for turn, size in ((0, box.bottom - box.top), (90, box.right - box.left)):
        place = across(sheet.shape, angle + turn)
        spacing = size + random.uniform(40, 70)
        sheet = lined(sheet, (place - place[middle]) % spacing - spacing / 2, width, grey)
    return sheet


def soft_shadow(sheet: Floats, _: Box, random: Random) -> Floats:
    """A round shadow that is darkest in its middle."""
    row, column = random.uniform(120, 280, 2)
    down, right = np.indices(sheet.shape)
    far = ((down - row) ** 2 + (right - column) ** 2) / (2 * random.uniform(70, 130) ** 2)
    darker: Floats = sheet * (1 - random.uniform(0.35, 0.5) * np.exp(-far))
    return darker


def hard_shadow(sheet: Floats, _: Box, random: Random) -> Floats:
    """A shadow with a sharp edge across the sheet, at any angle."""
    place = across(sheet.shape, random.uniform(0, 360))
    edge = place[tuple(random.integers(100, 300, 2))]
    inside = ((place - edge) / random.uniform(1, 14) + 0.5).clip(0, 1)
    darker: Floats = sheet * (1 - random.uniform(0.3, 0.6) * inside)
    return darker


def speck(sheet: Floats, _: Box, random: Random) -> Floats:
    """A speck in a corner."""
    row, column = (random.uniform(6, 30) if random.random() < 0.5 else SIDE - random.uniform(6, 30) for _ in range(2))
    return lined(sheet, distance_to(sheet, row, column), random.uniform(2, 12), random.uniform(10, 120))


def distance_to(sheet: Floats, row: float, column: float) -> Floats:
    """Each pixel's distance from a place."""
    down, right = np.indices(sheet.shape)
    far: Floats = np.hypot(down - row, right - column)
    return far


def blots(sheet: Floats, box: Box, random: Random) -> Floats:
    """Two to five blots beside the digit."""
    grey, down, right = random.uniform(10, 120), *np.indices(sheet.shape)
    for _ in range(int(random.integers(2, 6))):
        size, row, column = random.uniform(4, 16), *random.uniform(15, SIDE - 15, 2)
        if not (box.top - 30 < row < box.bottom + 30 and box.left - 30 < column < box.right + 30):
            wave = random.uniform(0.05, 0.25) * np.sin(
                3 * np.arctan2(down - row, right - column) + random.uniform(0, 6)
            )
            sheet = lined(sheet, (distance_to(sheet, row, column) - size * (1 + wave)).clip(0), 1, grey)
    return sheet


def fold(sheet: Floats, _: Box, random: Random) -> Floats:
    """One or two folds: a thin line, and another light on each side."""
    for turn in (0, 90)[: int(random.integers(1, 3))]:
        place = across(sheet.shape, turn + random.uniform(-3, 3))
        far = place - place[tuple(random.integers(130, 270, 2))]
        light = 1 - random.uniform(0.05, 0.2) * (far > 0) * np.exp(-np.abs(far) / random.uniform(60, 300))
        sheet = lined(sheet * light, far, random.uniform(1, 3), random.uniform(150, 210))
    return sheet


def vignette(sheet: Floats, _: Box, random: Random) -> Floats:
    """Darker towards the corners."""
    far = distance_to(sheet, SIDE / 2, SIDE / 2) / (SIDE / 2)
    darker: Floats = sheet * (1 - random.uniform(0.15, 0.35) * far**2)
    return darker


def hand(sheet: Floats, box: Box, random: Random) -> Floats:
    """Fingers that come in from one side, not over the digit, and their shadow."""
    fingers = Image.new("L", (SIDE, SIDE))
    pencil = ImageDraw.Draw(fingers)
    reach, first = random.uniform(20, 60), random.uniform(0, 150)
    for number in range(int(random.integers(1, 4))):
        wide, place = random.uniform(34, 48), first + 50 * number
        tip = reach + random.uniform(-10, 10)
        pencil.rounded_rectangle((-40, place, tip, place + wide), wide / 2, fill=255)
    turn = int(random.integers(4))
    mask = np.rot90(np.asarray(fingers.filter(ImageFilter.GaussianBlur(1))), turn) / 255
    shade = np.rot90(np.asarray(fingers.filter(ImageFilter.GaussianBlur(9))), turn) / 255
    written = np.zeros(sheet.shape)
    written[max(0, box.top - 8) : box.bottom + 8, max(0, box.left - 8) : box.right + 8] = 1
    if (mask * written).any():
        return sheet
    covered: Floats = sheet * (1 - 0.4 * shade)
    return covered + mask * (random.uniform(120, 190) - covered)


def table(*, edge: bool = False) -> Layer:
    """The sheet on a dark table with grain, seen a little from the side; perhaps with the table's edge."""

    def layer(sheet: Floats, _: Box, random: Random) -> Floats:
        corners = np.array([(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)], float)
        placed = corners + (SIDE / 2 - corners) * random.uniform(0.06, 0.22, (4, 2))
        onto = coefficients(placed, corners)
        size, way, fill = (SIDE, SIDE), Image.Transform.PERSPECTIVE, Image.Resampling.BICUBIC
        view = np.asarray(Image.fromarray(sheet.astype(np.float32)).transform(size, way, onto, fill))
        there = np.asarray(Image.new("L", size, 255).transform(size, way, onto, Image.Resampling.BILINEAR)) / 255.0
        wood = np.full(sheet.shape, random.uniform(25, 90))
        wood += random.uniform(2, 10) * np.sin(across(sheet.shape, random.uniform(0, 180)) / random.uniform(2, 6))
        if edge:
            place = across(sheet.shape, random.uniform(-12, 12) + random.choice([0, 90, 180, 270]))
            wood[place > np.quantile(place, random.uniform(0.86, 0.94))] = random.uniform(100, 180)
        seen_there: Floats = wood + there * (view - wood)
        return seen_there

    return layer


def coefficients(placed: Floats, corners: Floats) -> list[float]:
    """What Pillow needs so that the corners come to lie at these places."""
    rows, values = [], []
    for (x, y), (u, v) in zip(placed, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    found: list[float] = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    return found
