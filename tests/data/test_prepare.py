import io
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw, ImageFilter

from digitline.base.errors import InputError
from digitline.data import prepare
from digitline.data.dataset import Dataset

Bytes = NDArray[np.uint8]
CANVAS = 320  # pixels
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def page(digit: Bytes, seed: int = 0, pen: tuple[int, ...] = BLACK, paper: tuple[int, ...] = WHITE) -> Image.Image:
    """The digit, enlarged seven times, at some place on a sheet."""
    mask = Image.fromarray(digit).resize((196, 196), Image.Resampling.BICUBIC)
    left, top = np.random.default_rng(seed).integers(0, CANVAS - 196, 2).tolist()
    sheet = Image.new("RGB", (CANVAS, CANVAS), paper)
    sheet.paste(Image.new("RGB", mask.size, pen), (left, top), mask)
    return sheet


def line(width: int, *, end: tuple[int, int] = (250, 200), size: int = 300) -> Image.Image:
    sheet = Image.new("L", (size, size), 255)
    ImageDraw.Draw(sheet).line((60, 50, *end), fill=0, width=width)
    return sheet


def lit(sheet: Image.Image) -> Image.Image:
    """A photograph: grey paper, brighter to one side, out of focus, with grain."""
    light = np.linspace(0.55, 0.95, CANVAS)[None, :, None] + np.linspace(-0.1, 0.1, CANVAS)[:, None, None]
    grain = np.random.default_rng(0).normal(0, 4, (CANVAS, CANVAS, 3))
    blurred = np.asarray(sheet.filter(ImageFilter.GaussianBlur(1)), float)
    return Image.fromarray((blurred * light + grain).clip(0, 255).astype(np.uint8))


def distance(one: Bytes, other: Bytes) -> float:
    """Mean over the pixels, of 255."""
    return float(np.abs(one.astype(float) - other).mean())


# Results


@pytest.mark.parametrize(
    "made",
    [
        page,
        lambda digit, seed: page(digit, seed, WHITE, BLACK),
        lambda digit, seed: page(digit, seed, (200, 40, 40), (60, 130, 60)),
        lambda digit, seed: page(digit, seed, (255, 230, 0)),
        lambda digit, seed: page(digit, seed, (215, 215, 215)),
        lambda digit, seed: lit(page(digit, seed)),
        lambda digit, seed: prepare.open_picture(encoded(page(digit, seed), "JPEG", quality=60)),
        lambda digit, seed: prepare.open_picture(encoded(page(digit, seed).convert("P"))),
        lambda digit, seed: page(digit, seed).convert("CMYK"),
        lambda digit, seed: page(digit, seed).resize((1100, 1100)),
        lambda digit, seed: page(digit, seed).resize((90, 90)),
    ],
    ids=["black", "white", "red", "yellow", "pale", "photograph", "jpeg", "palette", "cmyk", "large", "small"],
)
def test_a_digit_on_a_sheet_is_restored(digits: Dataset, made: Callable[[Bytes, int], Image.Image]) -> None:
    originals = digits.test.images[:60]
    prepared = [prepare.prepare(made(original, seed)) for seed, original in enumerate(originals)]
    # The original digit is the nearest one, and it is near.
    apart = np.array([[distance(image, original) for original in originals] for image in prepared])
    assert (apart.argmin(1) == np.arange(60)).mean() >= 0.9
    assert apart.diagonal().mean() < 12


def test_an_mnist_image_hardly_changes(digits: Dataset) -> None:
    originals = digits.test.images
    assert np.mean([distance(prepare.prepare(Image.fromarray(image)), image) for image in originals]) < 2


@pytest.mark.parametrize("end", [(250, 200), (70, 250), (280, 55)])
def test_the_digit_s_box_is_20_pixels_and_its_mass_in_the_middle(end: tuple[int, int]) -> None:
    image = prepare.prepare(line(20, end=end)).astype(float)
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    place = np.arange(28)
    assert (image.sum(1) @ place) / image.sum() == pytest.approx(14, abs=0.5)
    assert (image.sum(0) @ place) / image.sum() == pytest.approx(14, abs=0.5)
    assert image.max() == 255


def test_proportions_are_kept() -> None:
    tall = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(tall).rectangle((100, 20, 139, 219), fill=0)  # 40x200
    image = prepare.prepare(tall) > 127
    assert image.any(1).sum() == 20
    assert 3 <= image.any(0).sum() <= 4


