from typing import Any

import pytest
import torch
from torch import nn

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.model import arithmetic, checkpoint, networks

STUDY: dict[str, tuple[dict[str, Any], int, int]] = {
    "fc": ({"network": "plain", "filters": []}, 784 * 100 + 100 + 100 * 10 + 10, 784 * 100 + 100 * 10),
    "conv1": (
        {"network": "plain", "filters": [20]},
        (25 + 1) * 20 + (20 * 144 + 1) * 100 + 1010,
        24**2 * 25 * 20 + 2880 * 100 + 1000,
    ),
    "conv2": (
        {"network": "plain", "filters": [20, 40], "activation": "relu", "dropout": 0.5},
        (25 + 1) * 20 + (25 * 20 + 1) * 40 + (40 * 16 + 1) * 100 + 1010,
        24**2 * 25 * 20 + 8**2 * 25 * 20 * 40 + 640 * 100 + 1000,
    ),
    "unpooled": (
        {"network": "plain", "filters": [20], "pooling": False},
        (25 + 1) * 20 + (20 * 576 + 1) * 100 + 1010,
        24**2 * 25 * 20 + 11520 * 100 + 1000,
    ),
    "padded": (
        {"network": "modern", "widths": [8, 16, 24, 32], "padded": True},
        25 * 8 + 9 * (8 * 16 + 16 * 16 + 16 * 24 + 24 * 32) + 2 * (8 + 16 + 16 + 24 + 32) + 33 * 10,
        28**2 * 25 * 8 + 9 * (14**2 * (8 * 16 + 16 * 16) + 7**2 * (16 * 24 + 24 * 32)) + 320,
    ),
    "modern": (
        {"network": "modern", "widths": [8, 16, 24, 32]},
        25 * 8 + 9 * (8 * 16 + 16 * 16 + 16 * 24 + 24 * 32) + 2 * (8 + 16 + 16 + 24 + 32) + 33 * 10,
        24**2 * 25 * 8 + 9 * (10**2 * 8 * 16 + 8**2 * 16 * 16 + 4**2 * (16 * 24 + 24 * 32)) + 320,
    ),
}


@pytest.fixture(params=STUDY)
def study(request):
    network, parameters, macs = STUDY[request.param]
    torch.manual_seed(0)
    return {**network, "classes": 10}, parameters, macs


def test_parameters_and_multiply_adds_are_those_counted_by_hand(study):
    network, parameters, macs = study
    model = networks.build(**network)
    assert arithmetic.parameters(model) == parameters
    assert arithmetic.macs(model) == macs


def test_a_network_turns_pixels_into_logits_and_every_weight_learns(study, digits):
    model = networks.build(**study[0])
    logits = model(torch.from_numpy(digits.train.images[:32]))
    assert logits.shape == (32, 10)
    nn.functional.cross_entropy(logits, torch.from_numpy(digits.train.labels[:32]).long()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_saved_model_is_loaded_unchanged(study, digits, tmp_path):
    network, *_ = study
    model = networks.build(**network).eval()
    checkpoint.save(model, tmp_path / "a.safetensors", **network)
    checkpoint.save(model, tmp_path / "b.safetensors", **network)
    again = checkpoint.load(tmp_path / "a.safetensors")
    images = torch.from_numpy(digits.test.images[:16])
    assert torch.equal(model(images), again(images))
    assert not again.training
    assert digest(tmp_path / "a.safetensors") == digest(tmp_path / "b.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a model", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_model_is_refused_by_name(content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors is not a digitline model"):
        checkpoint.load(path)


def test_brightness_and_contrast_do_not_matter_and_a_blank_image_is_no_problem(digits):
    images = torch.from_numpy(digits.test.images[:8]).float()
    assert torch.allclose(networks.standardise(images), networks.standardise(images * 0.5 + 60), atol=1e-4)
    assert torch.equal(networks.standardise(torch.full((1, 28, 28), 255)), torch.zeros(1, 1, 28, 28))


def test_dropout_acts_only_in_training():
    model = networks.build(network="plain", filters=[], classes=10, dropout=0.5)
    images = torch.rand(4, 28, 28) * 255
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_more_layers_than_pixels_are_refused():
    with pytest.raises(InputError, match="3 layers of 5x5 filters, too many"):
        networks.build(network="plain", filters=[4, 4, 4], classes=10)


def test_a_vote_is_the_mean_of_its_members_probabilities(digits, tmp_path):
    paths = []
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        network: dict[str, Any] = {"network": "plain", "filters": [], "hidden": 8, "classes": 10}
        paths.append(tmp_path / f"{seed}.safetensors")
        checkpoint.save(networks.build(**network), paths[-1], **network)
    checkpoint.vote(paths, tmp_path / "vote.safetensors")
    images = torch.from_numpy(digits.test.images[:16])
    vote = checkpoint.load(tmp_path / "vote.safetensors")
    with torch.inference_mode():
        expected = torch.stack([checkpoint.load(path)(images).softmax(1) for path in paths]).mean(0)
        assert torch.allclose(vote(images).exp(), expected, atol=1e-6)
    one = checkpoint.load(paths[0])
    assert arithmetic.parameters(vote) == 3 * arithmetic.parameters(one)
    assert arithmetic.macs(vote) == 3 * arithmetic.macs(one)
