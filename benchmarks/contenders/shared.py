"""The champion as digitline runs it, for all contenders."""

import os
from pathlib import Path

import numpy as np

from digitline.registry import bento
from digitline.serving import runtime

folder = Path(os.environ["CHAMPION"])
model = runtime.fastest(runtime.Exported((folder / bento.EXPORTED).read_bytes()), folder / bento.MODEL)


def answer(images: list[list[list[float]]]) -> list[list[float]]:
    """The probabilities of images from JSON."""
    found: list[list[float]] = model(np.array(images, np.float32)).tolist()
    return found
