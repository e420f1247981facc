"""How a model reads photographs of paper, and whether it doubts those without."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax
from torch import nn

from digitline.base.slots import cores
from digitline.data.dataset import Bytes, Part
from digitline.data.prepare import Seen, read
from digitline.measure import uncertainty
from digitline.measure.layers import Random
from digitline.measure.sheets import Make
from digitline.model.evaluation import predict


class Shares(TypedDict):
    """Of pictures of one kind; they add up to 1."""

    right: float  # the label is right and not doubted
    doubted: float
    wrong: float  # without doubt


class Answered(NamedTuple):
    """A picture, what the model saw of it, and what it answered."""

    sent: Image.Image
    image: Bytes
    label: int
    doubtful: bool


def evenly(part: Part, number: int) -> Part:
    """That many images, evenly chosen."""
    places = np.linspace(0, len(part.labels) - 1, number).round().astype(int)
    return Part(part.images[places], part.labels[places])


def seen(make: Make, images: Bytes, seed: int) -> list[Seen]:
    """Each image as such a picture, prepared as the service does it."""

    def one(place: int) -> Seen:
        return read(make(images[place], np.random.default_rng([seed, place])))

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(one, range(len(images))))


def answers(model: nn.Module, prepared: list[Seen], above: float) -> tuple[Bytes, NDArray[np.bool_]]:
    """The labels, and which are doubted: by the model's entropy, or as the picture is not clear."""
    shares = softmax(predict(model, np.stack([each.image for each in prepared])), 1)
    unclear = np.array([not each.sure for each in prepared])
    return shares.argmax(1).astype(np.uint8), (uncertainty.entropy(shares) > above) | unclear


def shares(model: nn.Module, make: Make, part: Part, *, above: float, seed: int) -> Shares:
    """How such pictures of these images are read."""
    labels, doubted = answers(model, seen(make, part.images, seed), above)
    right = labels == part.labels
    return {
        "right": float((right & ~doubted).mean()),
        "doubted": float(doubted.mean()),
        "wrong": float((~right & ~doubted).mean()),
    }


def doubts(
    model: nn.Module, scenes: Mapping[str, Callable[[Random], Image.Image]], number: int, *, above: float, seed: int
) -> dict[str, float]:
    """The share of pictures without a digit that are doubted, by kind."""
    nothing = np.zeros((number, 1, 1), np.uint8)
    return {
        name: float(answers(model, seen(without(make), nothing, seed), above)[1].mean())
        for name, make in scenes.items()
    }


def without(make: Callable[[Random], Image.Image]) -> Make:
    """The same picture, whatever the digit."""
    return lambda _, random: make(random)


def sample(model: nn.Module, make: Make, part: Part, *, above: float, seed: int) -> list[Answered]:
    """Such pictures of these images with their answers."""
    sent = [make(image, np.random.default_rng([seed, place])) for place, image in enumerate(part.images)]
    prepared = [read(each) for each in sent]
    labels, doubted = answers(model, prepared, above)
    return [
        Answered(picture, each.image, int(label), bool(doubtful))
        for picture, each, label, doubtful in zip(sent, prepared, labels, doubted, strict=True)
    ]
