"""Variants to start with, for images of any shape and any number of them."""

import math
from typing import Any

from digitline.data.entry import Shape

LARGEST = 13  # the side of the last maps of plain; larger ones would give most of the weights to one layer
PASSES = 150_000  # of images through a training, within the limits of epochs
EPOCHS = (8, 60)


def variants(image: Shape, images: int) -> dict[str, dict[str, Any]]:
    """`plain` and `modern` for images of that shape; `modern` needs four pixels. `images` is the number to train on."""
    epochs = min(max(round(PASSES / images), EPOCHS[0]), EPOCHS[1])
    small = images < 2000  # then smaller batches, so that there are enough steps
    filters, kernel = layers(image)
    plain = {"network": "plain", "filters": filters, "kernel": kernel, "activation": "relu", "dropout": 0.5}
    found: dict[str, dict[str, Any]] = {
        "plain": {"model": plain, "epochs": epochs, "batch_size": 32 if small else 128}
        | {"learning_rate": 0.001 if small else 0.003}
    }
    if min(image.height, image.width) >= 4:
        modern = {"network": "modern", "widths": [16, 32, 64, 64], "padded": True, "dropout": 0.1}
        found["modern"] = {
            "model": modern,
            "epochs": epochs,
            "batch_size": 32 if small else 128,
            "optimizer": "SGD",
            "learning_rate": 0.05 if small else 0.2,
            "weight_decay": 0.0005,
            "augmentation": augmentation(image),
        }
    return found


def augmentation(image: Shape) -> dict[str, float]:
    """Small changes that leave most pictures what they are; no mirror, which letters and digits do not bear."""
    return {"rotation": 6, "scale": 0.1, "shift": max(1, math.floor(min(image[:2]) / 16)), "mirror": 0, "erase": 0.1}


def layers(image: Shape) -> tuple[list[int], int]:
    """The filters of plain's layers and their side: as many layers as make the maps small, and no more than fit."""
    kernel = 5 if min(image.height, image.width) >= 12 else 3
    short, long = sorted(image[:2])
    filters: list[int] = []
    while (short - kernel + 1) // 2 >= 1 and (long > LARGEST or not filters):
        short, long = ((side - kernel + 1) // 2 for side in (short, long))
        filters.append(min(20 * 2 ** len(filters), 80))
    return filters, kernel
