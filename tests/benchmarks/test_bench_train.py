import pytest

from benchmarks import bench_train
from digitline.model import arithmetic, networks


def test_the_usual_network_is_the_one_that_everybody_starts_with():
    assert arithmetic.parameters(bench_train.Usual()) == 1_199_882


def test_a_picture_is_normalised_as_usual(digits):
    image, label = bench_train.Pictures(digits.train)[0]
    assert image.shape == (1, 28, 28)
    assert label == digits.train.labels[0]
    assert float(image.min()) == pytest.approx(-0.1307 / 0.3081)


def test_the_floor_follows_the_network(monkeypatch):
    rate, seconds = bench_train.floor(1)
    assert rate > 1e8
    macs = arithmetic.macs(networks.build(classes=10, **bench_train.NETWORK))
    assert 2 * macs * 55_000 / rate < seconds < 3 * macs * 55_000 / rate
