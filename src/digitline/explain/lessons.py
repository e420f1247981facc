"""The keys of ideas in params.yaml."""

from typing import NamedTuple

from pydantic import PositiveInt


class Lessons(NamedTuple):
    """The short trainings that measure the ideas."""

    images: PositiveInt  # training images for each
    epochs: PositiveInt
