"""Kinds of paper that no setting was chosen on, drawn by other code than measure/sheets.py."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from digitline.data.dataset import Bytes
from digitline.measure.sheets import Make

SIDE = 800  # pixels while drawing; the picture has half as many

Random = np.random.Generator
Colour = tuple[int, int, int]


def written(  # noqa: PLR0917
    picture: Image.Image, digit: Bytes, random: Random, ink: Colour, place: tuple[int, int], size: int
) -> None:
    """Writes a digit [28, 28] with that ink, its image's middle at a place."""
    mask = Image.fromarray(digit).resize((size, size), Image.Resampling.LANCZOS)
    mask = mask.rotate(random.uniform(-6, 6), Image.Resampling.BICUBIC)
    picture.paste(Image.new("RGB", mask.size, ink), (place[0] - size // 2, place[1] - size // 2), mask)


def photographed(picture: Image.Image, random: Random, light: NDArray[np.floating] | None = None) -> Image.Image:
    """Seen under this light, half as large, with grain and as a JPEG."""
    pixels = np.asarray(picture.resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX), float)
    if light is not None:
        pixels = pixels * light[::2, ::2, None]
    pixels = pixels * random.uniform(0.8, 1) + random.normal(0, random.uniform(0.5, 4), pixels.shape)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=int(random.integers(45, 92)))
    return Image.open(file).convert("RGB")


def spot(random: Random) -> tuple[int, int]:
    """A place near the middle."""
    x, y = random.integers(320, 481, 2).tolist()
    return x, y


def size_of(random: Random) -> int:
    """The size of a digit's image."""
    return int(random.integers(340, 460))


def some(random: Random, low: Colour, high: Colour) -> Colour:
    """A colour between two."""
    red, green, blue = (int(random.integers(first, last + 1)) for first, last in zip(low, high, strict=True))
    return red, green, blue


