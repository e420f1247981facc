"""Lines of strokes on a picture, and their candidates for digits."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digitline.base.errors import InputError
from digitline.data import lines
from digitline.data.lines import Box, Page


def page(
    *strokes: list[tuple[int, int]],
    size: tuple[int, int] = (400, 300),
    form: str = "PNG",
    dots: list[tuple[int, int]] | None = None,
    **saved: object,
) -> Page:
    """A sheet with these strokes and dots."""
    sheet = Image.new("L", size, 255)
    for stroke in strokes:
        ImageDraw.Draw(sheet).line(stroke, 0, 12)
    for x, y in dots or []:
        ImageDraw.Draw(sheet).rectangle((x, y, x + 5, y + 5), 0)
    file = io.BytesIO()
    sheet.save(file, form, **saved)
    return lines.page(file.getvalue())


def upright(left: int, top: int, height: int = 60) -> list[tuple[int, int]]:
    return [(left, top), (left, top + height)]


def wholes(found: Page) -> list[list[Box]]:
    """The boxes of each line's marks, uncut and unjoined."""
    return [[piece.box for piece in line.pieces if piece.end == piece.begin + 1] for line in found.lines]


def test_marks_are_read_line_by_line_also_where_lines_slant() -> None:
    found = page(*(upright(left, top + left // 8) for top in (20, 120) for left in (40, 120, 200, 330)))
    boxes = wholes(found)
    assert [len(line) for line in boxes] == [4, 4]
    for line in boxes:
        assert [box.left for box in line] == sorted(box.left for box in line)
    assert boxes[0][3].bottom > boxes[1][0].top - 20  # by their heights alone they could not be told apart


def test_the_bars_of_sevens_in_a_row_are_no_rule() -> None:
    found = page(
        *([(left, 20), (left + 160, 20), (left + 60, 360)] for left in (60, 300, 540)),
        size=(800, 400),
    )
    [line] = found.lines
    boxes = [found.whole(piece.box) for piece in line.pieces]
    whole = [box.left for box in boxes if 150 < box.width < 200 and box.height > 300]
    assert whole == pytest.approx([60, 300, 540], abs=10)  # without their bars they would pass for ones


def test_a_speck_is_no_mark_and_a_stroke_in_parts_is_joined() -> None:
    found = page(upright(100, 50, 40), upright(100, 102, 18), upright(200, 50, 70), dots=[(300, 200)])
    [line] = found.lines
    assert (line.places, round(line.height)) == (3, 71)
    assert any(piece.box.height > 65 for piece in line.pieces if piece.box.right < 150)  # both parts as one digit


def test_touching_strokes_have_a_cut_between_them() -> None:
    found = page(upright(100, 50, 80), [(140, 50), (140, 130)], [(100, 90), (140, 90)])
    [line] = found.lines
    halves = [piece for piece in line.pieces if piece.box.width < 35]
    assert {piece.begin for piece in halves} >= {0}
    assert {piece.end for piece in halves} >= {line.places}
    [whole] = [piece for piece in line.pieces if (piece.begin, piece.end) == (0, line.places)]
    assert whole.cost == 0 < min(piece.cost for piece in halves)


@pytest.mark.parametrize("orientation", [1, 6])
def test_boxes_are_in_pixels_of_the_upright_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = page(upright(1000, 500, 400), size=(2400, 1600), form="JPEG", exif=exif)
    [[box]] = wholes(found)
    left, top, right, bottom = found.whole(box)
    if orientation == 1:
        assert (found.width, found.height) == (2400, 1600)
        assert np.abs(np.array([left, top, right, bottom]) - [994, 500, 1006, 900]).max() <= 4
    else:  # turned clockwise
        assert (found.width, found.height) == (1600, 2400)
        assert np.abs(np.array([left, top, right, bottom]) - [700, 994, 1100, 1006]).max() <= 4


def test_a_blank_sheet_and_one_with_too_many_marks_are_refused() -> None:
    with pytest.raises(InputError, match="the picture is blank"):
        page()
    with pytest.raises(InputError, match=r"121 separate marks, expected at most 100 digits"):
        page(*(upright(20 + 30 * x, 10 + 25 * y, 12) for x in range(11) for y in range(11)))


@pytest.mark.parametrize("size", [(1, 1), (3, 300), (28, 28), (60, 20)])
def test_a_tiny_picture_has_lines_or_is_blank(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, size[::-1], np.uint8)
    found = lines.lines(lines.written(Image.fromarray(pixels).convert("RGB")))
    assert bool(found) == (pixels.size > 1)
    assert all(line.pieces for line in found)
