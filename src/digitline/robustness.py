"""Test images changed in ways and by degrees: how far a model's accuracy carries."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from digitline.data import Bytes, Part
from digitline.evaluation import accuracy, predict

Change = Callable[[Tensor, float], Tensor]


class Family(NamedTuple):
    unit: str  # of the level
    plain: float  # the level that changes nothing
    levels: tuple[float, ...]
    change: Change  # of images [N, 1, 28, 28], 0-255, by a level


def affine(
    images: Tensor, *, degrees: float = 0, right: int = 0, down: int = 0, size: float = 1, slant: float = 0
) -> Tensor:
    """Turns, moves, resizes or slants all images alike, bilinearly."""
    from digitline.vision import v2  # takes a second, which no other stage should pay

    bilinear = v2.InterpolationMode.BILINEAR
    moved: Tensor = v2.functional.affine(images, degrees, [right, down], size, [slant, 0], interpolation=bilinear)
    return moved


def noise(images: Tensor, deviation: float) -> Tensor:
    """Adds normal noise, the same at every call."""
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return images + 255 * deviation * drawn


def occlude(images: Tensor, side: float) -> Tensor:
    """Blacks out a square in the middle."""
    start, end = (images.shape[-1] - int(side)) // 2, (images.shape[-1] + int(side)) // 2
    hidden = images.clone()
    hidden[..., start:end, start:end] = 0
    return hidden


def blur(images: Tensor, sigma: float) -> Tensor:
    """Spreads each pixel over its neighbours, normally."""
    from digitline.vision import v2

    blurred: Tensor = v2.functional.gaussian_blur(images, 13, sigma)
    return blurred


def thicken(images: Tensor, pixels: float) -> Tensor:
    """Widens strokes by a maximum over neighbours, or thins them by a minimum."""
    side, sign = 1 + 2 * int(abs(pixels)), 1 if pixels >= 0 else -1
    return sign * functional.max_pool2d(sign * images, side, 1, side // 2)


FAMILIES = {
    "shift right": Family("pixels", 0, (-4, -3, -2, -1, 0, 1, 2, 3, 4), lambda x, by: affine(x, right=int(by))),
    "shift down": Family("pixels", 0, (-4, -3, -2, -1, 0, 1, 2, 3, 4), lambda x, by: affine(x, down=int(by))),
    "rotation": Family("degrees", 0, (-60, -45, -30, -15, 0, 15, 30, 45, 60), lambda x, by: affine(x, degrees=by)),
    "scale": Family("factor", 1, (0.5, 0.6, 0.8, 1, 1.2, 1.4), lambda x, by: affine(x, size=by)),
    "shear": Family("degrees", 0, (-45, -30, -15, 0, 15, 30, 45), lambda x, by: affine(x, slant=by)),
    "noise": Family("standard deviation", 0, (0, 0.1, 0.2, 0.4, 0.6, 0.8), noise),
    "blur": Family("sigma in pixels", 0, (0, 0.5, 1, 1.5, 2, 3), blur),
    "occlusion": Family("side in pixels", 0, (0, 4, 6, 8, 10, 12), occlude),
    "contrast": Family("factor", 1, (0.05, 0.1, 0.25, 0.5, 1), lambda x, by: by * x + (1 - by) * 127.5),
    "inversion": Family("share", 0, (0, 1), lambda x, by: (1 - by) * x + by * (255 - x)),
    "thickness": Family("pixels", 0, (-1, 0, 1, 2), thicken),
}


def accuracies(model: nn.Module, part: Part, *, images: PositiveInt) -> list[tuple[str, float, float]]:
    """The accuracy at every level of every family, as (family, level, fraction), on so many images spread evenly."""
    places = np.linspace(0, len(part.labels) - 1, min(images, len(part.labels))).astype(int)
    pixels, labels = torch.from_numpy(part.images[places]).float().unsqueeze(1), part.labels[places]
    return [
        (name, level, accuracy(predict(model, changed(pixels, family, level)), labels))
        for name, family in FAMILIES.items()
        for level in family.levels
    ]


def changed(pixels: Tensor, family: Family, level: float) -> Bytes:
    """The images [N, 1, 28, 28] at one level, as pixels [N, 28, 28] again."""
    images = pixels if level == family.plain else family.change(pixels, level)
    return images.round().clamp(0, 255).byte().squeeze(1).numpy()


def means(runs: Sequence[Sequence[tuple[str, float, float]]]) -> list[tuple[str, float, float]]:
    """The mean over runs of the accuracy at each level, to six digits."""
    return [
        (*levels[0][:2], round(fmean(accuracy for *_, accuracy in levels), 6)) for levels in zip(*runs, strict=True)
    ]