def smooth(random: Random, coarse: int) -> NDArray[np.floating]:
    """A random surface, -1 to 1, with that many hills a side: [SIDE, SIDE]."""
    hills = Image.fromarray(random.uniform(-1, 1, (coarse, coarse)).astype(np.float32))
    surface: NDArray[np.floating] = np.asarray(hills.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
    return surface


def graph_paper(digit: Bytes, random: Random) -> Image.Image:
    """Green squares, every fifth line bold."""
    paper = Image.new("RGB", (SIDE, SIDE), some(random, (235, 240, 228), (255, 255, 250)))
    pencil, step = ImageDraw.Draw(paper), int(random.integers(22, 40))
    pale, tilt = some(random, (150, 195, 160), (200, 230, 205)), random.uniform(-25, 25)
    for number, at in enumerate(range(-step, SIDE + step, step)):
        width, colour = (5, tuple(value - 40 for value in pale)) if number % 5 == 0 else (2, pale)
        pencil.line((-10, at - tilt, SIDE + 10, at + tilt), colour, width)
        pencil.line((at + tilt, -10, at - tilt, SIDE + 10), colour, width)
    written(paper, digit, random, some(random, (20, 20, 70), (70, 70, 130)), spot(random), size_of(random))
    return photographed(paper, random)


def filed_sheet(digit: Bytes, random: Random) -> Image.Image:
    """Blue rules, a red margin, and holes for a binder at one side."""
    paper = Image.new("RGB", (SIDE, SIDE), some(random, (240, 238, 230), (255, 255, 255)))
    pencil, step = ImageDraw.Draw(paper), int(random.integers(50, 90))
    for at in range(step // 2, SIDE, step):
        pencil.line((0, at, SIDE, at), some(random, (140, 170, 215), (190, 205, 235)), 3)
    edge = int(random.integers(90, 130))
    pencil.line((edge, 0, edge, SIDE), (225, 110, 120), 4)
    for at in range(int(random.integers(60, 160)), SIDE, 260):
        pencil.ellipse((30, at, 66, at + 36), some(random, (40, 40, 40), (110, 100, 90)))
    x, y = spot(random)
    written(paper, digit, random, some(random, (20, 25, 90), (60, 60, 150)), (x + 60, y), size_of(random))
    return photographed(paper, random, 1 + 0.08 * smooth(random, 3))


def sticky_note(digit: Bytes, random: Random) -> Image.Image:
    """A yellow note on a desk, turned a little, with a shadow beneath."""
    desk = Image.new("RGB", (SIDE, SIDE), some(random, (60, 45, 30), (150, 120, 95)))
    side = int(random.integers(520, 640))
    note = Image.new("RGB", (side, side), some(random, (235, 215, 90), (255, 245, 150)))
    middle = (side // 2 + int(random.integers(-30, 31)), side // 2 + int(random.integers(-30, 31)))
    written(note, digit, random, some(random, (15, 15, 15), (60, 60, 90)), middle, int(side * 0.62))
    cover = Image.new("L", note.size, 255)
    angle = random.uniform(-14, 14)
    note, cover = (each.rotate(angle, Image.Resampling.BICUBIC, expand=True) for each in (note, cover))
    corner = ((SIDE - note.width) // 2, (SIDE - note.height) // 2)
    shade = Image.new("L", desk.size)
    shade.paste(cover.point(lambda value: value // 3), (corner[0] + 10, corner[1] + 14))
    desk.paste((0, 0, 0), (0, 0), shade.filter(ImageFilter.GaussianBlur(10)))
    desk.paste(note, corner, cover)
    return photographed(desk, random)


def whiteboard(digit: Bytes, random: Random) -> Image.Image:
    """A marker on a white board, with the glare of a lamp and traces of what was wiped off."""
    board = Image.new("RGB", (SIDE, SIDE), some(random, (205, 210, 212), (228, 230, 235)))
    traces = Image.new("L", board.size)
    for _ in range(6):
        start, end = random.integers(0, SIDE, 2).tolist(), random.integers(0, SIDE, 2).tolist()
        ImageDraw.Draw(traces).line((*start, *end), 14, int(random.integers(20, 60)))
    board.paste((120, 120, 140), (0, 0), traces.filter(ImageFilter.GaussianBlur(12)))
    ink = [(20, 20, 30), (20, 40, 150), (170, 25, 35), (20, 110, 50)][int(random.integers(4))]
    written(board, digit, random, ink, spot(random), size_of(random))
    x, y = random.integers(0, SIDE, 2).tolist()
    glare = Image.new("L", board.size)
    ImageDraw.Draw(glare).ellipse((x - 90, y - 60, x + 90, y + 60), 200)
    board.paste((255, 255, 255), (0, 0), glare.filter(ImageFilter.GaussianBlur(35)))
    return photographed(board, random)


def index_card(digit: Bytes, random: Random) -> Image.Image:
    """A card with a red line at its head and blue rules, its edges in view on a grey table."""
    table = Image.new("RGB", (SIDE, SIDE), some(random, (70, 70, 75), (150, 150, 155)))
    card = Image.new("RGB", (720, 500), (250, 248, 240))
    pencil = ImageDraw.Draw(card)
    pencil.line((0, 70, 720, 70), (215, 90, 100), 4)
    for at in range(120, 500, 46):
        pencil.line((0, at, 720, at), (170, 195, 225), 2)
    x, y = int(random.integers(240, 480)), int(random.integers(240, 280))
    written(card, digit, random, some(random, (10, 10, 10), (90, 90, 100)), (x, y), int(random.integers(300, 400)))
    cover, angle = Image.new("L", card.size, 255), random.uniform(-5, 5)
    card, cover = (each.rotate(angle, Image.Resampling.BICUBIC, expand=True) for each in (card, cover))
    table.paste(card, ((SIDE - card.width) // 2, (SIDE - card.height) // 2), cover)
    return photographed(table, random, 1 + 0.1 * smooth(random, 2))


def chalkboard(digit: Bytes, random: Random) -> Image.Image:
    """Chalk on a dark board with dust."""
    board = Image.new("RGB", (SIDE, SIDE), some(random, (30, 50, 40), (55, 75, 62)))
    dust = np.uint8((10 + 14 * smooth(random, 6) + random.normal(0, 4, (SIDE, SIDE))).clip(0, 60))
    board = ImageChops.add(board, Image.merge("RGB", [Image.fromarray(dust)] * 3))
    size = size_of(random)
    mask = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.LANCZOS), float)
    grains = np.asarray(Image.fromarray(random.normal(0, 1, (size, size)).astype(np.float32)).resize((size, size)))
    chalk = Image.fromarray((mask * (0.8 + 0.25 * grains)).clip(0, 255).astype(np.uint8))
    x, y = spot(random)
    board.paste(some(random, (215, 215, 205), (245, 245, 240)), (x - size // 2, y - size // 2), chalk)
    return photographed(board.filter(ImageFilter.GaussianBlur(1.5)), random)


def receipt(digit: Bytes, random: Random) -> Image.Image:
    """Thin paper with crumples, and some print at its head."""
    paper = Image.new("RGB", (SIDE, SIDE), some(random, (225, 225, 225), (245, 245, 248)))
    pencil = ImageDraw.Draw(paper)
    for row in (24, 46, 68):
        for at in range(120, 680, int(random.integers(16, 30))):
            pencil.rectangle((at, row, at + int(random.integers(4, 12)), row + 10), (110, 110, 120))
    x, y = spot(random)
    written(paper, digit, random, some(random, (25, 25, 80), (60, 60, 130)), (x, y + 60), size_of(random) - 40)
    rough = np.abs(smooth(random, 5)) + 0.5 * np.abs(smooth(random, 9))
    return photographed(paper, random, 1 - 0.16 * rough)


def kraft(digit: Bytes, random: Random) -> Image.Image:
    """Brown wrapping paper with fibres and ribs."""
    paper = Image.new("RGB", (SIDE, SIDE), some(random, (165, 125, 85), (200, 160, 115)))
    pencil = ImageDraw.Draw(paper)
    for _ in range(400):
        x, y = random.integers(0, SIDE, 2).tolist()
        across, down = random.integers(-14, 15, 2).tolist()
        shade = int(random.integers(-22, 23))
        pencil.line((x, y, x + across, y + down), tuple(value + shade for value in (180, 140, 98)), 2)
    written(paper, digit, random, some(random, (10, 10, 10), (50, 40, 40)), spot(random), size_of(random))
    return photographed(paper, random, 1 + 0.03 * np.sin(np.arange(SIDE) / 3)[None, :] + 0.06 * smooth(random, 3))


HELD_OUT: dict[str, Make] = {
    "graph paper, bold fifths": graph_paper,
    "ruled sheet with holes": filed_sheet,
    "sticky note on a desk": sticky_note,
    "whiteboard with glare": whiteboard,
    "index card": index_card,
    "chalkboard": chalkboard,
    "crumpled receipt": receipt,
    "kraft paper": kraft,
}