@pytest.mark.parametrize(("width", "low", "high"), [(1, 1.4, 2.2), (3, 1.4, 2.2), (25, 1.7, 2.6), (60, 2.5, 3.8)])
def test_stroke_width_is_brought_to_mnist_s(width: int, low: float, high: float) -> None:
    assert low < prepare.stroke(Image.fromarray(prepare.prepare(line(width)))) < high


def test_transparency_is_white_paper(digits: Dataset) -> None:
    digit = digits.test.images[0]
    ink = Image.new("RGBA", (28, 28), (0, 0, 90, 0))
    ink.putalpha(Image.fromarray(digit))
    assert distance(prepare.prepare(ink), digit) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_camera_picture_is_rotated_back(digits: Dataset, orientation: int) -> None:
    # What a camera writes: rotated pixels, and the orientation to rotate them back.
    undo = {**prepare.TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = page(digits.test.images[0]).crop((0, 0, CANVAS, CANVAS - 40))
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    opened = prepare.open_picture(encoded(stored, exif=exif))
    np.testing.assert_array_equal(prepare.prepare(opened), prepare.prepare(upright))


def test_sixteen_bits_of_grey_are_not_clipped(digits: Dataset) -> None:
    digit = digits.test.images[0]
    opened = prepare.open_picture(encoded(Image.fromarray(digit.astype(np.uint16) * 257)))
    np.testing.assert_array_equal(prepare.prepare(opened), prepare.prepare(Image.fromarray(digit)))


@pytest.mark.parametrize(
    "sheet",
    [
        Image.new("L", (300, 300), 255),
        Image.new("L", (28, 28), 0),
        Image.new("RGBA", (50, 80), (0, 0, 0, 0)),
        Image.new("RGB", (1, 1), (7, 80, 9)),
        lit(Image.new("RGB", (CANVAS, CANVAS), WHITE)),
    ],
    ids=["white", "black", "see-through", "one pixel", "photograph"],
)
def test_a_blank_sheet_gives_zeros(sheet: Image.Image) -> None:
    assert not prepare.prepare(sheet).any()


@pytest.mark.parametrize("size", [(5, 1), (1, 5), (2, 2), (3, 900), (8000, 6250)])
def test_any_size_is_prepared(size: tuple[int, int]) -> None:
    sheet = Image.new("L", size, 255)
    sheet.paste(0, (size[0] // 2, size[1] // 2, size[0] // 2 + max(1, size[0] // 20), size[1]))
    image = prepare.prepare(prepare.open_picture(encoded(sheet)))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255


# Refusals

PNG, JPEG = encoded(line(20)), encoded(line(20), "JPEG")
HEADER = b"IHDR" + (60_000).to_bytes(4) * 2 + PNG[24:29]
BOMB = PNG[:12] + HEADER + zlib.crc32(HEADER).to_bytes(4) + PNG[33:]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not a picture"),
        (b"http://example.com/digit.png", "is not a picture"),
        (encoded(line(20), "GIF"), "is not a picture"),
        (encoded(line(20), "TIFF"), "is not a picture"),
        (PNG[:40], "damaged|is not a picture"),
        (PNG[: len(PNG) // 2], "damaged"),
        (JPEG[: len(JPEG) // 2], "damaged"),
        (PNG[:80] + bytes(40) + PNG[120:], "damaged"),
        (BOMB, "too large|at most 67108864 pixels"),
        (encoded(Image.new("1", (8192, 8193))), "8192x8193, expected at most 67108864 pixels"),
        (encoded(Image.new("1", (11000, 9000))), "at most 67108864 pixels"),
        (PNG + bytes(prepare.MAX_BYTES), "bytes, expected at most 33554432"),
    ],
    ids=[
        *("empty", "url", "gif", "tiff", "header", "half-png", "half-jpeg", "zeroed"),
        *("bomb", "one-row-too-many", "warned-of", "too-long"),
    ],
)
def test_an_incomplete_or_too_large_picture_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        prepare.open_picture(data)
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damage_anywhere_is_refused_or_harmless() -> None:
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    small = line(20).resize((90, 90))
    whole = [
        encoded(small, exif=exif),
        encoded(small.convert("RGBA")),
        encoded(small.convert("P")),
        encoded(small, "JPEG", exif=exif),
        encoded(small.convert("CMYK"), "JPEG"),
    ]
    opened = 0
    for _ in range(600):
        data = bytearray(whole[random.integers(len(whole))])
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(256)
        try:
            assert prepare.prepare(prepare.open_picture(bytes(data))).shape == (28, 28)
            opened += 1
        except InputError:
            pass
    assert 0 < opened < 600
