"""Digits on paper of every kind, against the same digit on a clean sheet."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from digitline.data import even, marks, paper, prepare
from digitline.data.background import closed
from digitline.data.dataset import Bytes, Dataset
from digitline.data.rules import erased
from digitline.measure import scenes, sheets

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def on_a_sheet(digit: Bytes, ink: tuple[int, ...] = BLACK, ground: tuple[int, ...] = WHITE) -> Image.Image:
    sheet, mask = Image.new("RGB", (400, 400), ground), Image.fromarray(digit).resize((200, 200))
    sheet.paste(Image.new("RGB", mask.size, ink), (120, 90), mask)
    return sheet


def distance(one: Bytes, other: Bytes) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("kind", sheets.makers())
def test_a_digit_on_any_kind_of_paper_is_prepared_as_on_a_clean_sheet(digits: Dataset, kind: str) -> None:
    """The nearest of 32 digits is the one that was written, and nothing else was found on the sheet."""
    originals = np.stack([prepare.prepare(Image.fromarray(image)) for image in digits.test.images[:32]])
    found = []
    for place in (0, 1, 4):  # 7, 2, 4
        seen = prepare.read(sheets.makers()[kind](digits.test.images[place], np.random.default_rng(place)))
        found.append((seen.sure, int(np.argmin([distance(seen.image, each) for each in originals]))))
    assert found == [(True, 0), (True, 1), (True, 4)]


@pytest.mark.parametrize(
    ("ink", "ground"), [(BLACK, WHITE), (WHITE, BLACK), ((200, 40, 40), (60, 130, 60)), ((255, 230, 0), WHITE)]
)
def test_a_single_mark_on_a_clean_sheet_keeps_every_byte(
    digits: Dataset, ink: tuple[int, ...], ground: tuple[int, ...]
) -> None:
    """Nothing is taken away where there is nothing to take away."""
    for digit in digits.test.images[:20]:
        sheet = on_a_sheet(digit, ink, ground)
        found = paper.read(sheet)
        assert found.sure
        np.testing.assert_array_equal(found.ink, even.strength(sheet))


def test_two_digits_of_a_size_are_unsure(digits: Dataset) -> None:
    sheet = Image.new("L", (400, 300), 255)
    for place, left in ((0, 30), (1, 220)):
        mask = Image.fromarray(digits.test.images[place]).resize((150, 150))
        sheet.paste(0, (left, 80), mask)
    assert not prepare.read(sheet).sure


@pytest.mark.parametrize("kind", ["a face", "a view", "a page of print"])
def test_a_picture_without_paper_is_unsure(kind: str) -> None:
    made = [scenes.SCENES[kind](np.random.default_rng(seed)) for seed in range(3)]
    assert not any(prepare.read(picture).sure for picture in made)


def test_white_strokes_on_a_transparent_drawing_are_read_as_black_ones_are(digits: Dataset) -> None:
    mask = Image.fromarray(digits.test.images[0]).resize((200, 200))
    drawings = [Image.new("RGBA", mask.size, (grey,) * 3) for grey in (0, 255)]
    for drawing in drawings:
        drawing.putalpha(mask)
    dark, light = (prepare.prepare(drawing) for drawing in drawings)
    assert dark.any()
    assert distance(dark, light) < 1


def test_rules_are_taken_out_and_the_stroke_across_them_stays() -> None:
    ink = np.zeros((300, 300), np.float32)
    for at in range(20, 300, 30):
        ink[at : at + 2] = ink[:, at : at + 2] = 0.3
    empty = erased(ink)[0]
    assert empty.max() < 0.05
    ink[60:240, 147:163] = 0.9
    left = erased(ink)[0]
    assert left[70:230, 149:161].min() > 0.6
    left[58:242, 145:165] = 0
    assert left.max() < 0.1


def test_the_closing_is_that_of_scipy() -> None:
    plane = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    size = {"size": (7, 7), "mode": "constant"}
    expected = ndimage.minimum_filter(ndimage.maximum_filter(plane, cval=0, **size), cval=255, **size)
    np.testing.assert_array_equal(closed(plane, 7), np.maximum(expected, plane))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 1.0])
def test_components_are_those_of_scipy(share: float) -> None:
    mask = np.random.default_rng(1).random((60, 70)) < share
    found = marks.components(mask)
    expected, number = ndimage.label(mask, np.ones((3, 3)))
    assert len(found.areas) == number
    assert len(np.unique(np.stack([found.labels, expected])[:, mask], axis=1).T) == number
    for place, (rows, columns) in enumerate(ndimage.find_objects(found.labels)):
        assert found.boxes[place].tolist() == [rows.start, columns.start, rows.stop, columns.stop]
        assert found.areas[place] == (found.labels == place + 1).sum()
