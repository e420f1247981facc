"""One training of a search, in a process of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from digitline.base.errors import InputError
from digitline.data import dataset
from digitline.model import checkpoint, networks
from digitline.model.evaluation import predict
from digitline.model.recipe import divisible, sizes
from digitline.model.training import Epoch, fit


class Attempt(NamedTuple):
    name: str
    seed: int
    model: dict[str, Any]  # keyword arguments of networks.build, without classes and image
    classes: int
    recipe: dict[str, Any]  # keyword arguments of training.fit, without seed
    start: dict[str, Any] | None  # the file of weights to begin with, and its SHA-256
    data: Path
    split: dict[str, Any]
    keep: Path  # the snapshot


Record = Epoch | NDArray[np.float32] | str


def attempt(one: Attempt) -> Iterator[Record]:
    """The epochs, then the logits of validation [N, classes]; or why these values make no training."""
    training, validation, _ = dataset.divide(one.data, **one.split)
    image, options = dataset.shape(training.images), dict(one.model)
    torch.manual_seed(one.seed)
    try:
        sizes(options.pop("network"), image, options)  # each value fits the variant, but not always the others
        divisible(one.recipe)
        model = networks.build(**one.model, classes=one.classes, **networks.of_shape(image))
        if one.start:
            checkpoint.start(model, Path(one.start["file"]), one.start["sha256"])
        yield from fit(model, training, validation, seed=one.seed, keep=one.keep, **one.recipe)
    except InputError as error:
        yield str(error)
    else:
        yield predict(model, validation.images)
