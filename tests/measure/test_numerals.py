"""Pictures of whole numbers."""

import io

import numpy as np
import pytest
from PIL import Image

from digitline.data.dataset import Dataset
from digitline.data.marks import components
from digitline.measure import numerals
from digitline.measure.numerals import KINDS, Written


def written(digits: Dataset, name: str, seed: int) -> Written:
    return numerals.write(digits.test, KINDS[name], np.random.default_rng(seed))


def strokes(picture: bytes) -> int:
    """How many large marks a picture on plain paper has."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("L")).astype(int)
    marks = components(pixels < (np.median(pixels) + pixels.min()) / 2)
    return int((marks.boxes[:, 2] - marks.boxes[:, 0] > 0.4 * np.ptp(marks.boxes[:, ::2], axis=1).max()).sum())


@pytest.mark.parametrize("name", KINDS)
def test_a_picture_has_numbers_of_2_to_8_digits_and_is_the_same_again(digits: Dataset, name: str) -> None:
    one, again, other = (written(digits, name, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert all(2 <= len(number) <= numerals.MOST for number in one.numbers)
    assert (len(one.numbers) > 1) == ("lines" in name)
    assert one.picture[:2] in (b"\x89P", b"\xff\xd8")


def test_digits_stand_apart_unless_two_of_them_touch(digits: Dataset) -> None:
    """Broken digits have more marks than one, so only sums over several pictures compare."""
    counts = {}
    for name in ("plain paper", "two digits that touch, on plain paper"):
        found = [written(digits, name, seed) for seed in range(6)]
        counts[name] = sum(strokes(one.picture) - len(one.numbers[0]) for one in found)
    apart, touching = counts.values()
    assert 0 <= apart < 3
    assert -6 <= touching < apart - 3
