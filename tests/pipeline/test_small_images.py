from itertools import chain

import pytest
import torch

from digitline.data import dataset
from digitline.data.dataset import Part
from digitline.data.entry import Shape
from digitline.model import networks
from pipeline import ideas
from tests import example


@pytest.mark.parametrize("side", [4, 8, 13, 28])
@pytest.mark.parametrize("trial", list(chain(*ideas.TRIALS.values())), ids=lambda trial: trial.name)
def test_the_networks_of_the_ideas_fit_into_small_images(trial, side):
    image = Shape(side, side + 3, 3)
    read = example.read()._replace(image=image, classes=["a", "b"])
    run = ideas.planned(read, "", trial, 1)
    model = networks.build(**run.network)
    assert model(torch.zeros(2, side, side + 3, 3, dtype=torch.uint8)).shape == (2, 2)
    if side == 28:
        assert run.network["filters"] == trial.model["filters"]
        assert run.network.get("kernel") == trial.model.get("kernel")


def test_the_ideas_train_on_fewer_images_than_a_batch(digits, monkeypatch):
    few = Part(digits.train.images[:20], digits.train.labels[:20])
    monkeypatch.setattr(dataset, "divide", lambda path, **split: (few, few, few))
    read = example.read()
    run = ideas.planned(read, "gradients", ideas.TRIALS["gradients"][1], 1)
    assert run.recipe["batch_size"] > len(few.labels)
    [outcome] = ideas.one(run)
    assert len(outcome.gradients) == 1 + read.ideas.epochs
