from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional

from digitline.explain import activations
from digitline.explain.activations import Field
from digitline.model import evaluation, networks

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[10:18, 12:16] = 255


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return networks.build(network="plain", filters=[4, 6], hidden=8, activation="relu", classes=10).eval()


@pytest.fixture
def modern():
    torch.manual_seed(0)
    return networks.build(network="modern", widths=[4, 6, 8, 10], padded=True, classes=10).eval()


def test_the_fields_of_nielsen_s_network_are_those_computed_by_hand(plain):
    found = activations.layers(plain, IMAGE)
    assert [(layer.name, layer.maps.shape, layer.field, layer.window) for layer in found] == [
        ("image", (1, 28, 28), Field(1, 1, 0), 1),
        ("convolution 1", (4, 24, 24), Field(5, 1, 0), 5),
        ("pooling 1", (4, 12, 12), Field(6, 2, 0), 2),
        ("ReLU 1", (4, 12, 12), Field(6, 2, 0), 1),
        ("convolution 2", (6, 8, 8), Field(14, 2, 0), 5),
        ("pooling 2", (6, 4, 4), Field(16, 4, 0), 2),
        ("ReLU 2", (6, 4, 4), Field(16, 4, 0), 1),
        ("neurons 3", (8, 1, 1), Field(28, 0, 0), 4),
        ("ReLU 3", (8, 1, 1), Field(28, 0, 0), 1),
        ("output", (10, 1, 1), Field(28, 0, 0), 1),
    ]
    shapes = [layer.filters.shape for layer in found if layer.filters is not None]
    assert shapes == [(4, 1, 5, 5), (6, 4, 5, 5), (8, 6, 4, 4), (10, 8, 1, 1)]


@pytest.mark.parametrize("network", ["plain", "modern"])
def test_a_unit_sees_only_its_field(network, request):
    model = request.getfixturevalue(network)
    features = pixels = torch.rand(1, 1, 28, 28, requires_grad=True)
    shown = {layer.name: layer for layer in activations.layers(model, IMAGE)}
    number = 0
    for layer in model.layers:
        features = layer(features)
        if not isinstance(layer, torch.nn.Conv2d):
            continue
        number += 1
        field = shown[f"convolution {number}"].field
        row, column = features.shape[-2] // 2, 1
        (slope,) = torch.autograd.grad(features[0, :, row, column].sum(), pixels, retain_graph=True)
        rows, columns = slope[0, 0].any(1).nonzero().flatten(), slope[0, 0].any(0).nonzero().flatten()
        top, left = (field.start + at * field.step for at in (row, column))
        assert max(top, 0) <= rows[0] <= rows[-1] < top + field.size
        assert max(left, 0) <= columns[0] <= columns[-1] < left + field.size


def recomputed(layer, before):
    """A layer's maps, computed from the maps before it and its description."""
    maps = torch.from_numpy(before.maps)[None]
    if layer.filters is not None:
        padding = (layer.maps.shape[1] - before.maps.shape[1] + layer.window - 1) // 2
        bias = None if layer.bias is None else torch.from_numpy(layer.bias)
        return functional.conv2d(maps, torch.from_numpy(layer.filters), bias, padding=padding)
    if layer.scale is not None:
        return maps * torch.from_numpy(layer.scale)[:, None, None] + torch.from_numpy(layer.bias)[:, None, None]
    if layer.window > 1:
        return functional.max_pool2d(maps, layer.window)
    return maps.relu()


@pytest.mark.parametrize("network", ["plain", "modern"])
def test_each_layer_s_maps_follow_from_those_before_and_the_last_are_the_logits(network, request):
    model = request.getfixturevalue(network)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # as after training: means are not 0, scales not 1
            layer.get_buffer("running_mean").normal_()
            layer.get_buffer("running_var").uniform_(0.5, 2)
            layer.weight.data.uniform_(-1, 2)
    found = activations.layers(model, IMAGE)
    for before, layer in pairwise(found):
        np.testing.assert_allclose(layer.maps, recomputed(layer, before)[0].numpy(), atol=1e-4, err_msg=layer.name)
    logits = model(torch.from_numpy(IMAGE)[None]).detach().numpy()[0]
    np.testing.assert_allclose(found[-1].maps[:, 0, 0], logits, atol=1e-5)


def test_a_network_without_convolutions_has_neurons_that_see_the_whole_image():
    found = activations.layers(networks.build(network="plain", filters=[], hidden=8, classes=10).eval(), IMAGE)
    assert [layer.name for layer in found] == ["image", "neurons 1", "Sigmoid 1", "output"]
    assert found[1].filters is not None
    assert found[1].filters.shape == (8, 1, 28, 28)


def test_of_a_vote_the_first_member_is_shown():
    network = {"network": "plain", "filters": [3], "classes": 10}
    torch.manual_seed(0)
    vote = networks.build(network="vote", members=[network, network]).eval()
    member = vote.get_submodule("members.0")
    for shown, own in zip(activations.layers(vote, IMAGE), activations.layers(member, IMAGE), strict=True):
        assert np.array_equal(shown.maps, own.maps)


def test_the_evidence_lies_where_the_answer_comes_from():
    class Corner(torch.nn.Module):
        """Answers 1 if the upper left corner is bright."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(0.02))

        def forward(self, images):
            bright = images[:, :6, :6].float().mean((1, 2)) * self.weight
            return torch.stack([-bright, bright], 1)

    image = np.full((28, 28), 200, np.uint8)
    found = activations.evidence(Corner(), image, 1)
    assert found.shape == (14, 14)
    assert found.argmax() == 1 * 14 + 1
    assert not found[5:].any()
    assert np.allclose(activations.evidence(Corner(), image, 0), -found)
    assert not activations.evidence(Corner(), np.zeros((28, 28), np.uint8), 1).any()


def test_evidence_in_large_images_is_measured_in_parts(modern, monkeypatch):
    whole = activations.evidence(modern, IMAGE, 3)
    seen = []
    modern.register_forward_pre_hook(lambda _, given: seen.append(given[0].numel()))
    monkeypatch.setattr(evaluation, "CHUNK", 10 * IMAGE.size)
    np.testing.assert_allclose(activations.evidence(modern, IMAGE, 3), whole, atol=1e-4)
    assert len(seen) > 1
    assert max(seen) == 10 * IMAGE.size
