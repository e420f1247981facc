"""The keys of robustness in params.yaml."""

from typing import NamedTuple

from pydantic import PositiveInt


class Sample(NamedTuple):
    """What robustness.changes takes."""

    images: PositiveInt  # test images for each change and level
