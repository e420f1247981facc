"""The champion as digitline runs it, for all contenders."""

import os
from pathlib import Path

import numpy as np

from digitline.model import checkpoint
from digitline.serving import runtime

model = runtime.fastest(checkpoint.load(Path(os.environ["CHAMPION"]) / "model.safetensors"))


def answer(images: list[list[list[float]]]) -> list[list[float]]:
    """The probabilities of images from JSON."""
    found: list[list[float]] = model(np.array(images, np.float32)).tolist()
    return found
