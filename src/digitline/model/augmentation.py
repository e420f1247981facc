"""Random augmentation of training images, drawn anew for every image and epoch."""

import math

import torch
from pydantic import NonNegativeFloat
from torch import Generator, Tensor
from torch.nn import functional

from digitline.model.recipe import Fraction

KNOTS = 6  # per side of the displacement's grid: about one every five pixels


def warp(
    images: Tensor,
    generator: Generator,
    *,
    rotation: NonNegativeFloat = 0.0,
    scale: NonNegativeFloat = 0.0,
    shear: NonNegativeFloat = 0.0,
    shift: NonNegativeFloat = 0.0,
    elastic: NonNegativeFloat = 0.0,
    erase: Fraction = 0.0,
) -> Tensor:
    """Rotates images [N, H, W] by ±rotation degrees, scales by ±scale, shears by ±shear, shifts by ±shift pixels.

    `elastic` is the standard deviation, in pixels, of a smooth random displacement (Simard et al., 2003).
    `erase` is the share of images in which a grey rectangle covers a part (Zhong et al., 2020).
    """
    count, height, width = images.shape

    def draw(limit: float) -> Tensor:
        return ((torch.rand(count, generator=generator) * 2 - 1) * limit).to(images.device)

    angle, size = draw(math.radians(rotation)), 1 + draw(scale)
    cos, sin, slant = angle.cos() / size, angle.sin() / size, draw(shear)
    right, down = draw(2 * shift / width), draw(2 * shift / height)
    matrix = torch.stack([cos, slant - sin, right, sin, cos, down], 1).view(count, 2, 3)
    grid = functional.affine_grid(matrix, [count, 1, height, width], align_corners=False)
    if elastic:
        knots = torch.randn(count, 2, KNOTS, KNOTS, generator=generator).to(images.device) * 2 * elastic / width
        bent = functional.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
        grid = grid + bent.permute(0, 2, 3, 1)
    warped = functional.grid_sample(images.float().unsqueeze(1), grid, align_corners=False).squeeze(1)
    return cover(warped, erase, generator) if erase else warped


def cover(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Covers a random rectangle, at most half of each side, with a random grey in that share of the images."""
    count, height, width = images.shape

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1).uniform_(low, high, generator=generator).to(images.device)

    down, across = (torch.arange(side, device=images.device) for side in (height, width))
    rows = (down.view(-1, 1) - draw(0, height)).abs() < draw(1, height / 4)
    columns = (across - draw(0, width)).abs() < draw(1, width / 4)
    return torch.where(rows & columns & (draw(0, 1) < share), draw(0, 255), images)
