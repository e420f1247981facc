import io

import numpy as np
import pytest
from PIL import Image

from digitline.draw import results
from digitline.model.evaluation import Bin

NAMES = np.array(["a", "b"])
COUNTS = np.array([[5.0, 1.0], [0.0, 4.0]])


def misclassified(digits, first: int) -> bytes:
    return results.misclassified(digits.test.images[first : first + 3], NAMES[[0, 1, 0]], NAMES[[1, 0, 1]], "title")


def robustness(accuracy: float) -> bytes:
    lines = [("a", "blur", 0, 0.9), ("a", "blur", 1, accuracy), ("b", "blur", 0, 0.8), ("b", "blur", 1, 0.5)]
    return results.robustness(lines, {"blur": "pixels"}, {"a": "#000000", "b": "#ff0000"})


@pytest.fixture(params=["misclassified", "confusion", "calibration", "robustness"])
def pages(request, digits):
    """A figure, the same again, and one of other data."""
    return {
        "misclassified": (misclassified(digits, 0), misclassified(digits, 0), misclassified(digits, 5)),
        "confusion": [results.confusion(counts, ["a", "b"], "title") for counts in (COUNTS, COUNTS, COUNTS.T)],
        "calibration": [results.calibration([Bin(9, 0.9, x)], "title") for x in (0.8, 0.8, 0.5)],
        "robustness": [robustness(accuracy) for accuracy in (0.7, 0.7, 0.2)],
    }[request.param]


def test_a_figure_is_a_picture_that_follows_the_data_and_nothing_else(pages):
    page, again, other = pages
    assert Image.open(io.BytesIO(page)).convert("L").getextrema() == (0, 255)
    assert page == again
    assert page != other
