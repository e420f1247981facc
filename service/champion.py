"""The served model: takes images, returns classes and probabilities."""

import hashlib
import json
from functools import cached_property
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
from digitline.measure import uncertainty
from digitline.registry import bento
from digitline.serving import runtime
from digitline.serving.inspection import Inspection, Layer
from digitline.serving.runtime import Exported, Floats, Images
from service import form, metrics


class Answer(NamedTuple):
    label: str
    probabilities: list[float]  # of each class
    doubtful: bool  # whether the entropy is higher than for 99% of the validation images, or the picture unclear


class Champion:
    """Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Loads the model and its card; InputError if they are damaged or do not belong together."""
        self.card = bento.servable(folder)
        self.sha256: str = self.card["sha256"]
        self.tag = bento.tag(folder)
        self.classes: list[str] = self.card["classes"]
        self.doubt_above: float = self.card.get("doubt_above", float("inf"))
        self.dataset: str | None = self.card.get("dataset")
        self.content = (folder / bento.EXPORTED).read_bytes()
        exported = Exported(self.content)
        self.shape = exported.shape
        self.form = form.of(self.shape)
        self.preparation: Preparation = self.card.get("preparation", "mnist")
        fitting = get_args(Preparation) if self.shape == MNIST else ("letterbox", "crop")
        if self.preparation not in fitting:
            where = f"preparation in {folder / bento.CARD} is {self.preparation}"
            raise InputError(f"{where}, expected {' or '.join(fitting)} for a model of {self.form.title} images")
        self.run = runtime.fastest(exported, folder / bento.MODEL)
        if bento.verified(folder) != self.card:
            raise InputError(f"{folder} changed while it was read")

    def probabilities(self, images: Images, *, sure: bool = True) -> Floats:
        """The probability of each class for each image, [N, classes]; all count as doubted that are not sure."""
        found = self.tried(images)
        self.count(found, self.doubtful(found) | (not sure))
        return found

    def tried(self, images: Images) -> Floats:
        """The same for candidates of digits, most of which are none: they are not counted as answers."""
        metrics.BATCHES.observe(len(images))
        return self.run(images)

    def count(self, probabilities: Floats, doubtful: NDArray[np.bool_]) -> None:
        """Counts answers [N, classes] in the metrics."""
        metrics.count(self.classes, probabilities, doubtful)

    def doubtful(self, probabilities: Floats) -> NDArray[np.bool_]:
        """Whether the entropy of each answer [N, classes] exceeds the card's threshold."""
        return uncertainty.entropy(probabilities) > self.doubt_above

    def answers(self, probabilities: Floats) -> list[Answer]:
        """The class, probabilities and doubt of each image, from probabilities [N, classes]."""
        places, uncertain = probabilities.argmax(1).tolist(), self.doubtful(probabilities).tolist()
        rows = zip(places, probabilities.tolist(), uncertain, strict=True)
        return [Answer(self.classes[place], row, doubtful) for place, row, doubtful in rows]

    def prepared(self, data: bytes) -> prepare.Seen:
        """A picture's file as the model's image, and whether that is sure; InputError if nothing is drawn in it."""
        seen = prepare.seen(data, self.shape, self.preparation)
        if self.preparation == "mnist" and not seen.image.any():
            raise InputError("the picture is blank, expected ink darker or lighter than its background")
        return seen

    @cached_property
    def inside(self) -> Inspection:
        """The model with its layers as outputs, made when first asked for."""
        return Inspection(self.content)

    def layers(self, image: Bytes) -> list[Layer]:
        """The layers' feature maps of one image."""
        return self.inside.layers(image)

    def evidence(self, image: Bytes, label: str) -> Floats:
        """How much each part of an image adds to that class's log-odds."""
        return self.inside.evidence(image, self.classes.index(label))

    def lineage(self) -> dict[str, Any]:
        """The model's card, and what BentoML's store knows about its promotion."""
        try:
            return {**self.card, **bentoml.models.get(self.tag).info.labels}
        except NotFound:
            return {**self.card}


class Study:
    """The best run of every variant, to compare them with the champion; empty if there are none of its data set."""

    def __init__(self, folder: Path, champion: Champion) -> None:
        """Reads study.json; InputError if it is not a list of models or a file is not the one that it names."""
        path = folder / bento.STUDY
        try:
            listed = json.loads(path.read_text()) if path.exists() else []
            digests = {entry["variant"]: entry["onnx_sha256"] for entry in listed}
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{path} is invalid, expected a list of objects, each with a variant and onnx_sha256; run dvc repro"
            ) from None
        reasons = (unlike(entry, champion) for entry in listed)
        self.apart = next(filter(None, reasons), None)  # why it cannot be compared
        self.files = {} if self.apart else {name: exported(folder, name, sha256) for name, sha256 in digests.items()}

    @property
    def names(self) -> list[str]:
        """The variants that are compared."""
        return list(self.files)

    @cached_property
    def models(self) -> dict[str, Exported]:
        """The models, loaded when first asked for."""
        return {name: Exported(content) for name, content in self.files.items()}

    def probabilities(self, images: Images) -> dict[str, Floats]:
        """The probability of each class for each image, by variant."""
        return {name: model(images) for name, model in self.models.items()}


def exported(folder: Path, name: str, sha256: str) -> bytes:
    """A variant's file; InputError if it is not the one that study.json names."""
    path = folder / f"{name}.onnx"
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} is not the model that {bento.STUDY} names; run dvc checkout --force {folder}")
    return content


def unlike(entry: dict[str, Any], champion: Champion) -> str | None:
    """Why a model of the study cannot be compared with the champion; None if it can."""
    ours, theirs = champion.dataset, entry.get("dataset")
    if ours and theirs and ours != theirs:
        return f"the study is of the data set {theirs}, the champion of {ours}"
    taken = form.of(Shape(**entry.get("image", {}))).title
    if taken != champion.form.title:
        return f"the study's models take {taken} images, the champion {champion.form.title}"
    if entry.get("classes", champion.classes) != champion.classes:
        return "the study's models have other classes than the champion"
    return None
