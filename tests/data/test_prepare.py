import io
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFilter

from digitline.base.errors import InputError
from digitline.data import prepare
from digitline.data.dataset import Dataset
from digitline.data.entry import Shape

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
        (encoded(line(20), "PPM"), "is not a picture, expected a PNG, JPEG, WebP, GIF, BMP or TIFF"),
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
        *("empty", "url", "ppm", "header", "half-png", "half-jpeg", "zeroed"),
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
    others: list[tuple[str, dict[str, object]]] = [("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {}), ("WEBP", {})]
    others += [("BMP", {}), ("GIF", {"save_all": True, "append_images": [small]})]
    whole += [encoded(small, form, **options) for form, options in others]
    opened = 0
    for _ in range(900):
        data = bytearray(whole[random.integers(len(whole))])
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(256)
        try:
            assert prepare.image(bytes(data), SMALL, "letterbox").shape == (6, 9, 3)
            opened += 1
            assert prepare.prepare(prepare.open_picture(bytes(data))).shape == (28, 28)
        except InputError:
            pass
    assert 0 < opened < 900


# Resized


SMALL, RED, BLUE = Shape(6, 9, 3), (200, 30, 40), (20, 40, 200)


def halves(size: tuple[int, int] = (90, 60), mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (0, 0, size[0] // 2, size[1]))
    return picture.convert(mode)


def sent(picture: Image.Image, shape: Shape = SMALL, how: str = "letterbox", form: str = "PNG", **options) -> Bytes:
    return prepare.image(encoded(picture, form, **options), shape, how)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["letterbox", "crop"])
def test_a_picture_of_the_model_s_size_keeps_its_pixels(digits: Dataset, how: str) -> None:
    for image in digits.test.images[:5]:
        np.testing.assert_array_equal(sent(Image.fromarray(image), Shape(), how), image)
        np.testing.assert_array_equal(sent(Image.fromarray(image).convert("RGB"), Shape(), how), image)
        for form in ("PNG", "BMP", "TIFF", "GIF"):
            coloured = np.stack([image] * 3, -1)
            np.testing.assert_array_equal(sent(Image.fromarray(image), Shape(28, 28, 3), how, form), coloured)


def test_mnist_s_preparation_is_the_pen_s(digits: Dataset) -> None:
    sheet = page(digits.test.images[0])
    np.testing.assert_array_equal(prepare.image(encoded(sheet), Shape(), "mnist"), prepare.prepare(sheet))


def test_letterbox_fills_the_rest_with_the_mean_colour_of_the_border() -> None:
    image = sent(Image.new("RGB", (30, 60), RED), Shape(20, 20, 3))
    assert (image == RED).all()
    image = sent(halves((40, 80)), Shape(16, 16, 3))
    assert (image[:, :4] == image[0, 0]).all()  # the picture is 8 of 16 wide
    assert (image[:, 12:] == image[0, 0]).all()
    assert np.abs(image[0, 0] - np.mean([RED, BLUE], 0)).max() <= 1
    assert (image[:, 4:6] == RED).all()
    assert (image[:, 10:12] == BLUE).all()


def test_crop_cuts_the_longer_side_the_same_at_both_ends() -> None:
    wide = Image.new("RGB", (120, 20), BLUE)
    wide.paste(RED, (50, 0, 70, 20))
    assert (sent(wide, Shape(20, 20, 3), "crop") == RED).all()
    assert (sent(wide.rotate(90, expand=True), Shape(10, 10, 3), "crop")[2:-2] == RED).all()


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (1, 1)])
@pytest.mark.parametrize("how", ["letterbox", "crop"])
def test_a_picture_one_pixel_wide_works(size: tuple[int, int], how: str) -> None:
    assert (sent(Image.new("RGB", size, RED), SMALL, how) == RED).all()


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "YCbCr", "LAB"])
def test_colours_are_the_same_in_every_mode(mode: str) -> None:
    spaces = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    lab = ImageCms.profileToProfile(halves(), *spaces, outputMode="LAB")
    assert lab is not None
    picture = lab if mode == "LAB" else halves(mode=mode)
    assert distance(sent(picture, form="TIFF" if mode in ("CMYK", "YCbCr", "LAB") else "PNG"), sent(halves())) < 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_of_every_depth_is_the_same(mode: str) -> None:
    grey = np.where(np.arange(90)[None, :] < 45, 255, 0).repeat(60, 0).astype(np.uint8)
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    expected = np.stack([np.asarray(Image.fromarray(grey).resize((9, 6), Image.Resampling.BICUBIC))] * 3, -1)
    np.testing.assert_array_equal(sent(picture), expected)
    np.testing.assert_array_equal(sent(picture, SMALL._replace(channels=1)), expected[..., 0])


def test_transparency_becomes_white() -> None:
    clear = halves(mode="RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 45, 60))
    assert (sent(clear)[:, :3] == 255).all()
    assert (sent(clear)[:, 6:] == BLUE).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_camera_s_picture_is_upright_after_resizing(orientation: int, form: str) -> None:
    undo = {**prepare.TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = halves()
    upright.paste((0, 255, 0), (0, 0, 45, 30))
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert distance(sent(stored, form=form, exif=exif), sent(upright)) < 6


def test_colours_of_another_profile_become_srgb() -> None:
    """With the profile of a space whose red and blue are exchanged, red pixels are blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for place in range(128, 128 + 12 * 30):  # the table of tags, of 12 bytes each
        if (tag := bytes(profile[place : place + 4])) in (b"rXYZ", b"bXYZ"):
            profile[place : place + 4] = tag.translate(bytes.maketrans(b"rb", b"br"))
    image = sent(halves(), icc_profile=bytes(profile))
    assert np.abs(image[:, :3].astype(int) - RED[::-1]).max() < 8
    np.testing.assert_array_equal(sent(halves(), icc_profile=b"none"), sent(halves()))


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size_and_looks_the_same() -> None:
    large = halves((1600, 1200))
    opened = prepare.open_picture(encoded(large, "JPEG"), least=18)
    assert opened.size == (200, 150)
    assert distance(sent(large, form="JPEG"), sent(large)) < 2


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (12, 12), colour) for colour in (RED, BLUE)]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        image = sent(frames[0], form=form, save_all=True, append_images=frames[1:])
        assert distance(image, np.full((6, 9, 3), RED, np.uint8)) < 4


def test_32_bits_a_pixel_are_refused() -> None:
    with pytest.raises(InputError, match=r"32 bits a pixel \(mode F\), expected 8 or 16 bits a channel"):
        sent(Image.new("F", (9, 9), 0.5), form="TIFF")
