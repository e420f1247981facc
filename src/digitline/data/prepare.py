"""Turns a picture of a digit into the models' 28x28 image; API, page and tests share this preparation."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFilter, ImageOps, UnidentifiedImageError

from digitline.base.errors import InputError
from digitline.data.dataset import Bytes
from digitline.data.entry import MNIST

SIDE = MNIST.height  # pixels of MNIST's images
BOX = 20  # pixels of the digit's longer side, as in MNIST
CENTRE = 14  # the pixel of the centre of mass in MNIST's images, to within half a pixel

MAX_BYTES = 32 * 2**20  # of a PNG or JPEG
MAX_PIXELS = 64 * 2**20  # a camera of 64 megapixels; a larger picture is refused before it is decoded

WORKING = 512  # pixels; a larger picture is reduced to less than twice this
MIN_CONTRAST = 24  # of 255; with less, the sheet is blank
FLOOR = 0.1  # of the strongest ink; less is paper: grain and JPEG artefacts
EDGE = 0.3  # of the strongest ink; the digit's box ends there
THIN, THICK = 1.7, 3.6  # pixels of 28; 5% of MNIST's strokes are thinner, 5% thicker
FINE = 8  # pixels per pixel of the 28, while strokes are made thicker or thinner

TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Floats = NDArray[np.float32]


def open_picture(data: bytes) -> Image.Image:
    """Decodes an untrusted PNG or JPEG; InputError if it is another format, damaged or larger than the limits."""
    if len(data) > MAX_BYTES:
        raise InputError(f"the picture has {len(data)} bytes, expected at most {MAX_BYTES}")
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if picture.width * picture.height > MAX_PIXELS:
            raise InputError(f"the picture is {picture.width}x{picture.height}, expected at most {MAX_PIXELS} pixels")
        picture.draft(None, (WORKING, WORKING))  # decodes a JPEG at a half, quarter or eighth of its size
        picture.load()
        picture.getexif()  # within this try, because damaged EXIF raises here
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"the picture is too large, expected at most {MAX_PIXELS} pixels") from None
    except UnidentifiedImageError:
        raise InputError("the file is not a picture, expected a PNG or JPEG") from None
    except (OSError, SyntaxError, ValueError, IndexError, struct.error, zlib.error) as error:
        raise InputError(f"the picture is damaged: {error}") from None
    return picture


def prepare(picture: Image.Image) -> Bytes:
    """Prepares a picture like MNIST's (LeCun et al., 1998): [28, 28], light on dark; a blank one gives zeros.

    Scales the digit to fit 20x20 pixels, keeping its proportions, and puts its centre of mass in the middle.
    """
    strength = ink(flatten(picture))
    if not strength.any():
        return np.zeros((SIDE, SIDE), np.uint8)
    return centre(scale(pen(crop(strength)), BOX))


def flatten(picture: Image.Image) -> Image.Image:
    """Reduces a large picture, turns it upright and puts it on a white background; RGB."""
    orientation = picture.getexif().get(ExifTags.Base.Orientation)
    if picture.mode.startswith(("I", "F")):  # 16 bits of grey, which PIL would clip to 8
        picture = Image.fromarray((np.asarray(picture, np.float32) / 257).clip(0, 255).astype(np.uint8))
    clear = picture.has_transparency_data
    factor = max(1, max(picture.size) // WORKING)
    upright = picture.convert("RGBA" if clear else "RGB").reduce(factor)
    if orientation in TURNS:
        upright = upright.transpose(TURNS[orientation])
    if not clear:
        return upright
    white = Image.new("RGBA", upright.size, "white")
    white.alpha_composite(upright)
    return white.convert("RGB")


def ink(picture: Image.Image) -> Floats:
    """How far each pixel's colour is from the paper's towards the pen's: [H, W], 0-1."""
    bands = [np.asarray(band) for band in picture.split()]
    grey = all(np.array_equal(bands[0], band) for band in bands[1:])
    planes = np.stack(bands[:1] if grey else bands).astype(np.float32)  # [1 or 3, H, W]
    planes -= paper(planes)
    distance = np.abs(planes).max(0)
    if distance.max() < MIN_CONTRAST:
        return np.zeros_like(distance)
    row, column = np.unravel_index(distance.argmax(), distance.shape)
    likeness = np.einsum("c,chw->hw", planes[:, row, column], planes)
    colour = planes[:, likeness > likeness.max() / 2].mean(1)
    strength: Floats = np.einsum("c,chw->hw", colour, planes)
    strength /= strength.max()
    strength[strength < FLOOR] = 0
    return strength


def paper(planes: Floats) -> Floats:
    """The paper's colour under even or uneven light: a plane fitted to the border pixels without ink."""
    height, width = planes.shape[1:]
    down, right = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    frame = np.ones((height, width), bool)
    frame[1:-1, 1:-1] = False
    row, column = np.nonzero(frame)
    basis, colours = np.stack([np.ones_like(down[row]), down[row], right[column]], 1), planes[:, frame].T
    fitted = np.median(colours, axis=0)
    for _ in range(3):
        off = np.abs(colours - fitted).max(1)
        near = off <= 2 * np.median(off) + 1
        level, tilt, lean = np.linalg.lstsq(basis[near], colours[near])[0]
        fitted = basis @ np.stack([level, tilt, lean])
    sheet: Floats = level[:, None, None] + tilt[:, None, None] * down[:, None] + lean[:, None, None] * right
    return sheet


def crop(strength: Floats) -> Image.Image:
    """The smallest box that holds the digit; "L"."""
    rows, columns = (np.flatnonzero((strength > EDGE).any(axis)) for axis in (1, 0))
    box = strength[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Image.fromarray(np.uint8(np.rint(box * 255)))


def pen(digit: Image.Image) -> Image.Image:
    """Limits the stroke width to MNIST's range: widens thinner strokes, narrows thicker ones."""
    fine = scale(digit, BOX * FINE)
    width = stroke(fine) / FINE
    change = round((np.clip(width, THIN, THICK) - width) * FINE / 2)
    if not change:
        return digit
    spread = ImageFilter.MaxFilter if change > 0 else ImageFilter.MinFilter
    changed = ImageOps.expand(fine, abs(change)).filter(spread(2 * abs(change) + 1))
    return changed.crop(changed.getbbox())


def scale(image: Image.Image, longest: int) -> Image.Image:
    """Resizes the longer side to that many pixels, the other to at least one."""
    factor = longest / max(image.size)
    size = [max(1, round(side * factor)) for side in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def stroke(digit: Image.Image) -> float:
    """The mean stroke width in pixels: a stroke's area over half of its outline's length."""
    padded = np.pad(np.asarray(digit, np.float32), 1)
    down, right = np.diff(padded, axis=0)[:, :-1], np.diff(padded, axis=1)[:-1]
    return float(2 * padded.sum() / np.hypot(down, right).sum())


def centre(digit: Image.Image) -> Bytes:
    """Centres it in 28x28 by its centre of mass and scales its strongest pixel to 255."""
    pixels = np.asarray(digit, np.float32)
    placed = np.zeros((SIDE, SIDE), np.uint8)
    start = []
    for axis, size in enumerate(pixels.shape):
        mass = pixels.sum(1 - axis)
        mean = (mass * np.arange(size)).sum() / mass.sum()
        start.append(min(max(round(CENTRE - mean), 0), SIDE - size))
    top, left = start
    placed[top : top + pixels.shape[0], left : left + pixels.shape[1]] = np.rint(pixels * (255 / pixels.max()))
    return placed
