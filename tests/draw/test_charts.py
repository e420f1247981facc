import io
import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from digitline.draw import charts
from digitline.draw.palette import COLOURS, colours
from digitline.model.evaluation import Bin

OF = {"a": COLOURS[0], "b": COLOURS[1], "a_vote": COLOURS[0]}
IMAGE = np.eye(28, dtype=np.uint8) * 255


def rows(accuracy: float, macs: int = 2000) -> list[dict]:
    def row(name: str, macs: int, mean: float, *, front: bool) -> dict:
        test = {"mean": mean, "ci95": [mean - 0.01, mean + 0.004], "images95": [mean - 0.02, mean + 0.005]}
        return {
            "variant": name,
            "macs": macs,
            "val_accuracy": test,
            "test_accuracy": test,
            "group": "a",
            "front": front,
        }

    return [row("a", 1000, 0.9, front=True), row("b", macs, accuracy, front=True)]


def lines(value: float) -> dict[str, list[tuple[float, float]]]:
    return {"a": [(0.5, 90), (1, value)], "b": [(0.5, 80), (1, 50)]}


def points(value: float) -> Figure:
    places = np.array([[0, 0], [1, value], [2, 1]])
    return explanations.embedding(places, np.array([0, 1, 1]), np.array([0, 1, 0]), ["zero", "one"])


DRAWN = {
    "intervals": lambda value: results.intervals(rows(value), OF),
    "front": lambda value: results.front(rows(value), OF),
    "learning": lambda value: results.learning({"a": {1: [1.0, 2.0], 2: [value, 0.5]}}, OF, "title"),
    "robustness": lambda value: results.robustness(lines(value), OF, "pixels"),
    "calibration": lambda value: results.calibration([Bin(9, 0.9, value)], COLOURS[0]),
    "confusion": lambda value: results.confusion(np.array([[5, 10 * value], [1, 5]]), ["x", "y"]),
    "embedding": points,
    "sharing": lambda value: explanations.sharing({"a": (1000, int(10000 * value)), "b": (10, 10)}, OF),
    "lines": lambda value: explanations.lines({"one": np.array([[0, 1, 2, 3], [1, value, 2, 3]])}, "x", "y"),
    "gradients": lambda value: explanations.gradients({"ReLU": np.array([[1, 0.1], [value, 0.1]])}),
    "temperatures": lambda value: explanations.temperatures(lines(value), {"a": 1.0, "b": 1.0}, OF),
    "answers": lambda value: explanations.answers(IMAGE, {1.0: np.array([value, 1 - value])}, ["x", "y"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_a_picture_that_follows_the_data_and_nothing_else(name):
    draw = DRAWN[name]
    assert charts.svg(draw(0.95)) == charts.svg(draw(0.95)) != charts.svg(draw(0.7))
    shades = np.asarray(Image.open(io.BytesIO(charts.png(draw(0.95)))).convert("L"))
    assert shades.min() < 130
    assert shades.max() > 250


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_brings_all_it_refers_to_and_takes_the_page_s_colours(name):
    text = charts.svg(DRAWN[name](0.95))
    identities = re.findall(r' id="([^"]+)"', text)
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) == set(identities)
    assert not re.findall(r'href="(?!#|data:)', text)
    assert "var(--soft, #5c6675)" in text or "var(--ink, #1d2430)" in text
    assert "<metadata" not in text


def test_the_page_finds_a_variant_by_its_name_and_a_vote_is_dashed():
    text = charts.svg(results.robustness({**lines(70), "a_vote": [(0.5, 90), (1, 91)]}, OF, "pixels"))
    assert re.findall(r'class="of (\w+)"', text) == ["a", "b", "a_vote"]
    assert text.count("stroke-dasharray: ") == 1


@pytest.mark.parametrize("gap", [0.0, 0.00001, 0.0005, 0.01])
def test_names_of_close_rows_do_not_lie_on_one_another(gap):
    accuracies = [0.99, 0.99 + gap, 0.99 + 2 * gap]
    close: list[dict[str, Any]] = [
        {"variant": f"variant_{n}", "macs": 10**6 + n, "val_accuracy": {"mean": mean}, "front": n == 2}
        for n, mean in enumerate(accuracies)
    ]
    figure = results.front(close, {row["variant"]: COLOURS[0] for row in close})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == [row["variant"] for row in close]
    assert all(charts.overlap(one, other) == 0 for one, other in combinations(boxes, 2))


def test_a_variant_has_one_colour_and_its_vote_the_same():
    of = colours(["fc", "conv", "conv_wide"], ["conv_wide_vote"])
    assert len({of["fc"], of["conv"], of["conv_wide"]}) == 3
    assert of["conv_wide_vote"] == of["conv_wide"]
    assert colours(["fc", "conv"])["fc"] == of["fc"]
