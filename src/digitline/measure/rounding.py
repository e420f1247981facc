"""Numbers rounded to what they mean: their last digits are those of the BLAS, exp and log that computed them."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

DIGITS = 6  # significant ones, of a figure in a report
DRAWN = 4  # of a number in a chart: finer than a chart shows, and too coarse for noise to reach


def significant(value: float, digits: int = DIGITS) -> float:
    """The value to so many significant digits, and no negative zero."""
    return float(f"{value:.{digits}g}") + 0.0


def each(values: Floats, digits: int = DRAWN) -> NDArray[np.float64]:
    """Every value to so many significant digits of its own."""
    rounded = [significant(value, digits) for value in np.asarray(values, np.float64).ravel().tolist()]
    return np.array(rounded, np.float64).reshape(np.shape(values))


def decimals(values: Floats, count: int = DRAWN) -> NDArray[np.float64]:
    """Every value to so many decimals: what is zero but for noise is zero."""
    return np.asarray(values, np.float64).round(count) + 0.0  # no negative zero


def together(values: Floats, digits: int = DRAWN) -> NDArray[np.float64]:
    """All values to one decimal place, so many digits below that of the largest: points of a plane, whose zero is far.

    A point's distance from zero says nothing of how well it is known.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return decimals(values, digits - 1 - math.floor(math.log10(largest)) if largest else 0)
