"""The served model gives the evaluated answers; on all test images, the stage that exports it checks this."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from digitline.data import dataset
from digitline.data.dataset import Dataset
from digitline.model import checkpoint, networks
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy
from digitline.model.training import fit
from digitline.registry import bento
from digitline.serving import export, runtime
from tests.served import ROOT

PLAIN: dict[str, Any] = {"network": "plain", "filters": [4, 8], "hidden": 32, "activation": "relu", "classes": 10}
MODERN: dict[str, Any] = {"network": "modern", "widths": [8, 16, 16, 16], "dropout": 0.1, "classes": 10}
SOME = 2000  # test images
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
def trained(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The weights of one model of each kind that can become champion, trained briefly."""
    parts, kinds = dataset.split(digits.train, validation=100, seed=0), {"plain": PLAIN, "modern": MODERN}
    folder = tmp_path_factory.mktemp("trained")
    for name, network in kinds.items():
        torch.manual_seed(1)
        model = networks.build(**network)
        list(fit(model, *parts, seed=1, **RECIPE))
        checkpoint.save(model, folder / f"{name}.safetensors", **network)
    found = {name: folder / f"{name}.safetensors" for name in [*kinds, "vote"]}
    checkpoint.vote([found["plain"], found["modern"]], found["vote"])
    return found


def same(weights: Path, exported: Path, images: Any) -> None:
    """The same labels, and the same probabilities up to rounding, one by one or many at once."""
    logits = predict(checkpoint.load(weights), images)
    found = runtime.fastest(runtime.Exported(exported.read_bytes()), weights)
    expected = softmax(logits.astype(float), 1)
    probabilities = found(images)
    assert (probabilities.argmax(1) == logits.argmax(1)).all()
    np.testing.assert_allclose(probabilities, expected, atol=export.TOLERANCE)
    for place in range(20):
        one = found(images[place : place + 1])
        np.testing.assert_allclose(one, expected[place : place + 1], atol=export.TOLERANCE)


@pytest.mark.parametrize("kind", ["plain", "modern", "vote"])
def test_the_runtime_gives_the_evaluated_answers(trained: dict[str, Path], mnist: Dataset, kind: str) -> None:
    images, labels = mnist.test.images[:SOME].copy(), mnist.test.labels[:SOME]
    assert accuracy(predict(checkpoint.load(trained[kind]), images), labels) > 0.5
    exported = trained[kind].with_suffix(".onnx")
    export.write(trained[kind], exported)
    same(trained[kind], exported, images)


def test_the_champion_gives_its_evaluated_answers(mnist: Dataset) -> None:
    folder = ROOT / "models/champion"
    if not (folder / bento.MODEL).exists():
        pytest.skip("there is no champion in this clone; make trains and promotes one")
    bento.servable(folder)
    same(folder / bento.MODEL, folder / bento.EXPORTED, mnist.test.images.copy())


def test_images_may_be_bytes_or_floats(trained: dict[str, Path], digits: Dataset, tmp_path: Path) -> None:
    export.write(trained["plain"], tmp_path / "plain.onnx")
    answer, images = runtime.Exported((tmp_path / "plain.onnx").read_bytes()), digits.test.images[:100]
    assert (answer(images) == answer(images.astype(np.float32) + 0.4)).all()
