"""Bounds for the expectations of a data set: what its images have, and a margin."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.1  # of the range that was found, at each end
HIGHEST = {"class_share": 1, "saturated": 1}  # of other features it is 255
FEATURES = ["class_share", "darkest", "brightest", "contrast", "saturated", "mean", "std", "red", "green", "blue"]


def measured(table: "pd.DataFrame") -> dict[str, Any]:
    """The bounds for a table of expectations.features."""
    bounds: dict[str, Any] = {"images": {split: int((table["split"] == split).sum()) for split in ("train", "test")}}
    bounds |= {name: widened(table[name].to_numpy(), HIGHEST.get(name, 255)) for name in FEATURES if name in table}
    repeated = max(
        float(part["sha256"].duplicated(keep=False).mean()) for _, part in table.groupby("split", sort=False)
    )
    return bounds | ({"duplicates": up(min(1.0, repeated * (1 + MARGIN)))} if repeated else {})


def widened(values: np.ndarray, highest: float) -> list[float]:
    """The lowest and the highest value with a margin, three digits each."""
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * (high - low)
    return [down(max(0.0, low - margin)), min(up(high + margin), highest)]


def up(value: float) -> float:
    """Rounded up to three digits."""
    return -down(-value)


def down(value: float) -> float:
    """Rounded down to three digits; a whole number as one."""
    if not value:
        return 0
    unit = 10.0 ** (2 - math.floor(math.log10(abs(value))))
    found = round(math.floor(round(value * unit, 6)) / unit, 10)
    return int(found) if found == int(found) else found
