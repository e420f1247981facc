"""Rounds numbers to meaningful digits: the last ones depend on the BLAS, exp and log that computed them."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

DIGITS = 6  # significant digits of a number in a report
DRAWN = 4  # of a number in a chart: finer than a chart shows, coarser than the noise


def significant(value: float, digits: int = DIGITS) -> float:
    """The value rounded to that many significant digits, without negative zero."""
    return float(f"{value:.{digits}g}") + 0.0


def each(values: Floats, digits: int = DRAWN) -> NDArray[np.float64]:
    """Each value rounded to that many significant digits of its own."""
    rounded = [significant(value, digits) for value in np.asarray(values, np.float64).ravel().tolist()]
    return np.array(rounded, np.float64).reshape(np.shape(values))


def decimals(values: Floats, count: int = DRAWN) -> NDArray[np.float64]:
    """Each value rounded to that many decimals, so that zero with noise becomes zero."""
    return np.asarray(values, np.float64).round(count) + 0.0  # no negative zero


def together(values: Floats, digits: int = DRAWN) -> NDArray[np.float64]:
    """All values rounded to the same decimal place, that of the largest value's last digit; for points of a plane.

    A point's precision does not depend on its distance from zero.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return decimals(values, digits - 1 - math.floor(math.log10(largest)) if largest else 0)
