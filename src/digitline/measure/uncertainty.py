"""Detects images without a digit by the entropy of the model's answer."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

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


def doubted(probabilities: NDArray[np.floating], above: float) -> float:
    """The share of the answers [N, classes] whose entropy exceeds the threshold."""
    return float((entropy(probabilities) > above).mean())


def measures(
    val: NDArray[np.floating], test: NDArray[np.floating], unseen: Mapping[str, NDArray[np.floating]] | None = None
) -> dict[str, Any]:
    """The threshold from the validation answers, and the shares above it of test digits and of images of no class."""
    above = threshold(val)
    by_kind = {kind: doubted(answers, above) for kind, answers in (unseen or {}).items()}
    return {"doubt_above": above, "test_doubted": doubted(test, above), **over_kinds([by_kind])}


def over_kinds(runs: list[dict[str, float]]) -> dict[str, Any]:
    """The shares of images of no class, by kind, as means over runs; and of all kinds alike. Empty without any."""
    by_kind = {kind: significant(fmean(run[kind] for run in runs)) for kind in (runs[0] if runs else [])}
    return {"outliers_doubted": significant(fmean(by_kind.values())), "doubted_by_kind": by_kind} if by_kind else {}
