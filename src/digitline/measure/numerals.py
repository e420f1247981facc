"""Whole numbers as people write them: test digits side by side on several kinds of paper."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digitline.data.dataset import Part
from digitline.measure.trials import encoded

WIDTH, HEIGHT = 900, 420  # pixels of a sheet with one number
MOST = 8  # digits of a number

Floats = NDArray[np.float64]
Random = np.random.Generator
Light = Callable[[int, int, Random], Floats]  # paper of that width and height, [H, W], 0-255


class Written(NamedTuple):
    picture: bytes
    numbers: list[str]  # of each line


class Kind(NamedTuple):
    """How numbers are written."""

    paper: Light
    pen: tuple[int, int] = (0, 70)  # the darkest and the lightest grey
    lines: tuple[int, int] = (1, 1)
    longest: int = MOST
    touching: bool = False  # two neighbours


def plain(width: int, height: int, random: Random) -> Floats:
    """An empty sheet with a little grain."""
    return random.uniform(220, 255) + random.normal(0, random.uniform(0, 3), (height, width))


def ruled(width: int, height: int, random: Random, *, across: bool = False) -> Floats:
    """A sheet with lines, or with squares; a little turned."""
    sheet, turn, step = plain(width, height, random), random.uniform(-0.03, 0.03), random.uniform(28, 64)
    grey, thick = random.uniform(170, 225), random.uniform(1, 2.5)
    rows, columns = np.mgrid[:height, :width]
    for along in [rows + turn * columns, columns - turn * rows][: 2 if across else 1]:
        off = np.abs((along + step / 3) % step - step / 2)
        share = np.clip(thick / 2 + 0.5 - off, 0, 1)
        sheet += share * np.minimum(grey - sheet, 0)
    return sheet


def squared(width: int, height: int, random: Random) -> Floats:
    """A sheet with squares."""
    return ruled(width, height, random, across=True)


def marked(width: int, height: int, random: Random) -> Floats:
    """A sheet with lines or squares."""
    return ruled(width, height, random, across=random.random() < 0.5)


def shaded(width: int, height: int, random: Random) -> Floats:
    """Any of these sheets under a soft round shadow or beside an edge that throws one."""
    sheet: Floats = [plain, ruled, squared][random.integers(3)](width, height, random)
    rows, columns = np.mgrid[:height, :width]
    x, y, depth = random.uniform(0.2, 0.8) * width, random.uniform(0.2, 0.8) * height, random.uniform(0.3, 0.5)
    if random.random() < 0.5:
        reach = random.uniform(0.25, 0.5) * width
        dark = np.exp(-(((columns - x) / reach) ** 2) - ((rows - y) / reach) ** 2)
    else:
        angle, soft = random.uniform(0, 2 * np.pi), random.uniform(10, 60)
        off = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        dark = 1 / (1 + np.exp(np.clip(-off / soft * 4, -50, 50)))
    darker: Floats = sheet * (1 - depth * dark)
    return darker


KINDS = {
    "plain paper": Kind(plain),
    "pen on ruled paper": Kind(ruled),
    "pen on squared paper": Kind(squared),
    "pencil on ruled or squared paper": Kind(marked, pen=(105, 135)),
    "under a shadow": Kind(shaded),
    "several lines on plain paper": Kind(plain, lines=(2, 4), longest=6),
    "two digits that touch, on plain paper": Kind(plain, longest=5, touching=True),
}


def write(part: Part, kind: Kind, random: Random) -> Written:
    """Some of the digits, written as numbers of 2 to 8 on a sheet: a PNG or JPEG."""
    lines = int(random.integers(kind.lines[0], kind.lines[1] + 1))
    chosen = [random.integers(len(part.labels), size=random.integers(2, kind.longest + 1)) for _ in range(lines)]
    height = HEIGHT if lines == 1 else 200 * lines
    size = random.uniform(60, min(160, 0.9 * WIDTH / max(map(len, chosen)), 0.55 * height / lines))
    ink = np.zeros((height, WIDTH))
    for line, places in enumerate(chosen):
        middle = height * (line + 0.5) / lines
        put(ink, row([part.images[place] for place in places], size, kind.touching, random), middle, random)
    sheet = kind.paper(WIDTH, height, random)
    grey = random.uniform(*kind.pen) * (sheet / sheet.max())
    picture = Image.fromarray(np.uint8(np.clip(sheet + ink * (grey - sheet), 0, 255)))
    picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0, 1)))
    numbers = ["".join(str(part.labels[place]) for place in places) for places in chosen]
    return Written(encoded(picture, "PNG" if random.random() < 0.5 else "JPEG"), numbers)


def put(ink: Floats, line: Floats, middle: float, random: Random) -> None:
    """Puts a line's ink at a random place around that height; reduced if the sheet is too small."""
    factor = min(1, (WIDTH - 10) / line.shape[1])
    size = [max(1, int(side * factor)) for side in line.shape[::-1]]
    line = np.asarray(Image.fromarray(line.astype(np.float32)).resize((size[0], size[1])), np.float64)
    height, width = line.shape
    top = int(np.clip(middle - height / 2 + random.uniform(-0.1, 0.1) * height, 4, ink.shape[0] - height - 4))
    left = int(random.integers(4, WIDTH - width - 4))
    region = ink[top : top + height, left : left + width]
    np.maximum(region, line, out=region)


