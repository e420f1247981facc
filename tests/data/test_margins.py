import numpy as np
import pytest

from digitline.data import expectations, margins
from digitline.data.dataset import Dataset, Part
from digitline.data.entry import Shape


def test_bounds_are_rounded_outwards_to_three_digits():
    assert margins.widened(np.array([100.0, 110.04]), 255) == [98.9, 112]
    assert margins.widened(np.array([0, 255]), 255) == [0, 255]
    assert margins.widened(np.array([0.00123456, 0.5]), 1) == [0, 0.55]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_data_set_meets_the_bounds_that_were_measured_from_it(channels):
    images = np.random.default_rng(0).integers(0, 256, (60, 9, 7, *channels), dtype=np.uint8)
    images[1], images[2] = 0, images[3]  # a blank one, and one twice
    labels = np.arange(60, dtype=np.uint8) % 3
    data = Dataset(Part(images[:40], labels[:40]), Part(images[40:], labels[40:]))
    table = expectations.features(data)
    bounds = margins.measured(table)
    assert bounds["images"] == {"train": 40, "test": 20}
    assert bounds["duplicates"] == pytest.approx(0.055)
    assert ("red" in bounds) == bool(channels)
    rules = expectations.rules(classes=list("abc"), image=Shape(9, 7, 3 if channels else 1), **bounds)
    outcome = expectations.validate(table, rules)
    assert [finding.name for finding in outcome.findings if not finding.success] == []
