"""Finds the four IDX files of a data set in a folder, by their content."""

import gzip
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from digitline.base.errors import InputError
from digitline.data import idx, sources
from digitline.data.entry import Shape
from digitline.data.idx import File

MAGICS = {idx.GREY: "images", idx.COLOUR: "images", **dict.fromkeys(idx.LABELS, "labels")}


class Quartet(NamedTuple):
    """Images and labels of training, images and labels of test, and what they say of themselves."""

    files: list[File]
    others: list[str]  # names of files that are left out
    image: Shape
    first_label: int
    classes: list[str]  # the numbers in the files


def holds(folder: Path) -> bool:
    """Whether a folder has IDX files."""
    return any(kind(path) for path in folder.iterdir() if path.is_file())


def kind(path: Path) -> str | None:
    """images or labels, by the first bytes of the content; None if it is no IDX file of either."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            return MAGICS.get(file.read(4).hex())
    except (OSError, EOFError, zlib.error):
        return None


def found(folder: Path, *, transpose: bool = False, first_label: int | None = None) -> Quartet:
    """The four files of a folder, whatever their names; InputError if there are others than four."""
    kinds = {path: kind(path) for path in sorted(folder.iterdir()) if path.is_file()}
    named = [path for path, what in kinds.items() if what]
    files = {path: File(path.name.removesuffix(".gz"), unpacked(path)) for path in named}
    four = in_order(str(folder), list(files.values()), [kinds[path] or "" for path in named])
    images = idx.array(four[0], "images", [idx.GREY, idx.COLOUR])
    height, width, *channels = images.shape[1:]
    if transpose:
        height, width = width, height
    numbers = [labels(file) for file in (four[1], four[3])]
    first = min(int(each.min()) for each in numbers) if first_label is None else first_label
    last = max(int(each.max()) for each in numbers)
    others = [path.name for path, what in kinds.items() if not what]
    return Quartet(four, others, shape(height, width, channels), first, [str(n) for n in range(first, last + 1)])


def shape(height: int, width: int, channels: list[int]) -> Shape:
    """The shape; InputError for other channels than grey and RGB."""
    if channels not in ([], [3]):
        raise InputError(f"the images have {channels[0]} channels, expected grey or RGB")
    return Shape(height, width, 3 if channels else 1)


def unpacked(path: Path) -> bytes:
    """The content of a file, gzipped or not."""
    try:
        return sources.inflate(path.read_bytes())
    except sources.Unusable as error:
        raise InputError(f"{path}: {error}") from None


def labels(file: File) -> NDArray[Any]:
    """The labels of a file: of several columns, the first."""
    array = idx.array(file, "labels", idx.LABELS)
    if not len(array):
        raise InputError(f"{file.name} has no labels")
    return array.reshape(len(array), -1)[:, 0]


def in_order(where: str, files: list[File], kinds: list[str]) -> list[File]:
    """The files by their roles: as their names tell, or else the larger pair is for training."""
    if sorted(kinds) != ["images", "images", "labels", "labels"]:
        raise InputError(
            f"{where} has {kinds.count('images')} IDX files of images and {kinds.count('labels')} of labels, expected "
            "two of each: for training and for test"
        )
    of = {file.name: file for file in files}
    count = {file.name: int.from_bytes(file.content[4:8], "big") for file in files}
    larger_first = sorted(of, key=lambda name: (-count[name], kinds[files.index(of[name])]))
    return [of[name] for name in sources.by_role(where, larger_first)]