def row(digits: list[NDArray[np.uint8]], size: float, touching: bool, random: Random) -> Floats:
    """The ink of digits beside each other, [H, W], 0-1: uneven in size, height and distance, on a slanting line."""
    slope, length = random.uniform(-0.06, 0.06), len(digits)
    ink = np.zeros((int(2.2 * size + 0.12 * WIDTH), int(2.2 * size * length)))
    met, right = int(random.integers(1, length)) if touching else 0, 0
    for place, digit in enumerate(digits):
        shape = drawn(digit, size * random.uniform(0.85, 1.15), random)
        height, width = shape.shape
        rise = slope * right + random.uniform(-0.07, 0.07) * size
        top = int(np.clip(ink.shape[0] / 2 + rise - height / 2, 0, ink.shape[0] - height))
        near = 0 if place == met and touching else max(2, round(0.03 * size))
        left = beside(ink[top : top + height], shape, near) if place else 0
        gap = random.uniform(-0.05, 0) if place == met and touching else random.uniform(0.05, 0.5)
        least = 0 if place == met and touching else right - 0.1 * size
        left = max(0, int(max(left + gap * size, least)))
        region = ink[top : top + height, left : left + width]
        np.maximum(region, shape, out=region)
        right = left + width
    rows, columns = (np.flatnonzero(ink.max(axis) > 0.1) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def drawn(digit: NDArray[np.uint8], size: float, random: Random) -> Floats:
    """A digit's ink of that height at most, a little turned and sheared: [H, W], 0-1."""
    large = Image.fromarray(np.pad(digit, 4)).resize([round(36 * size / 20)] * 2, Image.Resampling.BICUBIC)
    lean, turn = random.uniform(-0.15, 0.15), random.uniform(-6, 6)
    middle = large.height / 2
    large = large.rotate(turn, Image.Resampling.BICUBIC).transform(
        large.size, Image.Transform.AFFINE, (1, lean, -lean * middle, 0, 1, 0), Image.Resampling.BICUBIC
    )
    shape = np.asarray(large, np.float64) / 255
    rows, columns = (np.flatnonzero(shape.max(axis) > 0.1) for axis in (1, 0))
    return shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def beside(ink: Floats, shape: Floats, near: int) -> int:
    """Where the shape's left side has to be so that it just touches the ink; rows as near as that count as one."""
    right = np.where(ink.max(1) > 0.3, ink.shape[1] - np.argmax(ink[:, ::-1] > 0.3, axis=1), -(10**6))
    left = np.where(shape.max(1) > 0.3, np.argmax(shape > 0.3, axis=1), 10**6)
    wide = np.pad(right, near, constant_values=-(10**6))
    windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * near + 1).max(1)
    return int((windows - left).max())
