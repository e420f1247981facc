"""The keys of a variant in params.yaml: its network, its recipe, its augmentation."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from digitline.base.errors import InputError
from digitline.data.entry import Sha256, Shape

Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=64)]
Four = Annotated[list[PositiveInt], Field(min_length=4, max_length=4)]
Several = Annotated[list[PositiveInt], Field(min_length=2)]
Activation = Literal["sigmoid", "tanh", "relu", "gelu"]
Optimizer = Literal["SGD", "AdamW"]
Sampling = Literal["random", "balanced"]  # each image once an epoch, or as many images of each class


class Entry(NamedTuple):
    """A variant's keys besides those of its recipe."""

    model: dict[str, Any]  # network, and the keys of that network
    parent: str | None = None  # the variant that it is compared with and differs from in one thing
    start: dict[str, Any] | None = None  # see Start


class Start(NamedTuple):
    """The weights that a variant's training begins with."""

    file: str  # a model's safetensors file
    sha256: Sha256


class Plain(NamedTuple):
    filters: list[PositiveInt]
    kernel: PositiveInt = 5
    hidden: PositiveInt = 100
    activation: Activation = "sigmoid"
    dropout: Probability = 0.0
    pooling: bool = True


class Modern(NamedTuple):
    widths: Four
    padded: bool = False
    dropout: Probability = 0.0


class Residual(NamedTuple):
    widths: Several  # of the stages; each after the first halves the sides
    dropout: Probability = 0.0


NETWORKS: dict[str, type] = {"plain": Plain, "modern": Modern, "residual": Residual}  # the values of model.network


def sizes(network: str, image: Shape, options: Mapping[str, Any]) -> list[list[int]]:
    """Height and width of an image and of the maps after each halving; InputError if no pixel is left."""
    chain = [[image.height, image.width]]
    match network:
        case "plain":
            one = Plain(**options)
            filters, reduce = f"{one.kernel}x{one.kernel} filters", one.kernel - 1
            what = f"model.filters has {len(one.filters)} layers of {filters}, too many"
            for _ in one.filters:
                chain.append([(side - reduce) // (2 if one.pooling else 1) for side in chain[-1]])
        case "modern":
            what = "model.network modern needs larger images" + ("" if options.get("padded") else " or padded: true")
            for _ in range(2):
                chain.append([(side - (0 if options.get("padded") else 4)) // 2 for side in chain[-1]])
        case _:
            what = f"model.widths has {len(options['widths'])} stages, each of which halves the one before, too many"
            for _ in options["widths"][1:]:
                chain.append([side // 2 for side in chain[-1]])
    if min(map(min, chain)) < 1:
        steps = " -> ".join(f"{height}x{width}" for height, width in chain)
        raise InputError(f"{what}: {steps} pixels, expected at least 1x1")
    return chain


class Recipe(NamedTuple):
    """What training.fit takes."""

    epochs: PositiveInt
    batch_size: PositiveInt
    optimizer: Optimizer
    learning_rate: PositiveFloat  # the peak
    momentum: Probability
    weight_decay: NonNegativeFloat
    warmup: Probability  # fraction of the steps
    label_smoothing: Probability
    augmentation: dict[str, Any]  # see Augmentation
    bfloat16: bool
    sampling: Sampling = "random"
    outliers: dict[str, Any] | None = None  # see Outliers
    shards: Count = 1  # of each batch, each with its own draws and batch statistics


def divisible(recipe: Mapping[str, Any]) -> None:
    """InputError unless the shards divide the images of a batch, and the outliers beside it, evenly."""
    shards, beside = recipe.get("shards", 1), recipe.get("outliers") or {}
    whole = {"batch_size": recipe["batch_size"]} | ({"outliers.images": beside["images"]} if beside else {})
    for name, images in whole.items():
        if images % shards:
            raise InputError(
                f"shards is {shards}, expected a divisor of {name}: {images} / {shards} = {images / shards:g}"
            )


class Range(NamedTuple):
    """What a search draws a value from, instead of a list of values."""

    low: float
    high: float
    log: bool = False  # evenly in the logarithm


class Outliers(NamedTuple):
    """Drawn images of no class to train with."""

    images: PositiveInt  # beside each batch
    weight: PositiveFloat  # of their loss


class Augmentation(NamedTuple):
    """What augmentation.warp takes."""

    rotation: NonNegativeFloat = 0.0  # degrees
    scale: NonNegativeFloat = 0.0  # fraction
    shear: NonNegativeFloat = 0.0  # fraction
    shift: NonNegativeFloat = 0.0  # pixels
    elastic: NonNegativeFloat = 0.0  # pixels
    erase: Fraction = 0.0  # share of the images
    mirror: Fraction = 0.0  # share of the images
    crop: Probability = 0.0  # fraction of each side
    colour: Probability = 0.0  # fraction
