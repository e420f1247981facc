"""Formats of pictures: what is read in each, what is refused by name, and what would cost too much to decode."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digitline.base.errors import InputError
from digitline.data import prepare
from digitline.data.dataset import Bytes
from digitline.data.entry import Shape

SHEET = Image.new("L", (300, 300), 255)
ImageDraw.Draw(SHEET).line((60, 50, 250, 200), fill=0, width=20)
OTHER = Image.new("L", (300, 300), 0)


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def ink(data: bytes) -> Bytes:
    return prepare.image(data, Shape(), "mnist")


def deep(bits: int = 16) -> Image.Image:
    return Image.fromarray(np.asarray(SHEET).astype(np.uint16 if bits == 16 else np.float32) * 257)


def clear() -> Image.Image:
    """The line in opaque black on nothing, in a palette of two colours."""
    picture = SHEET.point(lambda value: value < 128).convert("P")
    picture.putpalette([90, 160, 30, 0, 0, 0])
    return picture


@pytest.mark.parametrize(
    ("form", "picture", "options"),
    [
        ("WEBP", SHEET, {"lossless": True}),
        ("WEBP", SHEET.convert("RGBA"), {"save_all": True, "append_images": [OTHER.convert("RGBA")], "lossless": True}),
        ("GIF", SHEET, {}),
        ("GIF", SHEET, {"save_all": True, "append_images": [OTHER]}),
        ("GIF", clear(), {"transparency": 0}),
        ("BMP", SHEET, {}),
        ("BMP", SHEET.convert("1"), {}),
        ("BMP", SHEET.convert("RGBA"), {}),
        ("TIFF", SHEET, {"save_all": True, "append_images": [OTHER], "compression": "tiff_lzw"}),
        ("TIFF", SHEET.convert("1"), {"compression": "group4"}),
        ("TIFF", SHEET.convert("CMYK"), {"compression": "tiff_adobe_deflate"}),
        ("TIFF", deep(), {}),
    ],
    ids=[
        *("webp", "animated webp", "gif", "animated gif", "clear gif", "bmp", "bilevel bmp", "bmp with alpha"),
        *("pages", "fax", "cmyk", "16 bits"),
    ],
)
def test_the_same_sheet_in_another_format_gives_the_same_image(form: str, picture: Image.Image, options: dict) -> None:
    """Of several frames or pages the first one counts."""
    assert np.abs(ink(encoded(picture, form, **options)).astype(int) - ink(encoded(SHEET, "PNG"))).mean() < 0.3


def run_length(*, width: int, height: int, runs: bytes) -> bytes:
    """A BMP of 8-bit grey, run-length encoded."""
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    head = struct.pack("<LiiHHLLiiLL", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<LLL", 1078 + len(runs), 0, 1078) + head + palette + runs


def test_a_run_length_encoded_bmp_is_read() -> None:
    row = bytes([100, 255, 30, 0, 70, 255, 0, 0])
    picture = prepare.open_picture(run_length(width=200, height=100, runs=row * 100))
    assert np.asarray(picture.convert("L"))[50, [50, 115, 150]].tolist() == [255, 0, 255]


def brand(*names: bytes) -> bytes:
    return (8 + 4 * len(names)).to_bytes(4) + b"ftyp" + b"".join(names) + bytes(400)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            brand(b"heic", bytes(4), b"mif1", b"heic"),
            "HEIC is not read, expected .*; save it as a JPEG, .*iPhone",
        ),
        (brand(b"mif1", bytes(4), b"heix"), "HEIC is not read"),
        (brand(b"avif", bytes(4), b"mif1", b"miaf"), "AVIF is not read, .*; save it as a PNG or JPEG"),
        (brand(b"mif1", bytes(4), b"avif"), "AVIF is not read"),
        (b"%PDF-1.7\n", "PDF is not read, .*; save its page as a PNG"),
        (b'\n<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is not read"),
        (b"II+\0\x08\0\0\0" + bytes(40), "BigTIFF is not read"),
        (brand(b"mp42"), "is not a picture"),
        (b"<html>", "is not a picture"),
    ],
    ids=["heic", "heif", "avif", "avif by another brand", "pdf", "svg", "bigtiff", "film", "html"],
)
def test_a_known_format_that_is_not_read_is_refused_by_name(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ink(data)


def tiff(*tags: tuple[int, int, int, int], order: str = "<") -> bytes:
    """A TIFF of those tags: number, type, count, value or offset."""
    entries = b"".join(struct.pack(f"{order}HHLL", *tag) for tag in sorted(tags))
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}LH", 8, len(tags))
    return head + entries + bytes(4) + bytes(64)


GREY = [(257, 4, 1, 64), (258, 4, 1, 8), (262, 4, 1, 1), (277, 4, 1, 1)]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (tiff((256, 4, 1, 10**7), *GREY, (273, 4, 1, 8)), "10000000x64, expected at most 67108864 pixels|too large"),
        (tiff((256, 4, 1, 64), *GREY, (273, 4, 10**6, 8)), "1000000 strips or tiles, expected at most 262144"),
        (tiff((256, 4, 1, 64), *GREY, (324, 4, 10**6, 8), order=">"), "1000000 strips or tiles"),
        (
            tiff((256, 4, 1, 64), *GREY, (259, 4, 1, 8), (322, 4, 1, 2**15), (323, 4, 1, 2**15), (324, 4, 1, 8)),
            r"tiles are \[32768, 32768\], expected two sides and at most 67108864 pixels",
        ),
        (
            tiff((256, 4, 1, 64), *GREY, (259, 4, 1, 8), (322, 4, 1, 2**30), (323, 2, 4, 0x31313131)),
            "tiles are .*, expected two sides",
        ),
        (encoded(deep(32), "TIFF"), r"32 bits a pixel \(mode F\)"),
        (run_length(width=4096, height=1025, runs=b"\0\1"), "run-length encoded BMP, expected at most 4194304 pixels"),
        (run_length(width=2048, height=2048, runs=b"\1\0" * 2**18), "too many parts, expected at most 262144"),
        (b"GIF89a" + bytes([44, 1, 44, 1, 0, 0, 0]) + b"!\xfe\0" * 2**18, "too many parts"),
        (encoded(SHEET, "PNG")[:33] + (bytes(4) + b"abCd" + zlib.crc32(b"abCd").to_bytes(4)) * 2**18, "too many parts"),
        (encoded(Image.new("P", (8192, 8193)), "GIF"), "8192x8193, expected at most 67108864 pixels"),
        (encoded(Image.new("1", (8192, 8193)), "BMP"), "8192x8193, expected at most 67108864 pixels"),
    ],
    ids=[
        *(
            "wide tiff",
            "strips",
            "tiles",
            "a tile",
            "no sides",
            "floats",
            "large runs",
            "runs",
            "gif's blocks",
            "png's chunks",
        ),
        *("large gif", "large bmp"),
    ],
)
def test_what_would_cost_too_much_is_refused_before_it_is_decoded(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ink(data)


@pytest.mark.parametrize("form", ["WEBP", "GIF", "BMP", "TIFF"])
def test_half_a_file_is_refused(form: str) -> None:
    data = encoded(SHEET, form)
    with pytest.raises(InputError, match=r"damaged|is not a picture"):
        ink(data[: len(data) // 2])
