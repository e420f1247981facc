"""The served model: takes images, returns classes and probabilities."""

import json
from pathlib import Path
from typing import Any, NamedTuple, get_args

import bentoml
import numpy as np
from bentoml.exceptions import NotFound
from numpy.typing import NDArray

from digitline.base.errors import InputError
from digitline.data import prepare
from digitline.data.dataset import Bytes
from digitline.data.entry import MNIST, Preparation, Shape
from digitline.explain import activations
from digitline.measure import uncertainty
from digitline.model import checkpoint, networks
from digitline.registry import bento
from digitline.serving import runtime
from digitline.serving.runtime import Floats, Images
from service import form, metrics


class Answer(NamedTuple):
    label: str
    probabilities: list[float]  # of each class
    doubtful: bool  # whether the entropy is higher than for 99% of the validation images


class Champion:
    """Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Loads model.safetensors and model.json; InputError if they are damaged or do not belong together."""
        self.card = bento.verified(folder)
        self.sha256: str = self.card["sha256"]
        self.tag = bento.tag(folder)
        self.classes: list[str] = self.card["classes"]
        self.doubt_above: float = self.card.get("doubt_above", float("inf"))
        self.dataset: str | None = self.card.get("dataset")
        self.model = checkpoint.load(folder / bento.MODEL)
        self.shape = networks.shape(self.model)
        self.form = form.of(self.shape)
        self.preparation: Preparation = self.card.get("preparation", "mnist")
        fitting = get_args(Preparation) if self.shape == MNIST else ("letterbox", "crop")
        if self.preparation not in fitting:
            where = f"preparation in {folder / bento.CARD} is {self.preparation}"
            raise InputError(f"{where}, expected {' or '.join(fitting)} for a model of {self.form.title} images")
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

    def prepared(self, data: bytes) -> Bytes:
        """A picture's file as the model's image; InputError if nothing is drawn in it."""
        image = prepare.image(data, self.shape, self.preparation)
        if self.preparation == "mnist" and not image.any():
            raise InputError("the picture is blank, expected ink darker or lighter than its background")
        return image

    def layers(self, image: Bytes) -> list[activations.Layer]:
        """The layers' feature maps of one image."""
        return activations.layers(self.model, image)

    def evidence(self, image: Bytes, label: str) -> Floats:
        """How much each part of an image adds to that class's log-odds."""
        return activations.evidence(self.model, image, self.classes.index(label))

    def lineage(self) -> dict[str, Any]:
        """The model's card, and what BentoML's store knows about its promotion."""
        try:
            return {**self.card, **bentoml.models.get(self.tag).info.labels}
        except NotFound:
            return {**self.card}


class Study:
    """The best run of every variant, to compare them with the champion; empty if there are none of its data set."""

    def __init__(self, folder: Path, champion: Champion) -> None:
        """Loads the models in study.json; InputError if it is not a list of models or a file is not a model."""
        path = folder / bento.STUDY
        try:
            listed = json.loads(path.read_text()) if path.exists() else []
            files = {entry["variant"]: folder / f"{entry['variant']}.safetensors" for entry in listed}
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path} is invalid, expected a list of objects, each with a variant's name") from None
        reasons = (unlike(entry, checkpoint.described(files[entry["variant"]]), champion) for entry in listed)
        self.apart = next(filter(None, reasons), None)  # why it cannot be compared
        # Each gets one drawing at a time, so an export, which delays the start by a tenth of a second, is not worth it.
        used = {} if self.apart else files
        self.models = {name: runtime.in_pytorch(checkpoint.load(file)) for name, file in used.items()}

    def probabilities(self, images: Images) -> dict[str, Floats]:
        """The probability of each class for each image, by variant."""
        return {name: model(images) for name, model in self.models.items()}


def unlike(entry: dict[str, Any], network: dict[str, Any], champion: Champion) -> str | None:
    """Why a model of the study cannot be compared with the champion; None if it can."""
    ours, theirs = champion.dataset, entry.get("dataset")
    if ours and theirs and ours != theirs:
        return f"the study is of the data set {theirs}, the champion of {ours}"
    taken, classes = form.of(Shape(**network.get("image", {}))).title, network["classes"]
    if taken != champion.form.title:
        return f"the study's models take {taken} images, the champion {champion.form.title}"
    if classes != len(champion.classes) or entry.get("classes", champion.classes) != champion.classes:
        return "the study's models have other classes than the champion"
    return None
