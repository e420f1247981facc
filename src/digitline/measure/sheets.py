"""Digits on the paper that people use: rules, frames, shadows, tables, blots; pencils and fine pens."""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from digitline.data.dataset import Bytes

SIDE = 400  # pixels of a sheet
DIGIT = 200  # pixels of the digit's image on it

Floats = NDArray[np.float64]
Random = np.random.Generator


class Box(NamedTuple):
    """Where the digit's ink is, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


Layer = Callable[[Floats, Box, Random], Floats]  # the sheet [H, W], 0-255, with one thing more


class Kind(NamedTuple):
    """How a sheet comes about: what is printed on it, the pen, what lies over it and how it is seen."""

    under: tuple[Layer, ...] = ()
    pen: tuple[int, int] = (10, 70)  # grey
    fine: bool = False
    over: tuple[Layer, ...] = ()


def drawn(digit: Bytes, kind: Kind, random: Random) -> Image.Image:
    """A digit [28, 28] on a sheet of that kind; RGB."""
    mask, box = written(digit, random, fine=kind.fine)
    sheet = np.full((SIDE, SIDE), random.uniform(225, 255))
    for layer in kind.under:
        sheet = layer(sheet, box, random)
    sheet += mask * (np.minimum(random.uniform(*kind.pen), sheet) - sheet)
    for layer in kind.over:
        sheet = layer(sheet, box, random)
    return seen(sheet, random)


def mixture(one: Kind, other: Kind) -> Kind:
    """A sheet of both kinds, written with the fainter pen."""
    return Kind(one.under + other.under, max(one.pen, other.pen), one.fine or other.fine, one.over + other.over)


def written(digit: Bytes, random: Random, *, fine: bool = False) -> tuple[Floats, Box]:
    """The digit's strokes [SIDE, SIDE], 0-1, enlarged and a little off-centre, and their box."""
    size = int(random.integers(round(0.9 * DIGIT), round(1.1 * DIGIT)))
    large = Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)
    if fine:
        large = thin(large, int(random.integers(3, 7)))
    page = Image.new("L", (SIDE, SIDE))
    page.paste(large, tuple(random.integers(40, SIDE - size - 40 + 1, 2).tolist()))
    return np.asarray(page) / 255.0, Box(
        *(page.point(lambda value: 255 * (value > 60)).getbbox() or (0, 0, SIDE, SIDE))
    )


def thin(digit: Image.Image, width: int) -> Image.Image:
    """The digit's middle line, drawn that wide."""
    small = np.asarray(digit.resize((72, 72), Image.Resampling.BICUBIC)) > 110
    rows, columns = np.nonzero(skeleton(small))
    factor, places = digit.width / 72, set(zip(rows.tolist(), columns.tolist(), strict=True))
    line = Image.new("L", digit.size)
    pencil = ImageDraw.Draw(line)
    for row, column in places:
        x, y = (column + 0.5) * factor, (row + 0.5) * factor
        pencil.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            if (row + down, column + right) in places:
                pencil.line((x, y, x + right * factor, y + down * factor), fill=255, width=width)
    return line.filter(ImageFilter.GaussianBlur(0.8))


def skeleton(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lines of one pixel in the middle of the strokes (Zhang and Suen, 1984)."""
    mask = np.pad(mask, 1)
    before = -1
    while before != mask.sum():
        before = int(mask.sum())
        for step in (0, 1):
            ring = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
            near = np.stack([np.roll(mask, (-down, -right), (0, 1)) for down, right in ring])
            up, east, south, west = near[::2]
            ends = ~(up & east & south) & ~(east & south & west)
            if step:
                ends = ~(up & east & west) & ~(up & south & west)
            count, changes = near.sum(0), (~near & np.roll(near, -1, 0)).sum(0)
            mask = mask & ~((count >= 2) & (count <= 6) & (changes == 1) & ends)
    return mask[1:-1, 1:-1]


def seen(sheet: Floats, random: Random) -> Image.Image:
    """The sheet through a camera: out of focus, a colour cast, grain, perhaps JPEG's blocks."""
    grey = Image.fromarray(np.uint8(np.rint(sheet.clip(0, 255)))).filter(ImageFilter.GaussianBlur(random.uniform(0, 1)))
    cast = random.uniform(0.85, 1, 3)
    grain = random.normal(0, random.uniform(0, 3), (*sheet.shape, 3))
    colours = np.asarray(grey, float)[..., None] * cast + grain
    picture = Image.fromarray(np.uint8(np.rint(colours.clip(0, 255))))
    if random.random() < 0.3:
        return picture
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(random.integers(50, 96)))
    return Image.open(file).convert("RGB")


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


def rules(
    grey: float | tuple[float, float], *, squared: bool, every: tuple[int, int] = (24, 48), width: float = 0
) -> Layer:
    """Printed rules, or squares, of that grey, turned by up to three degrees."""

    def layer(sheet: Floats, _: Box, random: Random) -> Floats:
        shade = random.uniform(*grey) if isinstance(grey, tuple) else grey
        spacing, angle = random.uniform(*every), random.uniform(-3, 3)
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
    middles = {0: (box.top + box.bottom) / 2, 90: (box.left + box.right) / 2}
    sizes = {0: box.bottom - box.top, 90: box.right - box.left}
    for turn, middle in middles.items():
        place = across(sheet.shape, angle + turn)
        other = 200 if turn else middle
        centre = (
            place[int(other if turn else middle), int(middle if turn else 200)] if not turn else place[200, int(middle)]
        )
        spacing = sizes[turn] + random.uniform(40, 70)
        sheet = lined(sheet, (place - centre) % spacing - spacing / 2, width, grey)
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


PENCIL = (125, 135)
PALE = (170, 230)  # rules

KINDS = {
    "plain": Kind(),
    "pen, ruled": Kind((rules(PALE, squared=False),)),
    "pen, squared": Kind((rules(PALE, squared=True),)),
    "pencil, ruled": Kind((rules(PALE, squared=False),), PENCIL),
    "pencil, squared": Kind((rules(PALE, squared=True),), PENCIL),
    "fine pen": Kind(fine=True),
    "fine pen, ruled": Kind((rules(PALE, squared=False),), fine=True),
    "frame": Kind((frame,)),
    "soft shadow": Kind(over=(soft_shadow,)),
    "hard shadow": Kind(over=(hard_shadow,)),
    "pencil, squared, shadow": Kind((rules(PALE, squared=True),), PENCIL, over=(hard_shadow,)),
    "pencil, frame": Kind((frame,), PENCIL),
    "speck": Kind((speck,)),
    "table": Kind(over=(table(),)),
    "table's edge": Kind(over=(table(edge=True),)),
    "hand, vignetting": Kind(over=(hand, vignette)),
    "folded": Kind(over=(fold,)),
    "blots": Kind((blots,)),
    "margin line": Kind((margin,)),
    "two shadows": Kind(over=(hard_shadow, hard_shadow)),
    "bold squares, fine pencil": Kind((rules((120, 190), squared=True, width=2.5),), PENCIL, fine=True),
    "rules like the pencil": Kind((rules((125, 140), squared=False),), PENCIL),
    "printed cell": Kind((cell,)),
    "own box": Kind((own_box,)),
}
