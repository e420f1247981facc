"""Accuracy and NLL of logits."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def accuracy(logits: Floats, labels: Integers) -> float:
    """The fraction of images whose largest logit is the label's."""
    return float((logits.argmax(1) == labels).mean())


def nll(logits: Floats, labels: Integers) -> float:
    """The mean negative log-likelihood of the labels, in nats."""
    return float(losses(logits, labels).mean())


def losses(logits: Floats, labels: Integers) -> NDArray[np.float64]:
    """The negative log-likelihood of each label, in nats."""
    return np.asarray(-log_softmax(exact(logits), 1)[np.arange(len(labels)), labels])


def exact(logits: Floats) -> NDArray[np.float64]:
    """The logits in double precision; in single precision, results would depend on the instruction set."""
    return np.asarray(logits, np.float64)
