"""Names of classes in pictures: long ones, and a hundred, cover neither each other nor their neighbours."""

import re
from itertools import combinations

import numpy as np
import pytest

from digitline.draw import charts, explanations, mosaics, results
from digitline.explain import mistakes

LONG = ["Ranunculus acris (meadow buttercup)", "Tulipa gesneriana", "daisy"]
MANY = [f"class of number {number}" for number in range(100)]


def covered(texts) -> list[tuple[str, str]]:
    """The pairs of texts that overlap."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if results.overlap(one, other) > 1]


def test_a_long_name_loses_its_middle():
    assert charts.short("daisy", 5) == "daisy"
    assert charts.short("class of number 17", 12) == "class…er 17"
    assert all(len(charts.short("Ranunculus acris", most)) <= most for most in range(4, 20))


@pytest.mark.parametrize("classes", [LONG, MANY], ids=["long", "many"])
def test_no_name_covers_another_in_a_confusion_matrix(classes):
    counts = np.eye(len(classes)) * 80
    counts[0, 1:] = counts[2, 0] = 1.5
    counts[-1, -2] = 3
    figure = results.confusion(counts, classes)
    figure.draw_without_rendering()
    [axes] = figure.axes
    assert covered(axes.get_xticklabels()) == covered(axes.get_yticklabels()) == []
    shown = len(axes.get_xticklabels())
    assert shown == min(len(classes), results.CLASSES)
    assert axes.get_title("left") == ("" if shown == 3 else "the 24 of 100 classes with the most mistakes")
    assert "3" in [text.get_text() for text in axes.texts]  # the most frequent mistake, of the last class


@pytest.mark.parametrize("classes", [LONG, MANY, list("0123456789")], ids=["long", "many", "digits"])
def test_no_name_covers_another_on_a_sheet_of_mistakes_or_under_bars(classes, digits):
    names, places = np.array(classes), np.arange(60) % len(classes)
    sheet = results.misclassified(digits.test.images[:60], names[places], names[places[::-1]], "title")
    sheet.draw_without_rendering()
    assert covered(sheet.axes[0].texts) == []
    shares = {t: np.random.default_rng(0).dirichlet(np.ones(len(classes))) for t in (0.5, 1.0, 2.0, 4.0)}
    bars = explanations.answers(np.zeros((4, 4, 4), np.uint8), shares, classes)
    bars.draw_without_rendering()
    for axes in bars.axes[1:5]:
        assert covered(axes.get_xticklabels()) == []
        assert len(axes.patches) == min(10, len(classes))
        assert max(bar.get_extents().height for bar in bars.axes[1].patches) == pytest.approx(
            bars.axes[1].bbox.height * shares[0.5].max()
        )


def test_of_many_names_in_an_embedding_those_are_written_that_cover_none():
    places = np.random.default_rng(0).normal(size=(400, 2))
    actual = np.arange(400) % 100
    figure = explanations.embedding(places, actual, actual, MANY)
    figure.draw_without_rendering()
    assert covered(figure.axes[0].texts) == []
    assert len(figure.axes[0].texts) > 5


def test_long_names_above_columns_are_written_upwards_within_the_picture():
    tiles = mosaics.ink(np.zeros((2, 3, 28, 28), np.uint8))
    low, high = (mosaics.svg(tiles, columns=columns, rows=["a", "b"], alt="") for columns in (["0", "1→2", "3"], LONG))
    assert "rotate" not in low
    assert high.count("rotate(-90 ") == 3
    heights = [float(re.findall(r'viewBox="0 0 \S+ (\S+)"', svg)[0]) for svg in (low, high)]
    assert heights[1] - heights[0] > 6 * max(len(charts.short(name, 30)) for name in LONG) - 16


def test_long_names_above_pairs_do_not_reach_the_next_pair():
    heads = [f"{mistakes.turned(LONG[0], LONG[1])} x12"] * 4
    svg = mosaics.pairs(mosaics.ink(np.zeros((4, 2, 28, 28), np.uint8)), heads, alt="")
    places = sorted({float(x) for x in re.findall(r'<text x="(\S+?)"', svg)})
    assert places[1] - places[0] >= 6 * len(heads[0])
