"""Turns a picture into the models' image: folders, service, page and tests share this preparation."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from digitline.base.errors import InputError
from digitline.data import formats, paper
from digitline.data.dataset import Bytes
from digitline.data.entry import MNIST, Preparation, Shape
from digitline.data.even import EDGE

SIDE = MNIST.height  # pixels of MNIST's images
BOX = 20  # pixels of the digit's longer side, as in MNIST
CENTRE = 14  # the pixel of the centre of mass in MNIST's images, to within half a pixel

MAX_BYTES = 32 * 2**20  # of a picture's file
MAX_PIXELS = 64 * 2**20  # a camera of 64 megapixels; a larger picture is refused before it is decoded

WORKING = 512  # pixels; a larger picture is reduced to less than twice this
MOSTLY_CLEAR, LIGHT = 0.5, 160  # the share of opaque pixels below which they are strokes; grey of light ones
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


class Seen(NamedTuple):
    """A picture as the model sees it."""

    image: Bytes  # [H, W] or [H, W, 3]
    sure: bool  # whether one mark on paper was found; always true of a picture that is only resized


def image(data: bytes, shape: Shape, preparation: Preparation) -> Bytes:
    """The model's image of a picture's file: [H, W] or [H, W, 3]; InputError if it cannot be read."""
    return seen(data, shape, preparation).image


def seen(data: bytes, shape: Shape, preparation: Preparation) -> Seen:
    """The model's image of a picture's file, and whether it is sure; InputError if it cannot be read."""
    if preparation == "mnist":
        return read(open_picture(data))
    return Seen(resized(open_picture(data, least=2 * max(shape[:2])), shape, preparation), sure=True)


def open_picture(data: bytes, *, least: int = WORKING) -> Image.Image:
    """Decodes an untrusted picture, of an animation the first frame; a JPEG perhaps smaller, but not below `least`.

    InputError if it is of another format, damaged or larger than the limits.
    """
    with refusals():
        picture = undecoded(data)
        picture.draft(None, (least, least))  # decodes a JPEG at a half, quarter or eighth of its size
        picture.load()
        picture.getexif()  # within this block, because damaged EXIF raises here
    return picture


def undecoded(data: bytes) -> Image.Image:
    """The picture before it is decoded, with its size; to be called within refusals."""
    if len(data) > MAX_BYTES:
        raise InputError(f"the picture has {len(data)} bytes, expected at most {MAX_BYTES}")
    formats.refuse_unread(data)
    picture = Image.open(formats.Parts(data), formats=list(formats.READ))
    formats.refuse_costly(picture, most=MAX_PIXELS)
    return picture


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what Pillow raises for bad pictures into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"the picture is too large, expected at most {MAX_PIXELS} pixels") from None
    except UnidentifiedImageError:
        raise InputError(f"the file is not a picture, expected a {formats.TITLE}") from None
    except (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, struct.error, zlib.error) as error:
        raise InputError(f"the picture is damaged: {error}") from None


def resized(picture: Image.Image, shape: Shape, how: Literal["letterbox", "crop"]) -> Bytes:
    """The picture, upright and in sRGB, at that size: [H, W] or [H, W, 3]; one that has the size keeps its pixels.

    letterbox scales it to fit and fills the rest with the mean colour of its border; crop scales it to fill the image
    and cuts what stands over, the same on both sides.
    """
    upright = turned(srgb(on_white(eight_bits(picture)), picture.info.get("icc_profile")), picture)
    fitted = (letterboxed if how == "letterbox" else cropped)(
        upright.convert("L" if shape.channels == 1 else "RGB"), shape.width, shape.height
    )
    return np.array(fitted)


def letterboxed(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The whole picture, centred."""
    factor = min(width / picture.width, height / picture.height)
    across, down = (max(1, round(side * factor)) for side in picture.size)
    inner = picture.resize((across, down), Image.Resampling.BICUBIC)
    if inner.size == (width, height):
        return inner
    pixels = np.asarray(inner)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    colour = np.rint(border.mean(0)).astype(int).tolist()
    sheet = Image.new(inner.mode, (width, height), tuple(colour) if inner.mode == "RGB" else colour)
    sheet.paste(inner, ((width - across) // 2, (height - down) // 2))
    return sheet


def cropped(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The largest part of the picture's middle that has these proportions."""
    factor = min(picture.width / width, picture.height / height)
    left, top = (picture.width - width * factor) / 2, (picture.height - height * factor) / 2
    box = (left, top, picture.width - left, picture.height - top)
    return picture.resize((width, height), Image.Resampling.BICUBIC, box)


def eight_bits(picture: Image.Image) -> Image.Image:
    """Brings 16 bits of grey to 8, to which PIL would clip them."""
    return from_16_bits(picture) if picture.mode.startswith("I") else picture


def from_16_bits(picture: Image.Image) -> Image.Image:
    """Mode L of 16 bits of grey."""
    return Image.fromarray((np.asarray(picture, np.float32) / 257).clip(0, 255).astype(np.uint8))


def on_white(picture: Image.Image) -> Image.Image:
    """Puts what is transparent on a white background."""
    if not picture.has_transparency_data:
        return picture.convert("RGB") if picture.mode == "P" else picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("L" if picture.mode in ("L", "LA", "La", "1") else "RGB")


def srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Brings the colours from the profile's space to sRGB; without a profile they are taken as sRGB."""
    change = to_srgb(profile, picture.mode) if profile else None
    return change.apply(picture) if change else picture


@lru_cache(maxsize=16)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The change of colours; none if the profile is damaged or of other channels: like browsers, which ignore it."""
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(space, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


def turned(picture: Image.Image, original: Image.Image) -> Image.Image:
    """Turns the picture as the original's EXIF says."""
    orientation = original.getexif().get(ExifTags.Base.Orientation)
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture


def prepare(picture: Image.Image) -> Bytes:
    """Prepares a picture like MNIST's (LeCun et al., 1998): [28, 28], light on dark; a blank one gives zeros.

    Scales the digit to fit 20x20 pixels, keeping its proportions, and puts its centre of mass in the middle.
    """
    return read(picture).image


def read(picture: Image.Image) -> Seen:
    """The same image, and whether one mark on paper was found."""
    found = paper.read(flatten(picture))
    if not found.ink.any():
        return Seen(np.zeros((SIDE, SIDE), np.uint8), found.sure)
    return Seen(centre(scale(pen(crop(found.ink)), BOX)), found.sure)


def flatten(picture: Image.Image) -> Image.Image:
    """Reduces a large picture, turns it upright and puts it on a background that its ink is seen on; RGB."""
    original = picture
    if picture.mode.startswith(("I", "F")):
        picture = from_16_bits(picture)
    clear = picture.has_transparency_data
    factor = max(1, max(picture.size) // WORKING)
    upright = turned(picture.convert("RGBA" if clear else "RGB").reduce(factor), original)
    if not clear:
        return upright
    sheet = Image.new("RGBA", upright.size, "black" if light(upright) else "white")
    sheet.alpha_composite(upright)
    return sheet.convert("RGB")


def light(drawing: Image.Image) -> bool:
    """Whether what is drawn on an RGBA picture is light strokes, and most of it transparent."""
    cover = np.asarray(drawing.getchannel("A"), np.float32) / 255
    shade = np.asarray(drawing.convert("RGB").convert("L"), np.float32)
    return bool(0 < cover.mean() < MOSTLY_CLEAR and (shade * cover).sum() > LIGHT * cover.sum())


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
    reach, extreme = abs(change), np.maximum if change > 0 else np.minimum
    pixels = np.pad(np.asarray(fine), 2 * reach)
    for _ in range(2):  # along each axis: the same as Pillow's filter of a square, and ten times faster
        pixels = extreme.reduce([pixels[at : len(pixels) - 2 * reach + at] for at in range(2 * reach + 1)]).T
    changed = Image.fromarray(pixels)
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
