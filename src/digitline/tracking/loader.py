"""Loads a logged model for MLflow; imports only what the model's requirements name."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from digitline.data.dataset import Bytes
from digitline.model import checkpoint
from digitline.model.evaluation import predict


class Classifier(NamedTuple):
    """A logged model, in the form that MLflow loads."""

    model: nn.Module

    def predict(self, images: Bytes) -> NDArray[np.float32]:
        """The class probabilities [N, classes] of raw pixels [N, 28, 28]."""
        probabilities: NDArray[np.float32] = softmax(predict(self.model, images), axis=1)
        return probabilities


def load(path: Path) -> Classifier:
    """Loads a model's file."""
    return Classifier(checkpoint.load(path))


def _load_pyfunc(path: str) -> Classifier:
    """Loads a logged model: MLflow calls it by this name."""
    return load(Path(path))
