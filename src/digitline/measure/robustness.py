"""Robustness: accuracy on test images changed in several ways and degrees."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from digitline.data.dataset import Bytes, Part
from digitline.data.entry import MNIST
from digitline.model.evaluation import predict
from digitline.model.networks import pictures, planes
from digitline.model.scores import accuracy

SIDE = MNIST.height  # of the images for which the levels in pixels are stated

Change = Callable[[Tensor, float], Tensor]


class Family(NamedTuple):
    unit: str  # the unit of the level
    plain: float  # the level that changes nothing
    levels: tuple[float, ...]
    change: Change  # of images [N, C, H, W], 0-255, by a level; pixels are those of an image whose longer side has 28
    corrupt: float | None = None  # the level used as a corruption


def affine(
    images: Tensor, *, degrees: float = 0, right: int = 0, down: int = 0, size: float = 1, slant: float = 0
) -> Tensor:
    """Rotates, shifts, scales or shears all images alike, bilinearly."""
    from digitline.measure.vision import v2  # takes a second to import, which other stages should not pay

    bilinear = v2.InterpolationMode.BILINEAR
    moved: Tensor = v2.functional.affine(images, degrees, [right, down], size, [slant, 0], interpolation=bilinear)
    return moved


def noise(images: Tensor, deviation: float) -> Tensor:
    """Adds Gaussian noise, the same in every call."""
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return images + 255 * deviation * drawn


def occlude(images: Tensor, side: float) -> Tensor:
    """Blacks out a square in the middle."""
    start, end = (images.shape[-1] - int(side)) // 2, (images.shape[-1] + int(side)) // 2
    hidden = images.clone()
    hidden[..., start:end, start:end] = 0
    return hidden


def blur(images: Tensor, sigma: float) -> Tensor:
    """Blurs with a Gaussian."""
    from digitline.measure.vision import v2

    blurred: Tensor = v2.functional.gaussian_blur(images, 13, sigma)
    return blurred


def thicken(images: Tensor, pixels: float) -> Tensor:
    """Widens strokes by a maximum filter, or thins them by a minimum filter."""
    side, sign = 1 + 2 * int(abs(pixels)), 1 if pixels >= 0 else -1
    return sign * functional.max_pool2d(sign * images, side, 1, side // 2)


def speckle(images: Tensor, share: float) -> Tensor:
    """Sets that share of the pixels to black or white."""
    drawn = uniform(images.shape)
    return torch.where(drawn < share / 2, 0.0, torch.where(drawn < share, 255.0, images))


def glass(images: Tensor, reach: float) -> Tensor:
    """Replaces each pixel by one up to `reach` pixels away, as through frosted glass."""
    count, _, _, width = images.shape
    plain = torch.eye(2, 3).expand(count, 2, 3)
    grid = functional.affine_grid(plain, list(images.shape), align_corners=False)
    moved = (uniform(grid.shape) * 2 - 1) * reach * 2 / width
    return functional.grid_sample(images, grid + moved, align_corners=False)


def smear(images: Tensor, length: float) -> Tensor:
    """Motion blur along the diagonal, over that many pixels."""
    size, channels = int(length) | 1, images.shape[1]  # odd, so that the image stays where it is
    kernel = (torch.eye(size) / size).expand(channels, 1, size, size)
    return functional.conv2d(images, kernel, padding=size // 2, groups=channels)


def fog(images: Tensor, density: float) -> Tensor:
    """Adds fog: coarse and fine noise, each octave half as strong as the one before."""
    haze = torch.stack([clouds(images, side) / side for side in (3, 6, 12)]).sum(0)
    return images * (1 - density / 2) + 255 * density * (haze - haze.amin()) / (haze.amax() - haze.amin())


def clouds(images: Tensor, side: int) -> Tensor:
    """Smooth noise of 0-1 with a few bumps per side."""
    drawn = uniform((len(images), 1, side, side))
    return functional.interpolate(drawn, images.shape[-2:], mode="bicubic", align_corners=True).clamp(0, 1)


def spatter(images: Tensor, share: float) -> Tensor:
    """Covers that share of an image with white splashes."""
    blots = clouds(images, 10)
    edge = blots.flatten(1).quantile(1 - share, 1).view(-1, 1, 1, 1)
    return torch.where(blots > edge, 255.0, images)


def stripe(images: Tensor, width: float) -> Tensor:
    """Inverts a vertical band in the middle."""
    start = (images.shape[-1] - int(width)) // 2
    changed = images.clone()
    changed[..., start : start + int(width)] = 255 - changed[..., start : start + int(width)]
    return changed


def strike(images: Tensor, lines: float) -> Tensor:
    """Draws random straight white lines across each image."""
    height, width = images.shape[-2:]
    down, across = (torch.arange(side) - (side - 1) / 2 for side in (height, width))
    thick = max(1.0, max(height, width) / SIDE)
    for drawn in uniform((int(lines), len(images), 2, 1, 1, 1)):
        angle, offset = drawn[:, 0] * torch.pi, (drawn[:, 1] * 2 - 1) * max(height, width) / 4
        distance = (across * angle.cos() + down.view(-1, 1) * angle.sin() - offset).abs()
        images = torch.maximum(images, 255 * (1.25 - distance / thick).clamp(0, 1))
    return images


def outline(images: Tensor, share: float) -> Tensor:
    """Fades from strokes to their edges: the difference of a maximum and a minimum filter."""
    return (1 - share) * images + share * (thicken(images, 1) - thicken(images, -1))


def uniform(shape: Sequence[int]) -> Tensor:
    """Uniform noise of 0-1, the same in every call."""
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0))


FAMILIES = {
    "shift right": Family("pixels", 0, (-4, -3, -2, -1, 0, 1, 2, 3, 4), lambda x, by: affine(x, right=int(by)), 3),
    "shift down": Family("pixels", 0, (-4, -3, -2, -1, 0, 1, 2, 3, 4), lambda x, by: affine(x, down=int(by)), 3),
    "rotation": Family("degrees", 0, (-60, -45, -30, -15, 0, 15, 30, 45, 60), lambda x, by: affine(x, degrees=by), 30),
    "scale": Family("factor", 1, (0.5, 0.6, 0.8, 1, 1.2, 1.4), lambda x, by: affine(x, size=by), 0.6),
    "shear": Family("degrees", 0, (-45, -30, -15, 0, 15, 30, 45), lambda x, by: affine(x, slant=by), 30),
    "noise": Family("standard deviation", 0, (0, 0.1, 0.2, 0.4, 0.6, 0.8), noise, 0.4),
    "speckle": Family("share", 0, (0, 0.05, 0.1, 0.2, 0.3), speckle, 0.2),
    "blur": Family("sigma in pixels", 0, (0, 0.5, 1, 1.5, 2, 3), blur, 1.5),
    "motion": Family("pixels", 1, (1, 3, 5, 7, 9), smear, 7),
    "glass": Family("pixels", 0, (0, 1, 2, 3), glass, 2),
    "brightness": Family("share", 0, (0, 0.2, 0.4, 0.6), lambda x, by: x + 255 * by, 0.4),
    "contrast": Family("factor", 1, (0.05, 0.1, 0.25, 0.5, 1), lambda x, by: by * x + (1 - by) * 127.5, 0.25),
    "fog": Family("density", 0, (0, 0.25, 0.5, 0.75, 1), fog, 0.5),
    "spatter": Family("share", 0, (0, 0.05, 0.1, 0.2), spatter, 0.1),
    "stripe": Family("pixels", 0, (0, 2, 4, 8), stripe, 4),
    "lines": Family("count", 0, (0, 1, 2, 3), strike, 1),
    "outline": Family("share", 0, (0, 0.5, 1), outline, 1),
    "occlusion": Family("side in pixels", 0, (0, 4, 6, 8, 10, 12), occlude),
    "inversion": Family("share", 0, (0, 1), lambda x, by: (1 - by) * x + by * (255 - x)),
    "thickness": Family("pixels", 0, (-1, 0, 1, 2), thicken),
}


def changes(part: Part, *, images: PositiveInt) -> list[tuple[str, float, Part]]:
    """As many evenly spread images, changed to every level of every family: (family, level, images and labels)."""
    places = np.linspace(0, len(part.labels) - 1, min(images, len(part.labels))).astype(int)
    pixels, labels = planes(torch.from_numpy(part.images[places]).float()), part.labels[places]
    return [
        (name, level, Part(changed(pixels, family, level), labels))
        for name, family in FAMILIES.items()
        for level in family.levels
    ]


def accuracies(model: nn.Module, changes: Sequence[tuple[str, float, Part]]) -> list[tuple[str, float, float]]:
    """The accuracy on changed images, as (family, level, fraction)."""
    return [(name, level, accuracy(predict(model, part.images), part.labels)) for name, level, part in changes]


def corrupted(lines: Sequence[tuple[str, float, float]]) -> float:
    """The mean accuracy over the corruptions: each family that has one, at that level."""
    return fmean(accuracy for name, level, accuracy in lines if level == FAMILIES[name].corrupt)


def changed(pixels: Tensor, family: Family, level: float) -> Bytes:
    """The images [N, C, H, W] changed to one level, as bytes [N, H, W] or [N, H, W, 3]."""
    by = level * max(pixels.shape[-2:]) / SIDE if "pixels" in family.unit else level
    images = pixels if level == family.plain else family.change(pixels, by)
    return pictures(images.round().clamp(0, 255).byte()).contiguous().numpy()


def means(runs: Sequence[Sequence[tuple[str, float, float]]]) -> list[tuple[str, float, float]]:
    """The mean accuracy over runs at each level, to six digits."""
    return [
        (*levels[0][:2], round(fmean(accuracy for *_, accuracy in levels), 6)) for levels in zip(*runs, strict=True)
    ]
