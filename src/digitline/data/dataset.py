"""The data set as one file of arrays, which is mapped and not read, and its training, validation and test parts."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from digitline.base.errors import InputError
from digitline.data.entry import Shape

Bytes = NDArray[np.uint8]

DTYPES = {"U8": np.uint8, "U32": np.uint32}  # by their names in a safetensors file
VALUES = 2**20  # of a chunk of images, which are worked on at a time


@dataclass(frozen=True)
class Rows:
    """Some images, in an order, of arrays that stay where they are; each use reads only the images that it asks for."""

    pieces: tuple[Bytes, ...]  # each [N, H, W] or [N, H, W, 3]
    order: NDArray[np.int64]  # indices into the pieces, one after the other

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, key: Any) -> Bytes:
        places = self.order[key]
        if len(self.pieces) == 1:
            found: Bytes = self.pieces[0][places]
            return found
        ends = np.cumsum([len(piece) for piece in self.pieces])
        found = np.empty((len(places), *self.pieces[0].shape[1:]), np.uint8)
        for piece, end in zip(self.pieces, ends, strict=True):
            inside = (end - len(piece) <= places) & (places < end)
            found[inside] = piece[places[inside] - (end - len(piece))]
        return found


Images = Bytes | Rows


class Part(NamedTuple):
    images: Bytes  # [N, H, W] grey or [N, H, W, 3] colour, 0-255; perhaps mapped
    labels: Bytes  # [N]


class Subset(NamedTuple):
    """Some images of one or several parts."""

    images: Rows
    labels: Bytes  # [N]


class Dataset(NamedTuple):
    train: Part
    test: Part


class Parts(NamedTuple):
    """What a training uses: the images to learn from, those that choose, and those that only measure."""

    training: Subset
    validation: Subset
    test: Part


def shape(images: Images) -> Shape:
    """The shape of each image."""
    height, width, *channels = (images.pieces[0] if isinstance(images, Rows) else images).shape[1:]
    return Shape(height, width, *channels)


def blank(count: int, of: Shape) -> Bytes:
    """Black images of that shape: [N, H, W], or [N, H, W, 3] in colour."""
    return np.zeros(sizes(count, of), np.uint8)


def sizes(count: int, of: Shape) -> tuple[int, ...]:
    """The shape of an array of that many images."""
    return (count, of.height, of.width) if of.channels == 1 else (count, *of)


def chunks(images: Images, values: int = VALUES) -> Iterator[Bytes]:
    """The images as arrays of about that many pixels (three a pixel in colour), at least one image each."""
    size = max(1, values // math.prod(shape(images)))
    for start in range(0, len(images), size):
        yield np.asarray(images[start : start + size])


def save(dataset: Dataset, path: Path, *, corrections: Part | None = None) -> None:
    """Writes the arrays, and those of corrections if there are any, as one safetensors file."""
    parts: dict[str, Part] = dataset._asdict() | ({"corrections": corrections} if corrections else {})
    arrays = {f"{part}_{field}": array for part, fields in parts.items() for field, array in fields._asdict().items()}
    with writing(path, {name: (array.dtype, array.shape) for name, array in arrays.items()}) as places:
        for name, array in arrays.items():
            places[name][...] = array


@contextmanager
def writing(path: Path, forms: dict[str, tuple[Any, tuple[int, ...]]]) -> Iterator[dict[str, NDArray[Any]]]:
    """Mapped arrays to fill, by name, of these types and shapes; then the safetensors file gets its name.

    The bytes are those of the safetensors library, which would hold them in memory.
    """
    names = {np.dtype(kind): name for name, kind in DTYPES.items()}
    header, end = {}, 0
    for name in sorted(forms, key=lambda name: (-np.dtype(forms[name][0]).itemsize, name)):
        kind, size = np.dtype(forms[name][0]), list(forms[name][1])
        start, end = end, end + kind.itemsize * math.prod(size)
        header[name] = {"dtype": names[kind], "shape": size, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + end)
        yield mapped(new, "r+")
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)


def mapped(path: Path, mode: Any = "r") -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, each a view of the file; ValueError or KeyError if it is damaged."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size - 8:
            raise ValueError("its header is incomplete")
        header = json.loads(file.read(length))
    found = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if 8 + length + end > path.stat().st_size:
            raise ValueError(f"{name} is incomplete")
        kind, size = DTYPES[entry["dtype"]], tuple(entry["shape"])
        found[name] = np.memmap(path, kind, mode, 8 + length + start, size) if end > start else np.zeros(size, kind)
    return found


def load(path: Path) -> Dataset:
    """Maps a file of save; InputError if it is missing or damaged."""
    if not path.exists():
        raise InputError(f"there is no data set {path}; run dvc repro fetch or dvc pull")
    try:
        arrays = mapped(path)
        return Dataset(*(of(part, arrays) for part in Dataset._fields))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a data set of fetch ({error}); run dvc checkout to restore it") from None


def of(part: str, arrays: dict[str, NDArray[Any]]) -> Part:
    """One part of a file of save."""
    return Part(arrays[f"{part}_images"], np.array(arrays[f"{part}_labels"]))


def corrections(path: Path) -> Part:
    """The corrections in such a file, used for training and never for evaluation; usually there are none."""
    arrays = mapped(path)
    if "corrections_images" in arrays:
        return of("corrections", arrays)
    return Part(blank(0, shape(arrays["train_images"])), np.zeros(0, np.uint8))


def joined(*parts: Part | Subset) -> Subset:
    """Concatenates parts, unread."""
    pieces: list[Bytes] = []
    orders = []
    for images in (rows(part.images) for part in parts if len(part.labels)):
        orders.append(sum(map(len, pieces)) + images.order)
        pieces += images.pieces
    return Subset(Rows(tuple(pieces), np.concatenate(orders)), np.concatenate([part.labels for part in parts]))


def divide(path: Path, *, validation: PositiveInt, seed: NonNegativeInt) -> Parts:
    """The parts of a file of save, unread; the corrections are among the training images."""
    data = load(path)
    kept, held = split(data.train, mapped(path).get("train_groups"), validation=validation, seed=seed)
    return Parts(joined(kept, corrections(path)), held, data.test)


def split(
    part: Part, groups: NDArray[np.uint32] | None = None, *, validation: PositiveInt, seed: NonNegativeInt
) -> tuple[Subset, Subset]:
    """Holds out `validation` images, stratified by class; returns (training, validation).

    Images of one group, if there are groups [N], stay together; then their number is the nearest that can be had.
    """
    total = len(part.labels)
    if validation >= total:
        raise InputError(f"split.validation is {validation}, expected less than the {total} training images")
    if groups is not None:
        outside = np.isin(groups, together(part.labels, groups, validation, seed))
        return chosen(part, np.flatnonzero(~outside)), chosen(part, np.flatnonzero(outside))
    order = np.random.default_rng(seed).permutation(total)
    labels = part.labels[order]
    # The i-th of the n images of a class gets the position (i + ½)/n; taking the smallest keeps the proportions.
    rank = np.empty(total)
    for label in np.unique(labels):
        (where,) = np.nonzero(labels == label)
        rank[where] = (np.arange(len(where)) + 0.5) / len(where)
    by_rank = order[np.argsort(rank, kind="stable")]
    held, kept = np.sort(by_rank[:validation]), np.sort(by_rank[validation:])
    return chosen(part, kept), chosen(part, held)


def together(labels: Bytes, groups: NDArray[np.uint32], wanted: int, seed: int) -> list[int]:
    """The groups to hold out, in random order: each that brings the classes' counts nearer to their share of `wanted`.

    InputError if all images are of one group.
    """
    names, which = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError("all training images are of one group, expected at least two, one of them for validation")
    counts = np.zeros((len(names), int(labels.max()) + 1))
    np.add.at(counts, (which, labels), 1)
    missing, held = counts.sum(0) * wanted / len(labels), []
    for place in np.random.default_rng(seed).permutation(len(names)):
        if np.square(missing - counts[place]).sum() < np.square(missing).sum():
            missing -= counts[place]
            held.append(int(names[place]))
    smallest = int(names[counts.sum(1).argmin()])
    return held[: len(names) - 1] or [smallest]


def chosen(part: Part, places: NDArray[np.int64]) -> Subset:
    """Those images of a part, unread."""
    return Subset(Rows((part.images,), places), part.labels[places])


def rows(images: Images) -> Rows:
    """The images as rows in their own order."""
    return images if isinstance(images, Rows) else Rows((images,), np.arange(len(images)))
