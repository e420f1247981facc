import io
import re
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from digitline.draw import charts, explanations, palette, results
from digitline.draw.palette import COLOURS
from digitline.measure.calibration import Bin

OF = palette.styles(["a", "b"], {"a_vote": "a"})
IMAGE = np.eye(28, dtype=np.uint8) * 255


def rows(accuracy: float, macs: int = 2000) -> Any:
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
    "families": lambda value: results.families({"blur": lines(value)}, OF, {"blur": "pixels"}),
    "embedding": points,
    "sharing": lambda value: explanations.sharing({"a": (1000, int(10000 * value)), "b": (10, 10)}, OF),
    "importances": lambda value: explanations.importances({"learning_rate": value, "epochs": 1 - value}),
    "lines": lambda value: explanations.lines({"one": np.array([[0, 1, 2, 3], [1, value, 2, 3]])}, "x", "y"),
    "gradients": lambda value: explanations.gradients({"ReLU": np.array([[1, 0.1], [value, 0.1]])}),
    "temperatures": lambda value: explanations.temperatures(lines(value), {"a": 1.0, "b": 1.0}, OF),
    "answers": lambda value: explanations.answers(IMAGE, {1.0: np.array([value, 1 - value])}, ["x", "y"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_depends_only_on_the_data(name):
    draw = DRAWN[name]
    assert charts.svg(draw(0.95)) == charts.svg(draw(0.95)) != charts.svg(draw(0.7))
    shades = np.asarray(Image.open(io.BytesIO(charts.png(draw(0.95)))).convert("L"))
    assert shades.min() < 130
    assert shades.max() > 250


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_contains_all_that_it_refers_to_and_takes_the_page_s_colours(name):
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
