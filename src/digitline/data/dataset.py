"""The data set as arrays in memory, and its division into training, validation and test."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as serialise

from digitline.base import files
from digitline.base.errors import InputError

Bytes = NDArray[np.uint8]

SIDE = 28  # pixels, of every image


class Part(NamedTuple):
    images: Bytes  # [N, 28, 28], 0-255
    labels: Bytes  # [N]


class Dataset(NamedTuple):
    train: Part
    test: Part


def save(dataset: Dataset, path: Path, *, corrections: Part | None = None) -> None:
    """Writes the four arrays, and those of corrections if there are any, as one safetensors file."""
    parts: dict[str, Part] = dataset._asdict() | ({"corrections": corrections} if corrections else {})
    arrays = {
        f"{part}_{field}": np.ascontiguousarray(array)
        for part, fields in parts.items()
        for field, array in fields._asdict().items()
    }
    files.write(path, serialise(arrays))


def load(path: Path) -> Dataset:
    """Reads a file of save; InputError if it is missing or damaged."""
    if not path.exists():
        raise InputError(f"there is no data set {path}; run dvc repro fetch or dvc pull")
    try:
        arrays = load_file(path)
        return Dataset(*(Part(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in Dataset._fields))
    except (SafetensorError, KeyError) as error:
        raise InputError(f"{path} is not a data set of fetch ({error}); run dvc checkout to restore it") from None


def corrections(path: Path) -> Part:
    """The corrections in such a file, used for training and never for evaluation; usually there are none."""
    arrays = load_file(path)
    none = {"corrections_images": np.zeros((0, SIDE, SIDE), np.uint8), "corrections_labels": np.zeros(0, np.uint8)}
    return Part(*(arrays.get(name, empty) for name, empty in none.items()))


def joined(*parts: Part) -> Part:
    """Concatenates parts."""
    return Part(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def split(part: Part, *, validation: PositiveInt, seed: NonNegativeInt) -> tuple[Part, Part]:
    """Holds out `validation` images, stratified by class; returns (training, validation)."""
    total = len(part.labels)
    if validation >= total:
        raise InputError(f"split.validation is {validation}, expected less than the {total} training images")
    order = np.random.default_rng(seed).permutation(total)
    labels = part.labels[order]
    # The i-th of the n images of a class gets the position (i + ½)/n; taking the smallest keeps the proportions.
    rank = np.empty(total)
    for label in np.unique(labels):
        (where,) = np.nonzero(labels == label)
        rank[where] = (np.arange(len(where)) + 0.5) / len(where)
    by_rank = order[np.argsort(rank, kind="stable")]
    held, kept = np.sort(by_rank[:validation]), np.sort(by_rank[validation:])
    return Part(part.images[kept], part.labels[kept]), Part(part.images[held], part.labels[held])
