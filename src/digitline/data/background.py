"""How much ink each pixel has, whatever the light on the paper: what a picture lacks to its own background."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

DARKEST = 0.2  # of the brightest background; where it is darker, contrasts count as if it had this brightness


class Plane(NamedTuple):
    """A picture's colours as one plane on which ink is dark."""

    values: Bytes  # [H, W]
    dark: bool  # whether the ink is dark in the picture too


def contrast(plane: Plane, window: int) -> Floats:
    """The ink: [H, W], 0 on the paper, about 1 for black on white or white on black.

    Strokes must be narrower than the window, in pixels, and shadows wider.
    """
    background = closed(plane.values, window)
    lacking = background.astype(np.float32) - plane.values
    lacking -= np.median(lacking[::2, ::2])  # the closing follows the brightest grain
    return (lacking / scale(plane, background)).clip(0, 1)


def steps(plane: Plane, window: int) -> Floats:
    """The largest difference within each pixel's window, on the scale of contrast: [H, W]."""
    high, low = spread(plane.values, window, np.maximum, 0), spread(plane.values, window, np.minimum, 255)
    return (high.astype(np.float32) - low) / scale(plane, high)


def scale(plane: Plane, background: Bytes) -> Floats:
    """The brightness that counts as 1: the background's, where ink is dark and therefore darker in a shadow."""
    bright = np.quantile(background[::8, ::8], 0.95)
    white = np.full((1, 1), 255, np.float32)
    return np.maximum(background, max(DARKEST * bright, 1)).astype(np.float32) if plane.dark else white


def darkened(picture: Image.Image) -> Plane:
    """The plane of an RGB picture; the channels' signs are those that make the ink dark.

    By the skewness about the local mean, near what is narrow: ink covers less of the paper than it leaves.
    """
    pixels = np.asarray(picture, np.float32)
    factor = max(1, min(picture.size) // 130)
    small = np.asarray(picture.reduce(factor))
    window = max(3, min(small.shape[:2]) // 5)
    narrow = np.zeros(small.shape[:2], np.uint8)
    for channel in np.moveaxis(small, -1, 0):
        dark, light = (closed(each, window) - each for each in (channel, 255 - channel))
        either = np.maximum(dark, light)
        narrow |= either > max(12, either.max() / 4)
    near = spread(narrow, 5, np.maximum, 0) > 0
    mean = averaged(small.astype(np.float32), window)
    off = ((small - mean) / (mean + 25))[near].clip(-1, 1)
    skew = (off**3).mean(0) if len(off) else np.zeros(3)
    weights = np.sign(skew) * np.abs(skew) ** (2 / 3)
    strongest = np.abs(weights).max()
    if not strongest:
        return Plane(pixels.mean(2).astype(np.uint8), dark=True)
    weights[np.abs(weights) < 0.05 * strongest] = 0
    weights /= -np.abs(weights).sum()  # dark ink has negative skewness, hence positive weights
    plane = pixels @ weights.astype(np.float32)
    is_dark = bool((weights >= 0).all())
    return Plane(np.rint(plane if is_dark else plane - 255 * weights.clip(None, 0).sum()).astype(np.uint8), is_dark)


def inverted(plane: Plane) -> Plane:
    """The same plane for ink of the other sign."""
    return Plane(255 - plane.values, not plane.dark)


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


def closed(plane: Bytes, window: int) -> Bytes:
    """The plane without what is darker than its surroundings and narrower than the square window (grey closing)."""
    filled = spread(spread(plane, window, np.maximum, 0), window, np.minimum, 255)
    return np.maximum(filled, plane)


def spread(plane: Bytes, window: int, most: np.ufunc, outside: int) -> Bytes:
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
