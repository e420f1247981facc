"""Corrections as training data: those that show a class and meet the data's expectations."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file
from safetensors.numpy import save as serialise

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data import expectations
from digitline.data.corrections import Correction, identity
from digitline.data.dataset import Dataset, Part, blank, chunks, shape
from digitline.data.entry import Shape

if TYPE_CHECKING:
    import pandas as pd


def part(corrections: list[Correction], classes: list[str], image: Shape) -> Part:
    """Images and labels of the corrections that show a class; those of another shape are of another data set."""
    empty = blank(1, image)[0]
    shown = [one for one in corrections if one.label and one.image.shape == empty.shape]
    images = np.array([one.image for one in shown], np.uint8).reshape(-1, *empty.shape)
    return Part(images, np.array([classes.index(one.label) for one in shown], np.uint8))


def features(part: Part, dataset: Dataset) -> "pd.DataFrame":
    """The data set's features, one row per image, and the number of identical images in the data set."""
    known = {identity(image) for images, _ in dataset for chunk in chunks(images) for image in chunk}
    table = expectations.measured(part)
    return table.assign(training_copies=table["sha256"].isin(known).astype(int))


def rules(*, classes: list[str], image: Shape, **bounds: Any) -> list[expectations.Rule]:
    """The data set's expectations of a single image, and that the data set does not already contain it."""
    ours = [rule for rule in expectations.rules(classes=classes, image=image, **bounds) if not rule.split]
    single = [rule for rule in ours if rule.options["column"] != "class_share" and rule.options.get("mostly", 1) == 1]
    new = expectations.within("training_copies", [0, 0])._replace(name="copies among the data set's images")
    return [*single, new]


def reasons(part: Part, dataset: Dataset, *, classes: list[str], **bounds: Any) -> list[list[str]]:
    """Why each image cannot be used for training, as Great Expectations found; empty if it can."""
    found: list[list[str]] = [[] for _ in part.labels]
    if found:
        table = features(part, dataset)
        held = rules(classes=classes, image=shape(dataset.test.images), **bounds)
        for rule, finding in zip(held, expectations.validate(table, held, rows=len(found)).findings, strict=True):
            for row in finding.rows:
                value, expected = table[rule.options["column"]][row], rule.expected.removesuffix(" in all images")
                found[row].append(f"{rule.name} {value:.4g}, expected {expected}")
    return found


def save(part: Part, path: Path) -> None:
    """Writes the part as one safetensors file, whose bytes depend only on the images and labels."""
    files.write(path, serialise({name: np.ascontiguousarray(array) for name, array in part._asdict().items()}))


def load(path: Path, sha256: str) -> Part:
    """Reads a file of save; InputError if it does not have that SHA-256."""
    found = digest(path) if path.exists() else "none: the file is missing"
    if found != sha256:
        raise InputError(f"{path} has SHA-256 {found}, expected {sha256}, feedback in params.yaml; run make feedback")
    return Part(**load_file(path))
