"""How much ink each pixel has, whatever the light on the paper: what a picture lacks to its own background."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

DARKEST = 0.3  # of the brightest background; where it is darker, contrasts count as if it had this brightness


def contrast(picture: Image.Image, window: int) -> Floats:
    """The ink of an RGB picture: [H, W], 0 on the paper, about 1 for black on white or white on black.

    Strokes must be narrower than the window, in pixels, and shadows wider.
    """
    plane, dark = darkened(picture)
    background = closed(plane, window)
    lacking = background.astype(np.float32) - plane
    lacking -= np.median(lacking)  # the closing follows the brightest grain
    if not dark:
        return (lacking / 255).clip(0, 1)
    bright = np.quantile(background[::8, ::8], 0.95)
    return (lacking / np.maximum(background, max(DARKEST * bright, 1))).clip(0, 1)


def darkened(picture: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """A picture's colours as one plane [H, W] on which ink is dark, and whether it is dark in the picture too.

    Each channel's sign is that of the skewness about the local mean: ink covers less of the paper than it leaves.
    """
    pixels = np.asarray(picture, np.float32)
    small = np.asarray(picture.reduce(max(1, min(picture.size) // 130)), np.float32)
    off = small - averaged(small, max(3, min(small.shape[:2]) // 6))
    skew = (off.clip(-90, 90) ** 3).mean((0, 1))
    weights = np.sign(skew) * np.abs(skew) ** (2 / 3)
    strongest = np.abs(weights).max()
    if not strongest:
        return pixels[..., 0].astype(np.uint8), True
    weights[np.abs(weights) < 0.05 * strongest] = 0
    weights /= -np.abs(weights).sum()  # dark ink has negative skewness, hence positive weights
    plane = pixels @ weights.astype(np.float32)
    dark = bool((weights >= 0).all())
    return np.rint(plane if dark else plane - 255 * weights.clip(None, 0).sum()).astype(np.uint8), dark


def averaged(pixels: Floats, size: int) -> Floats:
    """The mean of each pixel's square of about that size: [H, W, C]."""
    half = size // 2
    for axis in (0, 1):
        padding = [(half + 1, half) if axis == each else (0, 0) for each in range(pixels.ndim)]
        total = np.cumsum(np.pad(pixels, padding, "edge"), axis, dtype=np.float64)
        length = 2 * half + 1
        ends, starts = (np.take(total, range(at, at + pixels.shape[axis]), axis) for at in (length, 0))
        pixels = ((ends - starts) / length).astype(np.float32)
    return pixels


def closed(plane: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """The plane without what is darker than its surroundings and narrower than the square window (grey closing)."""
    filled = spread(spread(plane, window, np.maximum, 0), window, np.minimum, 255)
    return np.maximum(filled, plane)


def spread(plane: NDArray[np.uint8], window: int, most: np.ufunc, outside: int) -> NDArray[np.uint8]:
    """The maximum or minimum over each pixel's window, by doubling."""
    for axis in (0, 1):
        padding = [(window // 2, window - 1 - window // 2) if axis == each else (0, 0) for each in (0, 1)]
        plane = np.moveaxis(np.pad(plane, padding, constant_values=outside), axis, 0)
        length = 1
        while length < window:
            step = min(length, window - length)
            plane = most(plane[:-step], plane[step:])
            length += step
        plane = np.moveaxis(plane, 0, axis)
    return plane
