"""Random augmentation of training images, drawn anew for every image and epoch."""

import math

import torch
from pydantic import NonNegativeFloat
from torch import Generator, Tensor
from torch.nn import functional

from digitline.model.networks import pictures, planes
from digitline.model.recipe import Fraction, Probability

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
    mirror: Fraction = 0.0,
    crop: Probability = 0.0,
    colour: Probability = 0.0,
) -> Tensor:
    """Rotates images [N, H, W] or [N, H, W, 3] by ±rotation degrees, scales by ±scale, shears, shifts by ±shift pixels.

    `elastic` is the standard deviation, in pixels, of a smooth random displacement (Simard et al., 2003).
    `erase` is the share of images in which a grey rectangle covers a part (Zhong et al., 2020).
    `mirror` is the share that is flipped left to right, `crop` the largest fraction of each side that is cut away
    before the rest is enlarged, `colour` the largest change of brightness, contrast and saturation (Howard, 2013).
    """
    count, height, width = images.shape[:3]

    def draw(limit: float) -> Tensor:
        return ((torch.rand(count, generator=generator) * 2 - 1) * limit).to(images.device)

    angle, size = draw(math.radians(rotation)), 1 + draw(scale)
    cos, sin, slant = angle.cos() / size, angle.sin() / size, draw(shear)
    right, down = draw(2 * shift / width), draw(2 * shift / height)
    matrix = torch.stack([cos, slant - sin, right, sin, cos, down], 1).view(count, 2, 3)
    if crop:
        matrix = window(matrix, draw(0.5).abs() * 2 * crop, draw(1), draw(1))
    if mirror:
        matrix[:, :, 0] *= torch.where(draw(1) < 2 * mirror - 1, -1.0, 1.0).view(-1, 1)
    grid = functional.affine_grid(matrix, [count, 1, height, width], align_corners=False)
    if elastic:
        knots = torch.randn(count, 2, KNOTS, KNOTS, generator=generator).to(images.device) * 2 * elastic / width
        bent = functional.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
        grid = grid + bent.permute(0, 2, 3, 1)
    warped = pictures(functional.grid_sample(planes(images.float()), grid, align_corners=False))
    if colour:
        warped = tint(warped, 1 + draw(colour), 1 + draw(colour), 1 + draw(colour))
    return cover(warped, erase, generator) if erase else warped


def window(matrix: Tensor, cut: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """The matrices [N, 2, 3] after cutting away that fraction of each side, with the window at a place from -1 to 1."""
    place = torch.stack([right * cut, down * cut], 1).unsqueeze(2)
    kept = (1 - cut).view(-1, 1, 1)
    return torch.cat([matrix[:, :, :2] * kept, matrix[:, :, :2] @ place + matrix[:, :, 2:]], 2)


def tint(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images [N, H, W, 3], 0-255, each with its brightness, contrast and saturation multiplied."""
    each = (-1, 1, 1, 1)
    bright = images * brightness.view(each)
    mean = bright.mean((1, 2, 3), keepdim=True)
    strong = mean + (bright - mean) * contrast.view(each)
    grey = strong.mean(3, keepdim=True)
    return (grey + (strong - grey) * saturation.view(each)).clamp(0, 255)


def cover(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Covers a random rectangle, at most half of each side, with a random grey in that share of the images."""
    count, height, width = images.shape[:3]

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1).uniform_(low, high, generator=generator).to(images.device)

    down, across = (torch.arange(side, device=images.device) for side in (height, width))
    rows = (down.view(-1, 1) - draw(0, height)).abs() < draw(1, height / 4)
    columns = (across - draw(0, width)).abs() < draw(1, width / 4)
    covered, grey = rows & columns & (draw(0, 1) < share), draw(0, 255)
    if images.ndim == 4:
        covered, grey = covered.unsqueeze(3), grey.unsqueeze(3)
    return torch.where(covered, grey, images)
