"""Random variations of training images, drawn anew for every image and epoch."""

import math

import torch
from pydantic import NonNegativeFloat
from torch import Generator, Tensor
from torch.nn import functional


def affine(
    images: Tensor,
    generator: Generator,
    *,
    rotation: NonNegativeFloat = 0.0,
    scale: NonNegativeFloat = 0.0,
    shear: NonNegativeFloat = 0.0,
    shift: NonNegativeFloat = 0.0,
) -> Tensor:
    """Turns images [N, H, W] by ±rotation degrees, resizes by ±scale, slants by ±shear, moves by ±shift pixels."""
    count, height, width = images.shape

    def draw(limit: float) -> Tensor:
        return ((torch.rand(count, generator=generator) * 2 - 1) * limit).to(images.device)

    angle, size = draw(math.radians(rotation)), 1 + draw(scale)
    cos, sin, slant = angle.cos() / size, angle.sin() / size, draw(shear)
    right, down = draw(2 * shift / width), draw(2 * shift / height)
    matrix = torch.stack([cos, slant - sin, right, sin, cos, down], 1).view(count, 2, 3)
    grid = functional.affine_grid(matrix, [count, 1, height, width], align_corners=False)
    return functional.grid_sample(images.float().unsqueeze(1), grid, align_corners=False).squeeze(1)
