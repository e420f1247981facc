"""Pictures without any paper, as a camera also sends them: a face, a street, a page of print, a bar code."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 400  # pixels
WORDS = "the of and to in is you that it he was for on are as with his they at be this have from or one had by word"

Random = np.random.Generator


@cache
def photograph(name: str) -> Image.Image:
    """A photograph that a package ships: hopper, of matplotlib; china or flower, of scikit-learn."""
    if name == "hopper":
        return Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg").convert("RGB")
    from sklearn.datasets import load_sample_image  # it takes a second to import

    return Image.fromarray(load_sample_image(f"{name}.jpg"))


def part(picture: Image.Image, random: Random, least: float) -> Image.Image:
    """A square part of a picture, at least that share of its shorter side, at times mirrored."""
    side = int(random.uniform(least, 1) * min(picture.size))
    left, top = (int(random.integers(0, length - side + 1)) for length in picture.size)
    cut = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else cut


def face(random: Random) -> Image.Image:
    """Grace Hopper before her flag."""
    return part(photograph("hopper"), random, 0.6)


def view(random: Random) -> Image.Image:
    """Parts of a temple or a flower."""
    return part(photograph("china" if random.random() < 0.6 else "flower"), random, 0.35)


def street(random: Random) -> Image.Image:
    """Houses with windows and doors under a sky, a road before them."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(random.integers((90, 130, 160), (190, 210, 256)).tolist()))
    pencil, left, ground = ImageDraw.Draw(picture), -20, int(random.integers(260, 340))
    while left < SIDE:
        wide, top = int(random.integers(60, 150)), int(random.integers(20, 170))
        pencil.rectangle((left, top, left + wide, ground), tuple(random.integers(60, 220, 3).tolist()))
        glass, size = tuple(random.integers(10, 230, 3).tolist()), int(random.integers(10, 26))
        for x in range(left + 8, left + wide - size, size + int(random.integers(8, 20))):
            for y in range(top + 12, ground - size - 30, size + int(random.integers(12, 26))):
                pencil.rectangle((x, y, x + size, y + size), glass)
        pencil.rectangle((left + wide // 2 - 10, ground - 36, left + wide // 2 + 10, ground), glass)
        left += wide + int(random.integers(0, 12))
    pencil.rectangle((0, ground, SIDE, SIDE), tuple([int(random.integers(50, 120))] * 3))
    for x in range(int(random.integers(0, 60)), SIDE, 80):
        pencil.polygon([(x, 366), (x + 40, 366), (x + 34, 372), (x - 6, 372)], (225, 225, 215))
    return camera(picture, random)


def print_page(random: Random) -> Image.Image:
    """Lines of print, a page or a few words."""
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    name = ["DejaVuSerif", "DejaVuSans", "STIXGeneral", "cmr10"][int(random.integers(4))]
    size = int(random.integers(12, 40))
    font = ImageFont.truetype(fonts / f"{name}.ttf", size)
    picture = Image.new("RGB", (SIDE, SIDE), tuple([int(random.integers(220, 256))] * 3))
    pencil = ImageDraw.Draw(picture)
    for top in range(int(random.integers(-10, 30)), SIDE, round(1.4 * size)):
        words = " ".join(random.choice(WORDS.split(), 24).tolist())
        pencil.text((int(random.integers(-6, 24)), top), words, (25, 25, 30), font)
    angle = random.uniform(-4, 4)
    return camera(picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(235, 235, 235)), random)


def bar_code(random: Random) -> Image.Image:
    """Bars of one to four modules, on a label or across the picture."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(random.integers(200, 256, 3).tolist()))
    pencil, module = ImageDraw.Draw(picture), int(random.integers(2, 6))
    left, right = (0, SIDE) if random.random() < 0.3 else sorted(random.integers((20, 280), (120, 380)).tolist())
    top, bottom = int(random.integers(20, 140)), int(random.integers(240, 380))
    pencil.rectangle((left - 16, top - 16, right + 16, bottom + 16), (250, 250, 250))
    at = left
    while at < right:
        wide = module * int(random.integers(1, 5))
        pencil.rectangle((at, top, min(at + wide - 1, right), bottom), (15, 15, 15))
        at += wide + module * int(random.integers(1, 5))
    angle = random.uniform(-20, 20)
    return camera(picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(210, 205, 200)), random)


def camera(picture: Image.Image, random: Random) -> Image.Image:
    """A little out of focus, with grain."""
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5))), float)
    grain = random.normal(0, random.uniform(1, 5), blurred.shape)
    return Image.fromarray((blurred + grain).clip(0, 255).astype(np.uint8))


SCENES = {"a face": face, "a view": view, "a street": street, "a page of print": print_page, "a bar code": bar_code}
