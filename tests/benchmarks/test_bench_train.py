from types import ModuleType

import pytest

from digitline.model import arithmetic, networks


@pytest.fixture
def bench() -> ModuleType:
    from benchmarks import bench_train  # torchvision takes a second to import

    return bench_train


def test_the_usual_network_is_that_of_pytorch_s_example(bench):
    assert arithmetic.parameters(bench.Usual()) == 1_199_882


def test_a_picture_is_normalised_as_usual(bench, digits):
    image, label = bench.Pictures(digits.train)[0]
    assert image.shape == (1, 28, 28)
    assert label == digits.train.labels[0]
    assert float(image.min()) == pytest.approx(-0.1307 / 0.3081)


def test_the_floor_follows_the_network(bench):
    rate, seconds = bench.floor(1, side=256)
    assert rate > 1e8
    macs = arithmetic.macs(networks.build(classes=10, **bench.NETWORK))
    assert 2 * macs * 55_000 / rate < seconds < 3 * macs * 55_000 / rate
