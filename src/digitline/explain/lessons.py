"""The keys of ideas in params.yaml."""

from typing import NamedTuple

from pydantic import PositiveInt


class Lessons(NamedTuple):
    """The short trainings by which the ideas are measured."""

    images: PositiveInt  # of training, for each
    epochs: PositiveInt
