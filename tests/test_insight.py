import numpy as np
import pytest
import torch

from digitline import insight, models
from digitline.insight import Field

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[10:18, 12:16] = 255


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return models.build(network="plain", filters=[4, 6], hidden=8, activation="relu", classes=10).eval()


@pytest.fixture
def modern():
    torch.manual_seed(0)
    return models.build(network="modern", widths=[4, 6, 8, 10], padded=True, classes=10).eval()


def test_the_layers_of_nielsen_s_network_see_what_was_computed_by_hand(plain):
    found = insight.layers(plain, IMAGE)
    assert [(layer.name, layer.maps.shape, layer.field) for layer in found] == [
        ("convolution 1", (4, 24, 24), Field(5, 1, 0)),
        ("pooling 1", (4, 12, 12), Field(6, 2, 0)),
        ("ReLU 1", (4, 12, 12), Field(6, 2, 0)),
        ("convolution 2", (6, 8, 8), Field(14, 2, 0)),
        ("pooling 2", (6, 4, 4), Field(16, 4, 0)),
        ("ReLU 2", (6, 4, 4), Field(16, 4, 0)),
    ]
    assert found[3].filters is not None
    assert found[3].filters.shape == (6, 4, 5, 5)


@pytest.mark.parametrize("network", ["plain", "modern"])
def test_a_unit_sees_its_field_and_nothing_else(network, request):
    model = request.getfixturevalue(network)
    pixels = torch.rand(1, 1, 28, 28, requires_grad=True)
    features, index = pixels, -1
    names = iter(insight.layers(model, IMAGE))
    for layer in model.layers:
        features, index = layer(features), index + 1
        if isinstance(layer, torch.nn.BatchNorm2d):
            continue
        if features.ndim < 4 or isinstance(layer, torch.nn.AdaptiveMaxPool2d):
            break
        field = next(names).field
        if isinstance(layer, torch.nn.Conv2d):
            row, column = features.shape[-2] // 2, 1
            (slope,) = torch.autograd.grad(features[0, :, row, column].sum(), pixels, retain_graph=True)
            rows, columns = slope[0, 0].any(1).nonzero().flatten(), slope[0, 0].any(0).nonzero().flatten()
            top, left = (field.start + at * field.step for at in (row, column))
            assert max(top, 0) <= rows[0] <= rows[-1] < top + field.size
            assert max(left, 0) <= columns[0] <= columns[-1] < left + field.size
    assert next(names, None) is None


def test_of_a_vote_the_first_member_is_shown_and_of_layers_without_maps_nothing():
    network = {"network": "plain", "filters": [3], "classes": 10}
    torch.manual_seed(0)
    vote = models.build(network="vote", members=[network, network]).eval()
    member = vote.get_submodule("members.0")
    for shown, own in zip(insight.layers(vote, IMAGE), insight.layers(member, IMAGE), strict=True):
        assert np.array_equal(shown.maps, own.maps)
    assert insight.layers(models.build(network="plain", filters=[], classes=10), IMAGE) == []


def test_the_evidence_lies_where_the_answer_comes_from():
    class Corner(torch.nn.Module):
        """Says 1 as far as the upper left corner is bright."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(0.02))

        def forward(self, images):
            bright = images[:, :6, :6].float().mean((1, 2)) * self.weight
            return torch.stack([-bright, bright], 1)

    image = np.full((28, 28), 200, np.uint8)
    found = insight.evidence(Corner(), image, 1)
    assert found.shape == (14, 14)
    assert found.argmax() == 1 * 14 + 1
    assert not found[5:].any()
    assert np.allclose(insight.evidence(Corner(), image, 0), -found)
    assert not insight.evidence(Corner(), np.zeros((28, 28), np.uint8), 1).any()
