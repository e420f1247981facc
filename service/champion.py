"""The served model: images in, digits and probabilities out."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from digitline import checkpoint, doubt, insight, packing
from service import metrics

THREADS = min(4, os.cpu_count() or 1)  # requests at work at once; the largest picture takes each half a gigabyte


Images = NDArray[np.uint8] | NDArray[np.float32]  # [N, 28, 28], 0-255


class Answer(NamedTuple):
    digit: str
    probabilities: list[float]  # of each class
    doubtful: bool  # whether the model is more torn than over all but a hundredth of real digits


class Champion:
    """Safe to call from several threads."""

    def __init__(self, folder: Path, *, lineage: Mapping[str, str] = {}) -> None:
        """Loads model.safetensors and model.json; InputError where they are damaged or do not belong together."""
        card = packing.verified(folder)
        self.sha256: str = card["sha256"]
        self.classes: list[str] = card["classes"]
        self.lineage: dict[str, Any] = {**card, **lineage}
        self.doubt_above: float = card.get("doubt_above", float("inf"))
        # TF32 keeps three digits, and not the same ones in batches of other sizes.
        torch.backends.cudnn.allow_tf32 = False
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = checkpoint.load(folder / packing.MODEL).to(self.device)
        self.threads = ThreadPoolExecutor(THREADS)
        self.waiting = 0  # requests for them, those at work included

    def probabilities(self, images: Images) -> NDArray[np.float32]:
        """The probability of each class for each image, [N, classes]."""
        with torch.inference_mode():
            logits = self.model(torch.from_numpy(images).to(self.device)).float()
            found: NDArray[np.float32] = logits.softmax(1).cpu().numpy()
        metrics.count(self.classes, found, self.doubtful(found))
        return found

    def doubtful(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether each answer [N, classes] is torn beyond the card's threshold."""
        return doubt.entropy(probabilities) > self.doubt_above

    def classify(self, images: Images) -> list[Answer]:
        """The class, the probabilities and whether there is doubt of each image."""
        found = self.probabilities(images)
        return [
            Answer(self.classes[int(row.argmax())], row.tolist(), bool(torn))
            for row, torn in zip(found, self.doubtful(found), strict=True)
        ]

    def layers(self, image: NDArray[np.uint8]) -> list[insight.Layer]:
        """The maps of its layers on one image [28, 28]."""
        return insight.layers(self.model, image)

    def evidence(self, image: NDArray[np.uint8], digit: str) -> NDArray[np.float32]:
        """Where in an image [28, 28] the evidence for a digit lies, [14, 14]."""
        return insight.evidence(self.model, image, self.classes.index(digit))


class Study:
    """The best run of every variant, to be asked side by side; none where the folder is not there."""

    def __init__(self, folder: Path) -> None:
        """Loads what study.json names; InputError where a file is no model."""
        path = folder / packing.STUDY
        names = [entry["variant"] for entry in json.loads(path.read_text())] if path.exists() else []
        self.models = {name: checkpoint.load(folder / f"{name}.safetensors") for name in names}

    def probabilities(self, images: Images) -> dict[str, NDArray[np.float32]]:
        """The probability of each class for each image [N, 28, 28], by variant."""
        with torch.inference_mode():
            pixels = torch.from_numpy(images)
            return {name: model(pixels).float().softmax(1).numpy() for name, model in self.models.items()}
