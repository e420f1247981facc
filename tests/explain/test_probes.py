import numpy as np
import pytest
import torch

from digitline.data.dataset import Part
from digitline.explain import probes
from digitline.model import networks
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy


@pytest.fixture
def few(digits):
    return Part(digits.test.images[:60], digits.test.labels[:60])


def network(**options):
    torch.manual_seed(0)
    return networks.build(network="plain", classes=10, hidden=20, **options).eval()


def test_under_a_sigmoid_the_gradient_vanishes_towards_the_first_layer(few):
    deep = {"filters": [4] * 4, "kernel": 3, "pooling": False}
    sigmoid, relu = (probes.gradients(network(activation=name, **deep), few) for name in ("sigmoid", "relu"))
    assert len(sigmoid) == len(relu) == 6
    assert sigmoid[-1] / sigmoid[0] > 100 > relu[-1] / relu[0]


def test_with_no_unit_silent_the_accuracy_is_the_network_s_own(few):
    plain = network(filters=[3], activation="relu")
    own = accuracy(predict(plain, few.images), few.labels)
    assert probes.silenced(plain, few, 0.0, draws=2) == pytest.approx(own)
    assert probes.shifted(plain, few, 0) == pytest.approx(own)


def test_the_units_that_are_not_silent_decide():
    plain = network(filters=[], activation="relu")
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
        first, last = (layer for layer in plain.modules() if isinstance(layer, torch.nn.Linear))
        first.bias[:] = 1.0  # every unit's output is always 1
        last.weight[3, :5], last.weight[4, 5:] = 1.0, 0.1  # five units for a 3 outweigh fifteen for a 4
    threes = Part(np.zeros((4, 28, 28), np.uint8), np.full(4, 3, np.uint8))
    assert probes.silenced(plain, threes, 0.0, draws=1) == 1
    assert 0 < probes.silenced(plain, threes, 0.95, draws=40) < 0.6


def test_a_network_that_sees_one_corner_fails_on_shifted_images():
    class Corner(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            bright = images[:, 0, 0].float() * self.weight - 100
            return torch.stack([-bright, bright], 1)

    images = np.zeros((2, 28, 28), np.uint8)
    images[:, 0, 0] = 255
    part = Part(images, np.ones(2, np.uint8))
    assert probes.shifted(Corner(), part, 0) == 1
    assert probes.shifted(Corner(), part, 3) == 0
