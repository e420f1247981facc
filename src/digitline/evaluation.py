"""What a model makes of images: logits, and the measures of them."""

import math
import time
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import nn

from digitline.models import SIDE
from digitline.rounding import decimals, significant

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

CHUNK = 500  # images at once
BINS = 15  # of confidence, after Guo et al. (2017)
PLACES = 6  # decimals of a confidence
HEAT_DIGITS = 4  # of a temperature: the search for it ends within a hundred-thousandth


class Bin(NamedTuple):
    images: int  # how many
    confidence: float  # mean probability of the predicted class
    accuracy: float  # fraction of them that are right


def predict(model: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logits [N, classes] of images [N, 28, 28], in float32; leaves the model in the mode that it was in."""
    training, place = model.training, next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [model(chunk.to(place)).float().cpu() for chunk in torch.split(torch.from_numpy(images), CHUNK)]
        )
    model.train(training)
    return logits.numpy()


def accuracy(logits: Floats, labels: Integers) -> float:
    """The fraction of images whose greatest logit is the label's."""
    return float((logits.argmax(1) == labels).mean())


def nll(logits: Floats, labels: Integers) -> float:
    """The mean negative log-likelihood of the labels, in nats."""
    return float(-log_softmax(exact(logits), 1)[np.arange(len(labels)), labels].mean())


def exact(logits: Floats) -> NDArray[np.float64]:
    """The logits in double precision: in single, a measure shows which instruction set took its exp and log."""
    return np.asarray(logits, np.float64)


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
    return significant(float(np.exp(found.x)), HEAT_DIGITS)


MEASURES = {"accuracy": accuracy, "nll": nll, "ece": ece}


def latency(model: nn.Module, *, repeats: int = 200) -> float:
    """The median time of one image's forward pass on one thread, in milliseconds."""
    image, seconds, threads = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8), [], torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for _ in range(repeats):
            began = time.perf_counter()
            model(image)
            seconds.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return 1000 * median(seconds)
