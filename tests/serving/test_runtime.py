"""The served model gives the evaluated answers on all 10,000 test images."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from digitline.data import dataset
from digitline.data.dataset import Dataset
from digitline.model import checkpoint, networks
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy
from digitline.model.training import fit
from digitline.serving import runtime
from tests.served import ROOT

PLAIN: dict[str, Any] = {"network": "plain", "filters": [4, 8], "hidden": 32, "activation": "relu", "classes": 10}
MODERN: dict[str, Any] = {"network": "modern", "widths": [8, 16, 16, 16], "dropout": 0.1, "classes": 10}
RECIPE: dict[str, Any] = {
    "epochs": 3,
    "optimizer": "SGD",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "batch_size": 32,
    "warmup": 0.2,
    "label_smoothing": 0.05,
    "augmentation": {},
    "bfloat16": True,
}


@pytest.fixture(scope="module")
def trained(digits: Dataset) -> dict[str, nn.Module]:
    """One model of each kind that can become champion, trained briefly."""
    parts, kinds = dataset.split(digits.train, validation=100, seed=0), {"plain": PLAIN, "modern": MODERN}
    found: dict[str, nn.Module] = {}
    for name, network in kinds.items():
        torch.manual_seed(1)
        found[name] = networks.build(**network)
        list(fit(found[name], *parts, seed=1, **RECIPE))
    vote = networks.Vote(members=[PLAIN, MODERN])
    for member, model in zip(vote.members, list(found.values()), strict=True):
        member.load_state_dict(model.state_dict())
    # With a GPU they were trained there, but evaluation uses the CPU.
    return {name: model.cpu().eval() for name, model in {**found, "vote": vote}.items()}


def same(model: nn.Module, images: Any) -> None:
    """The same labels, and the same probabilities up to rounding, one by one or many at once."""
    logits, found = predict(model, images), runtime.fastest(deepcopy(model))
    expected = softmax(logits.astype(float), 1)
    probabilities = found(images)
    assert (probabilities.argmax(1) == logits.argmax(1)).all()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    for place in range(20):
        np.testing.assert_allclose(found(images[place : place + 1]), expected[place : place + 1], atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "modern", "vote"])
def test_the_runtime_gives_the_evaluated_answers_on_all_test_images(
    trained: dict[str, nn.Module], mnist: Dataset, kind: str
) -> None:
    images, labels = mnist.test.images.copy(), mnist.test.labels
    assert accuracy(predict(trained[kind], images), labels) > 0.5
    same(trained[kind], images)


def test_the_champion_gives_its_evaluated_answers(mnist: Dataset) -> None:
    path = ROOT / "models/champion/model.safetensors"
    if not path.exists():
        pytest.skip("there is no champion in this clone; make trains and promotes one")
    same(checkpoint.load(path), mnist.test.images.copy())


def test_images_may_be_bytes_or_floats(trained: dict[str, nn.Module], digits: Dataset) -> None:
    answer, images = runtime.in_onnx_runtime(trained["plain"]), digits.test.images[:100]
    assert (answer(images) == answer(images.astype(np.float32))).all()
