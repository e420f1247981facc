"""BentoML's usual API: arrays as JSON in and out; one thread per core, as its documentation says."""

import os

import bentoml
import numpy as np

from digitline.serving.runtime import Floats


@bentoml.service(name="default", threads=os.cpu_count() or 1)
class Default:
    def __init__(self) -> None:
        from benchmarks.contenders.shared import model

        self.model = model

    @bentoml.api
    def predict(self, images: np.ndarray) -> np.ndarray:
        found: Floats = self.model(images.astype(np.float32))
        return found
