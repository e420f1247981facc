"""The arrays in IDX files, as MNIST and its relatives have them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitline.base.errors import InputError
from digitline.data.dataset import Bytes, Dataset, Part
from digitline.data.entry import Shape

TYPES: dict[int, np.dtype[Any]] = {
    8: np.dtype(np.uint8),
    12: np.dtype(">i4"),
}  # of the values, by the magic's third byte
GREY, COLOUR = "00000803", "00000804"  # the magics of images
LABELS = ["00000801", "00000802", "00000c01", "00000c02"]  # of several columns, the first one is the class
HOLDS = {1: "labels", 3: "images"}  # by the number of dimensions


class File(NamedTuple):
    name: str
    content: bytes


def dataset(
    files: Sequence[File], classes: int, image: Shape, *, transpose: bool = False, first_label: int = 0
) -> Dataset:
    """The data set in four files: images and labels of training, images and labels of test.

    `transpose` swaps the rows and columns of each image; `first_label` is the number of the first class in the files.
    InputError if the content of a file does not fit its place.
    """
    images, labels, test_images, test_labels = files
    pairs = ((images, labels), (test_images, test_labels))
    return Dataset(*(part(*pair, classes, image, transpose=transpose, first_label=first_label) for pair in pairs))


def part(images: File, labels: File, classes: int, image: Shape, *, transpose: bool, first_label: int) -> Part:
    """The images in one file and their classes in another."""
    pixels = array(images, "images", [COLOUR if image.channels == 3 else GREY])
    if transpose:
        pixels = pixels.swapaxes(1, 2)
    fits(images.name, pixels.shape[1:], image)
    numbers = array(labels, "labels", LABELS)
    if len(pixels) != len(numbers):
        raise InputError(f"{images.name} has {len(pixels)} images but {labels.name} has {len(numbers)} labels")
    if not len(numbers):
        raise InputError(f"{images.name} has no images")
    return Part(pixels, counted(labels.name, numbers.reshape(len(numbers), -1)[:, 0], classes, first_label))


def fits(name: str, found: tuple[int, ...], image: Shape) -> None:
    """InputError if the images of a file have another shape than the data set."""
    wanted = image[:2] if image.channels == 1 else tuple(image)
    if found != wanted:
        turned = " (transpose in its source turns them)" if found == (image.width, image.height, *wanted[2:]) else ""
        sides, expected = ("x".join(map(str, sizes)) for sizes in (found, wanted))
        raise InputError(f"{name} has images of {sides} pixels, expected {expected}{turned}")


def counted(name: str, numbers: NDArray[Any], classes: int, first_label: int = 0) -> Bytes:
    """The classes from 0 for labels [N] from `first_label`."""
    last = first_label + min(classes, 256) - 1
    low, high = int(numbers.min()), int(numbers.max())
    if low < first_label or high > last:
        shifted = low > first_label and high - low == classes - 1
        hint = f" (first_label: {low} in its source counts from there)" if shifted else ""
        wrong = low if low < first_label else high
        raise InputError(f"{name} has the label {wrong}, expected {first_label} to {last}{hint}")
    return (numbers - first_label).astype(np.uint8)


def array(file: File, kind: str, magics: list[str]) -> NDArray[Any]:
    """The array of a file with one of these magics, the usual one first.

    The magic is 0, 0, the type of the values and the number of dimensions; each dimension follows in 4 bytes, then the
    values.
    """
    content, magic = file.content, file.content[:4].hex()
    if magic not in magics:
        raise InputError(f"{file.name} {described(magic)}, expected the IDX magic {magics[0]} of {kind}")
    dimensions, values_type = content[3], TYPES[content[2]]
    start = 4 + 4 * dimensions
    header, values = content[4:start], memoryview(content)[start:]
    shape = np.frombuffer(header.ljust(4 * dimensions, b"\0"), ">u4").tolist()
    if len(values) != math.prod(shape) * values_type.itemsize or len(header) < 4 * dimensions:
        sizes, width = "x".join(map(str, shape)), values_type.itemsize
        each = f" of {width} bytes each" if width > 1 else ""
        raise InputError(f"{file.name} has {len(values)} bytes after its header, expected {sizes}{each}")
    found: NDArray[Any] = np.frombuffer(values, values_type).reshape(shape)
    return found


def described(magic: str) -> str:
    """What a file with a magic for other things holds."""
    if len(magic) < 8 or not magic.startswith("000008"):
        return f"begins with {magic or 'nothing'}"
    dimensions = int(magic[6:], 16)
    return f"holds {HOLDS.get(dimensions, f'an array of {dimensions} dimensions')}"
