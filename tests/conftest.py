from pathlib import Path

import pytest

from digitline import sources
from digitline.data import Dataset, Part
from pipeline import stage


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """All of MNIST, from the bundled copy."""
    params = stage.read()
    return sources.fetch([Path("data/mnist")], len(params.classes), lambda line: None, name=params.dataset, **params.source)


@pytest.fixture(scope="session")
def digits(mnist: Dataset) -> Dataset:
    """A few hundred real digits."""
    return Dataset(*(Part(part.images[:count], part.labels[:count]) for part, count in zip(mnist, (1000, 200))))
