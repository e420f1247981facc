"""Whether a model's confidence matches its accuracy, and which classes it confuses."""

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
TEMPERATURE_DIGITS = 4  # of a temperature, coarser than the search's tolerance of 0.00001


class Bin(NamedTuple):
    images: int  # number in the bin
    confidence: float  # mean probability of the predicted class
    accuracy: float  # fraction predicted correctly


def calibration(logits: Floats, labels: Integers) -> list[Bin]:
    """The images in equal bins of confidence from 0 to 1, without empty bins."""
    # Rounded first, because a confidence like 3/5 lies on the edge of two bins.
    confidence = decimals(np.exp(log_softmax(exact(logits), 1).max(1)), PLACES)
    right = logits.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    chosen = [place == number for number in range(BINS) if (place == number).any()]
    return [Bin(int(c.sum()), round(float(confidence[c].mean()), PLACES), float(right[c].mean())) for c in chosen]


def ece(logits: Floats, labels: Integers) -> float:
    """The expected calibration error: the mean distance of confidence and accuracy, weighted by images per bin."""
    gaps = (b.images * abs(b.confidence - b.accuracy) for b in calibration(logits, labels))
    return math.fsum(gaps) / len(labels)  # sum() of floats gives other digits from Python 3.12 on


def confusion(logits: Floats, labels: Integers) -> NDArray[np.int64]:
    """The confusion matrix: counts [actual, predicted]."""
    classes = logits.shape[1]
    return np.bincount(labels.astype(int) * classes + logits.argmax(1), minlength=classes**2).reshape(classes, classes)


def mean_confusion(runs: Floats, labels: Integers) -> NDArray[np.float64]:
    """The mean confusion matrix [actual, predicted] over the runs of logits [runs, N, classes]."""
    counts: NDArray[np.float64] = np.mean([confusion(run, labels) for run in runs], 0)
    return counts


def joint_calibration(runs: Floats, labels: Integers) -> list[Bin]:
    """The bins of all answers in logits [runs, N, classes] together."""
    return calibration(np.concatenate(runs), np.tile(labels, len(runs)))


def temperature(logits: Floats, labels: Integers) -> float:
    """The temperature with the lowest loss on these images; above 1, the model was overconfident (Guo et al., 2017)."""
    logits = exact(logits)
    found = minimize_scalar(lambda log: nll(logits / np.exp(log), labels), bounds=(-3, 3), method="bounded")
    return significant(float(np.exp(found.x)), TEMPERATURE_DIGITS)


MEASURES = {"accuracy": accuracy, "nll": nll, "ece": ece}
