"""Whether a model is right as often as it is sure, and what it takes for what."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from digitline.measure.rounding import decimals, significant
from digitline.model.scores import Floats, Integers, accuracy, exact, nll

BINS = 15  # of confidence, after Guo et al. (2017)
PLACES = 6  # decimals of a confidence
TEMPERATURE_DIGITS = 4  # of a temperature: the search for it ends within a hundred-thousandth


class Bin(NamedTuple):
    images: int  # how many
    confidence: float  # mean probability of the predicted class
    accuracy: float  # fraction of them that are right


def calibration(logits: Floats, labels: Integers) -> list[Bin]:
    """The images binned by confidence, in equal steps from 0 to 1; empty bins left out."""
    # Rounded first: one of 3/5 lies between two bins.
    confidence = decimals(np.exp(log_softmax(exact(logits), 1).max(1)), PLACES)
    right = logits.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    chosen = [place == number for number in range(BINS) if (place == number).any()]
    return [Bin(int(c.sum()), round(float(confidence[c].mean()), PLACES), float(right[c].mean())) for c in chosen]


def ece(logits: Floats, labels: Integers) -> float:
    """The expected calibration error: mean distance of confidence and accuracy over the bins, by their images."""
    gaps = (b.images * abs(b.confidence - b.accuracy) for b in calibration(logits, labels))
    return math.fsum(gaps) / len(labels)  # sum() of floats is another from Python 3.12 on


def confusion(logits: Floats, labels: Integers) -> NDArray[np.int64]:
    """Counts [actual, predicted]."""
    classes = logits.shape[1]
    return np.bincount(labels.astype(int) * classes + logits.argmax(1), minlength=classes**2).reshape(classes, classes)


def mean_confusion(runs: Floats, labels: Integers) -> NDArray[np.float64]:
    """The counts [actual, predicted] of a run of logits [runs, N, classes], on average."""
    counts: NDArray[np.float64] = np.mean([confusion(run, labels) for run in runs], 0)
    return counts


def joint_calibration(runs: Floats, labels: Integers) -> list[Bin]:
    """The bins of all answers of logits [runs, N, classes] together."""
    return calibration(np.concatenate(runs), np.tile(labels, len(runs)))


def temperature(logits: Floats, labels: Integers) -> float:
    """What to divide logits by for the least loss on these images; above 1, they were too sure (Guo et al., 2017)."""
    logits = exact(logits)
    found = minimize_scalar(lambda log: nll(logits / np.exp(log), labels), bounds=(-3, 3), method="bounded")
    return significant(float(np.exp(found.x)), TEMPERATURE_DIGITS)


MEASURES = {"accuracy": accuracy, "nll": nll, "ece": ece}
