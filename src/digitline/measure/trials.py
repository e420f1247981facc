"""Pictures like those of users, to test a model: digits on sheets of paper, letters, scribbles."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.special import softmax
from torch import nn

from digitline.base.slots import cores
from digitline.data.dataset import Bytes, Part
from digitline.data.prepare import open_picture, prepare
from digitline.measure import uncertainty
from digitline.measure.robustness import FAMILIES, changed
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy

SHEET = 400  # pixels
LETTERS = "ACDEFGHJKLMNPRTUVWXYacdefhijkmnprtuvwxy"  # without those that can look like a digit: O, Q, l, Z, S, b
FONTS = [
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif",
    "DejaVuSansMono",
]  # shipped with matplotlib


def sheet(digit: Bytes, random: np.random.Generator) -> bytes:
    """A digit [H, W], light on dark, enlarged and off-centre on a sheet: PNG or JPEG, dark or light paper."""
    height = int(random.integers(100, 260))
    width = max(1, round(height * digit.shape[1] / digit.shape[0]))
    large = Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC)
    paper = Image.new("L", (SHEET, SHEET))
    paper.paste(large, tuple(random.integers(0, (SHEET - width + 1, SHEET - height + 1)).tolist()))
    if random.random() < 0.5:
        paper = paper.point(lambda value: 255 - value)
    return encoded(paper, "PNG" if random.random() < 0.5 else "JPEG")


def letter(random: np.random.Generator) -> Image.Image:
    """A printed letter, dark on light."""
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    font = ImageFont.truetype(fonts / f"{random.choice(FONTS)}.ttf", int(random.integers(120, 240)))
    paper = Image.new("L", (SHEET, SHEET), 255)
    ImageDraw.Draw(paper).text((SHEET / 2, SHEET / 2), random.choice(list(LETTERS)), fill=0, font=font, anchor="mm")
    return paper


def scribble(random: np.random.Generator) -> Image.Image:
    """One random stroke: a smooth curve through eight to thirty points."""
    corners = random.uniform(0.15, 0.85, (int(random.integers(8, 31)), 2)) * SHEET
    place, points = np.arange(len(corners)), np.linspace(0, len(corners) - 1, 12 * len(corners))
    rough = np.stack([np.interp(points, place, axis) for axis in corners.T], 1)
    smooth = np.stack([np.convolve(np.pad(axis, 4, "edge"), np.ones(9) / 9, "valid") for axis in rough.T], 1)
    paper = Image.new("L", (SHEET, SHEET), 255)
    path = [(float(x), float(y)) for x, y in smooth]
    ImageDraw.Draw(paper).line(path, fill=0, width=int(random.integers(8, 28)), joint="curve")
    return paper


def from_sheets(images: Bytes) -> Bytes:
    """Images [N, H, W], each put on a sheet, encoded as a file and prepared: [N, 28, 28]."""

    def one(seed: int) -> Bytes:
        return prepare(open_picture(sheet(images[seed], np.random.default_rng(seed))))

    with ThreadPoolExecutor(cores()) as pool:
        return np.stack(list(pool.map(one, range(len(images)))))


def parity(model: nn.Module, part: Part) -> tuple[float, float]:
    """The accuracy on images [N, 28, 28], unchanged and on sheets."""
    raw, sheets = (predict(model, images) for images in (part.images, from_sheets(part.images)))
    return accuracy(raw, part.labels), accuracy(sheets, part.labels)


def corrupted(model: nn.Module, part: Part) -> dict[str, Any]:
    """The accuracy on all images under each corruption; the mean and its 95% interval over images."""
    pixels = torch.from_numpy(np.array(part.images)).float().unsqueeze(1)
    right = {
        name: predict(model, changed(pixels, family, family.corrupt)).argmax(1) == part.labels
        for name, family in FAMILIES.items()
        if family.corrupt is not None
    }
    each = np.mean(list(right.values()), 0)  # for each image, its accuracy over the corruptions
    middle, half = float(each.mean()), 1.96 * float(each.std(ddof=1)) / len(each) ** 0.5
    families = {name: float(found.mean()) for name, found in right.items()}
    return {"mean": middle, "interval": [middle - half, middle + half], "families": families}


def doubted(model: nn.Module, images: Bytes, above: float) -> float:
    """The share of images [N, 28, 28] on which the model's entropy exceeds the threshold."""
    return float((uncertainty.entropy(softmax(predict(model, images), 1)) > above).mean())


def encoded(picture: Image.Image, form: str) -> bytes:
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, form, quality=85)
    return file.getvalue()
