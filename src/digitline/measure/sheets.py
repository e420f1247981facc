"""Digits on the paper that people use: rules, frames, shadows, tables, blots; pencils and fine pens."""

import io
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from digitline.data.dataset import Bytes
from digitline.measure.layers import (
    SIDE,
    Box,
    Floats,
    Layer,
    Random,
    blots,
    cell,
    fold,
    frame,
    hand,
    hard_shadow,
    margin,
    own_box,
    rules,
    soft_shadow,
    speck,
    table,
    vignette,
)

DIGIT = 200  # pixels of the digit's image on it


Make = Callable[[Bytes, Random], Image.Image]  # a digit [28, 28] as a picture


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


def dotted(digit: Bytes, random: Random) -> Image.Image:
    """A digit on a sheet of 1000 pixels, and one dot of four pixels far from it."""
    mask = np.asarray(Image.fromarray(digit).resize((DIGIT, DIGIT), Image.Resampling.BICUBIC))
    sheet = np.full((1000, 1000), 255, np.uint8)
    row, column = random.integers(0, 1000 - DIGIT, 2)
    sheet[row : row + DIGIT, column : column + DIGIT] -= mask
    row, column = (place + 500 if place < 500 else place - 500 for place in (row, column))
    sheet[row : row + 2, column : column + 2] = 0
    return Image.fromarray(sheet).convert("RGB")


def transparent(digit: Bytes, random: Random) -> Image.Image:
    """White or light strokes on nothing; RGBA."""
    mask, _ = written(digit, random)
    colour = tuple(random.integers(190, 256, 3).tolist()) if random.random() < 0.5 else (255, 255, 255)
    drawing = Image.new("RGBA", (SIDE, SIDE), colour)
    drawing.putalpha(Image.fromarray(np.uint8(np.rint(255 * mask))))
    return drawing


SPECIAL: dict[str, Make] = {"a dot, 1000 pixels": dotted, "light on transparent": transparent}


def makers() -> dict[str, Make]:
    """Every kind by its name, as what draws it."""
    return {**{name: partial(of_kind, kind) for name, kind in KINDS.items()}, **SPECIAL}


def of_kind(kind: Kind, digit: Bytes, random: Random) -> Image.Image:
    """A sheet of one kind."""
    return drawn(digit, kind, random)


def mixed(digit: Bytes, random: Random) -> Image.Image:
    """A sheet of two different kinds."""
    one, other = (list(KINDS.values())[place] for place in random.choice(len(KINDS), 2, replace=False))
    return drawn(digit, mixture(one, other), random)
