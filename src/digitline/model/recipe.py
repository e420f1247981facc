"""The keys of a variant in params.yaml: its network, its recipe, its augmentation."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Four = Annotated[list[PositiveInt], Field(min_length=4, max_length=4)]
Activation = Literal["sigmoid", "tanh", "relu", "gelu"]
Optimizer = Literal["SGD", "AdamW"]
Sampling = Literal["random", "balanced"]  # each image once an epoch, or as many images of each class


class Entry(NamedTuple):
    """A variant's keys besides those of its recipe."""

    model: dict[str, Any]  # network, and the keys of that network
    parent: str | None = None  # the variant that it is compared with and differs from in one thing


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


NETWORKS: dict[str, type] = {"plain": Plain, "modern": Modern}  # the values of model.network


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
