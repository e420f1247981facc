"""How sure a figure is."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t


def summary(values: Sequence[float]) -> dict[str, Any]:
    """The mean over seeds, the standard deviation between them and Student's 95% interval of the mean; None for one."""
    mean, count = fmean(values), len(values)
    if count < 2:
        return {"mean": mean, "sd": None, "ci95": None}
    sd = stdev(values)
    half = float(t.ppf(0.975, count - 1)) * sd / math.sqrt(count)
    return {"mean": mean, "sd": sd, "ci95": [mean - half, mean + half]}
