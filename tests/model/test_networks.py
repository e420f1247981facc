from typing import Any

import pytest
import torch
from torch import nn

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.entry import MNIST
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
    "residual": (
        {"network": "residual", "widths": [8, 16, 24]},
        9 * (8 + 8 * 16 + 2 * 16 * 16 + 16 * 24 + 2 * 24 * 24) + 2 * (8 + 3 * 16 + 3 * 24) + 25 * 10,
        9 * (28**2 * (8 + 8 * 16) + 14**2 * (2 * 16 * 16 + 16 * 24) + 7**2 * 2 * 24 * 24) + 240,
    ),
}
COLOUR = {"height": 20, "width": 24, "channels": 3}


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


@pytest.mark.parametrize(
    ("network", "image", "sentence"),
    [
        (
            {"network": "plain", "filters": [4, 4, 4]},
            {},
            "3 layers of 5x5 filters, too many: 28x28 -> 12x12 -> 4x4 -> 0x0",
        ),
        (
            {"network": "modern", "widths": [4] * 4},
            {"height": 28, "width": 9},
            "padded: true: 28x9 -> 12x2 -> 4x-1 pixels",
        ),
        (
            {"network": "residual", "widths": [4] * 6},
            {},
            "6 stages, each of which halves the one before, too many: 28x28",
        ),
    ],
)
def test_a_network_that_leaves_no_pixel_is_refused_with_the_arithmetic(network, image, sentence):
    with pytest.raises(InputError, match=sentence):
        networks.build(**network, classes=10, image=image)


@pytest.mark.parametrize(
    "network",
    [
        {"network": "plain", "filters": []},
        {"network": "plain", "filters": [4, 6]},
        {"network": "modern", "widths": [4, 4, 6, 6], "padded": True},
        {"network": "residual", "widths": [4, 6]},
    ],
)
def test_a_network_takes_the_shape_of_its_data_set_and_its_file_says_so(network, photos, tmp_path):
    described = {**network, "classes": 3, "image": COLOUR}
    model = networks.build(**described).eval()
    checkpoint.save(model, tmp_path / "model.safetensors", **described)
    again = checkpoint.load(tmp_path / "model.safetensors")
    images = torch.from_numpy(photos.test.images)
    assert torch.equal(model(images), again(images))
    assert networks.shape(again) == (20, 24, 3)
    assert "20 x 24" in arithmetic.text("it", again)


def test_a_model_of_mnist_s_shape_does_not_name_it(tmp_path):
    assert networks.of_shape(MNIST) == {}
    network: dict[str, Any] = {"network": "plain", "filters": [2], "classes": 10}
    checkpoint.save(networks.build(**network), tmp_path / "model.safetensors", **network)
    assert networks.shape(checkpoint.load(tmp_path / "model.safetensors")) == (28, 28, 1)


def test_a_start_takes_the_weights_that_fit_and_names_the_others(tmp_path):
    given: dict[str, Any] = {"network": "modern", "widths": [4, 4, 6, 6], "classes": 10}
    source, file = networks.build(**given), tmp_path / "given.safetensors"
    checkpoint.save(source, file, **given)
    model = networks.build(**given | {"classes": 3})
    last = [name for name in model.state_dict() if name.startswith("layers.")][-2:]
    drawn = model.state_dict()[last[0]].clone()
    assert checkpoint.start(model, file, digest(file)) == last
    assert torch.equal(model.state_dict()["layers.0.weight"], source.state_dict()["layers.0.weight"])
    assert torch.equal(model.state_dict()[last[0]], drawn)
    with pytest.raises(InputError, match=r"given\.safetensors has SHA-256 .*, expected 0000"):
        checkpoint.start(model, file, "0" * 64)
    with pytest.raises(InputError, match="none: the file is missing"):
        checkpoint.start(model, tmp_path / "none", "0" * 64)
    with pytest.raises(InputError, match="no weight of the shape"):
        checkpoint.start(networks.build(network="plain", filters=[], classes=2, hidden=7), file, digest(file))


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
