"""The served model: takes images, returns digits and probabilities."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import bentoml
import numpy as np
from bentoml.exceptions import NotFound
from numpy.typing import NDArray

from digitline.base.errors import InputError
from digitline.explain import activations
from digitline.measure import uncertainty
from digitline.model import checkpoint
from digitline.registry import bento
from digitline.serving import runtime
from digitline.serving.runtime import Floats, Images
from service import metrics


class Answer(NamedTuple):
    digit: str
    probabilities: list[float]  # of each class
    doubtful: bool  # whether the entropy is higher than for 99% of the validation digits


class Champion:
    """Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Loads model.safetensors and model.json; InputError if they are damaged or do not belong together."""
        self.card = bento.verified(folder)
        self.sha256: str = self.card["sha256"]
        self.tag = bento.tag(folder)
        self.classes: list[str] = self.card["classes"]
        self.doubt_above: float = self.card.get("doubt_above", float("inf"))
        self.model = checkpoint.load(folder / bento.MODEL)
        self.run = runtime.fastest(self.model)
        if bento.verified(folder) != self.card:
            raise InputError(f"{folder} changed while it was read")

    def probabilities(self, images: Images) -> Floats:
        """The probability of each class for each image, [N, classes]."""
        found = self.run(images)
        metrics.count(self.classes, found, self.doubtful(found))
        return found

    def doubtful(self, probabilities: Floats) -> NDArray[np.bool_]:
        """Whether the entropy of each answer [N, classes] exceeds the card's threshold."""
        return uncertainty.entropy(probabilities) > self.doubt_above

    def answers(self, probabilities: Floats) -> list[Answer]:
        """The class, probabilities and doubt of each image, from probabilities [N, classes]."""
        places, uncertain = probabilities.argmax(1).tolist(), self.doubtful(probabilities).tolist()
        rows = zip(places, probabilities.tolist(), uncertain, strict=True)
        return [Answer(self.classes[place], row, doubtful) for place, row, doubtful in rows]

    def layers(self, image: NDArray[np.uint8]) -> list[activations.Layer]:
        """The layers' feature maps of one image [28, 28]."""
        return activations.layers(self.model, image)

    def evidence(self, image: NDArray[np.uint8], digit: str) -> Floats:
        """Where in an image [28, 28] the evidence for a digit lies, [14, 14]."""
        return activations.evidence(self.model, image, self.classes.index(digit))

    def lineage(self) -> dict[str, Any]:
        """The model's card, and what BentoML's store knows about its promotion."""
        try:
            return {**self.card, **bentoml.models.get(self.tag).info.labels}
        except NotFound:
            return {**self.card}


class Study:
    """The best run of every variant, to compare them; empty if the folder is missing."""

    def __init__(self, folder: Path) -> None:
        """Loads the models in study.json; InputError if it is not a list of models or a file is not a model."""
        path = folder / bento.STUDY
        try:
            names = [entry["variant"] for entry in json.loads(path.read_text())] if path.exists() else []
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path} is invalid, expected a list of objects, each with a variant's name") from None
        # Each gets one drawing at a time, so an export, which delays the start by a tenth of a second, is not worth it.
        self.models = {name: runtime.in_pytorch(checkpoint.load(folder / f"{name}.safetensors")) for name in names}

    def probabilities(self, images: Images) -> dict[str, Floats]:
        """The probability of each class for each image [N, 28, 28], by variant."""
        return {name: model(images) for name, model in self.models.items()}
