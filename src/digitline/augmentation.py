"""Random variations of training images, drawn anew for every image and epoch."""

import math

import torch
from pydantic import NonNegativeFloat
from torch import Generator, Tensor
from torch.nn import functional

KNOTS = 6  # a side, of the displacement's grid: one every five pixels or so


def warp(
    images: Tensor,
    generator: Generator,
    *,
    rotation: NonNegativeFloat = 0.0,
    scale: NonNegativeFloat = 0.0,
    shear: NonNegativeFloat = 0.0,
    shift: NonNegativeFloat = 0.0,
    elastic: NonNegativeFloat = 0.0,
) -> Tensor:
    """Turns images [N, H, W] by ±rotation degrees, resizes by ±scale, slants by ±shear, moves by ±shift pixels.

    `elastic` bends them: the standard deviation, in pixels, of a smooth random displacement (Simard et al., 2003).
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
    return functional.grid_sample(images.float().unsqueeze(1), grid, align_corners=False).squeeze(1)
