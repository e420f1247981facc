"""Detects images without a digit by the entropy of the model's answer."""

import numpy as np
from numpy.typing import NDArray

from digitline.measure.rounding import significant

ALARMS = 0.01  # the share of validation digits that may be marked as doubtful


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """The entropy of each answer [N, classes], in nats; 0 if one class has probability 1."""
    probabilities = np.asarray(probabilities, np.float64)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    found: NDArray[np.floating] = -(probabilities * logarithms).sum(1)
    return found


def threshold(probabilities: NDArray[np.floating]) -> float:
    """The entropy that this share of the answers [N, classes] exceeds."""
    return significant(float(np.quantile(entropy(probabilities), 1 - ALARMS)))


def measures(val: NDArray[np.floating], test: NDArray[np.floating]) -> dict[str, float]:
    """The threshold from the validation answers, and the share of test digits above it."""
    above = threshold(val)
    return {"doubt_above": above, "test_doubted": float((entropy(test) > above).mean())}
