"""Whether an image shows a digit at all, told by how torn a model is over it."""

import numpy as np
from numpy.typing import NDArray

from digitline.measure.rounding import significant

ALARMS = 0.01  # the share of real digits that may be doubted


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """How torn each answer [N, classes] is, in nats: 0 where one class has it all."""
    probabilities = np.asarray(probabilities, np.float64)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    found: NDArray[np.floating] = -(probabilities * logarithms).sum(1)
    return found


def threshold(probabilities: NDArray[np.floating]) -> float:
    """The entropy that just that share of these answers [N, classes] exceeds."""
    return significant(float(np.quantile(entropy(probabilities), 1 - ALARMS)))


def measures(val: NDArray[np.floating], test: NDArray[np.floating]) -> dict[str, float]:
    """The threshold from the answers on validation, and the share of test's digits that it doubts."""
    above = threshold(val)
    return {"doubt_above": above, "test_doubted": float((entropy(test) > above).mean())}
