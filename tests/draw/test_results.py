import io
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digitline.draw import charts, results
from digitline.draw.palette import COLOURS, Style

NAMES = np.array(["a", "b"])


def sheet(digits, first: int, count: int) -> bytes:
    images = digits.test.images[first : first + count]
    wrong = NAMES[np.arange(count) % 2]
    return charts.png(results.misclassified(images, wrong, wrong[::-1], "title"))


def test_a_sheet_of_mistakes_shows_at_most_sixty_images(digits):
    page = sheet(digits, 0, 3)
    assert Image.open(io.BytesIO(page)).convert("L").getextrema() == (0, 255)
    assert page == sheet(digits, 0, 3) != sheet(digits, 5, 3)
    names = NAMES[np.zeros(200, int)]
    [axes] = results.misclassified(digits.test.images, names, names, "title").axes
    assert len(axes.images) == len(axes.texts) == 60


def test_every_family_has_a_panel_and_every_row_a_line_in_the_legend():
    curves = {"a": [(0.0, 90.0), (1.0, 70.0)], "b": [(0.0, 80.0), (1.0, 50.0)]}
    of = {name: Style(colour) for name, colour in zip("ab", COLOURS, strict=False)}
    families = {"blur": curves, "noise": curves}
    figure = results.families(families, of, {"blur": "pixels", "noise": "deviation"})
    assert [axes.get_title("left") for axes in figure.axes][:3] == ["blur: pixels", "noise: deviation", ""]
    assert [text.get_text() for legend in figure.legends for text in legend.get_texts()] == ["a", "b"]


@pytest.mark.parametrize("gap", [0.0, 0.00001, 0.0005, 0.01])
def test_labels_of_close_rows_do_not_overlap(gap):
    accuracies = [0.99, 0.99 + gap, 0.99 + 2 * gap]
    close: Any = [
        {"variant": f"variant_{n}", "macs": 10**6 + n, "val_accuracy": {"mean": mean}, "front": n == 2}
        for n, mean in enumerate(accuracies)
    ]
    figure = results.front(close, {row["variant"]: Style(COLOURS[0]) for row in close})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == [row["variant"] for row in close]
    assert all(results.overlap(one, other) == 0 for one, other in combinations(boxes, 2))


def test_a_class_whose_name_the_font_lacks_is_drawn_by_its_number():
    """Nothing is drawn as boxes, of which matplotlib would warn, and no font of the machine is asked."""
    assert charts.labels(["犬", "Straße", "ねこ", "λ"]) == ["0", "Straße", "2", "λ"]
    named, numbered = (charts.png(results.confusion(np.eye(2), names)) for names in (["犬", "b"], ["0", "b"]))
    assert named == numbered
