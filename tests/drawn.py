"""Pictures that tests draw, as folders."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (20, 16)  # width, height


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A colourful picture that looks like no other seed's."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)


def folder(root: Path, **classes: int) -> Path:
    """A folder with that many pictures of each class; `train__a` is the class a in train."""
    seed = 0
    for name, count in classes.items():
        place = root / name.replace("__", "/")
        place.mkdir(parents=True)
        for number in range(count):
            seed += 1
            picture(seed).save(place / f"{number:02}.png")
    return root
