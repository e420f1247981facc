"""The served model: images in, digits and probabilities out."""

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
    doubtful: bool  # whether the model is more torn than over all but a hundredth of real digits


class Champion:
    """Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Loads model.safetensors and model.json; InputError where they are damaged or do not belong together."""
        self.card = bento.verified(folder)
        self.sha256: str = self.card["sha256"]
        self.tag = bento.tag(folder)
        self.classes: list[str] = self.card["classes"]
        self.doubt_above: float = self.card.get("doubt_above", float("inf"))
        self.model = checkpoint.load(folder / bento.MODEL)
        self.run = runtime.fastest(self.model)
        if bento.verified(folder) != self.card:
            raise InputError(f"{folder} was exchanged while it was read")

    def probabilities(self, images: Images) -> Floats:
        """The probability of each class for each image, [N, classes]."""
        found = self.run(images)
        metrics.count(self.classes, found, self.doubtful(found))
        return found

    def doubtful(self, probabilities: Floats) -> NDArray[np.bool_]:
        """Whether each answer [N, classes] is torn beyond the card's threshold."""
        return uncertainty.entropy(probabilities) > self.doubt_above

    def answers(self, probabilities: Floats) -> list[Answer]:
        """The class, the probabilities and whether there is doubt, of each image's probabilities [N, classes]."""
        places, uncertain = probabilities.argmax(1).tolist(), self.doubtful(probabilities).tolist()
        rows = zip(places, probabilities.tolist(), uncertain, strict=True)
        return [Answer(self.classes[place], row, doubtful) for place, row, doubtful in rows]

    def layers(self, image: NDArray[np.uint8]) -> list[activations.Layer]:
        """The maps of its layers on one image [28, 28]."""
        return activations.layers(self.model, image)

    def evidence(self, image: NDArray[np.uint8], digit: str) -> Floats:
        """Where in an image [28, 28] the evidence for a digit lies, [14, 14]."""
        return activations.evidence(self.model, image, self.classes.index(digit))

    def lineage(self) -> dict[str, Any]:
        """Its card, and what BentoML's store knows of its promotion."""
        try:
            return {**self.card, **bentoml.models.get(self.tag).info.labels}
        except NotFound:
            return {**self.card}


class Study:
    """The best run of every variant, to be asked side by side; none where the folder is not there."""

    def __init__(self, folder: Path) -> None:
        """Loads what study.json names; InputError where it is no such list or a file is no model."""
        path = folder / bento.STUDY
        try:
            names = [entry["variant"] for entry in json.loads(path.read_text())] if path.exists() else []
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path} is not as expected: a list of objects, each with a variant's name") from None
        # Each asked for one drawing at a time: not worth the tenth of a second that its export would delay the start.
        self.models = {name: runtime.in_pytorch(checkpoint.load(folder / f"{name}.safetensors")) for name in names}

    def probabilities(self, images: Images) -> dict[str, Floats]:
        """The probability of each class for each image [N, 28, 28], by variant."""
        return {name: model(images) for name, model in self.models.items()}
