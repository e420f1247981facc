"""How images of one shape are sent to /predict, /compare and /feedback: as JSON, or as one byte per value."""

import math
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, create_model

from digitline.base.errors import InputError
from digitline.data.dataset import sizes
from digitline.data.entry import MNIST, Shape

if TYPE_CHECKING:  # it imports ONNX Runtime, which the command that starts the workers does not need
    from digitline.serving.runtime import Images

# Of one request, for images of MNIST's size or smaller ones; of larger images a request has fewer.
MAX_IMAGES = 256  # as JSON
MAX_RAW = 4096  # as bytes
JSON_BYTES = 8 * 2**20  # of a body; enough for the most images with all digits of every number
DIGITS = 24  # bytes of a number with all its digits

Pixel = Annotated[float, Field(strict=True, ge=0, le=255, allow_inf_nan=False)]


class Form(NamedTuple):
    """How images of one shape are sent."""

    sizes: tuple[int, ...]  # of one image: H, W, in colour 3
    values: int  # numbers, and as many bytes, of one image
    most: int  # images of one JSON request
    most_raw: int  # images of one request in bytes
    json_bytes: int  # of a JSON body
    body: type[BaseModel]  # of a JSON request
    expected: list[str]  # the list of images, an image, a row, in colour a pixel, a number

    @property
    def title(self) -> str:
        """The size of an image in words: 28x28, or 64x64x3 in colour."""
        return "x".join(map(str, self.sizes))


@cache
def of(shape: Shape = MNIST) -> Form:
    """The form of images of that shape."""
    lengths, values = sizes(1, shape)[1:], math.prod(shape)
    most, most_raw = (
        max(1, number * math.prod(MNIST) // max(values, math.prod(MNIST))) for number in (MAX_IMAGES, MAX_RAW)
    )
    image: Any = Pixel
    for length in reversed(lengths):
        image = listed(image, length, length)
    words = ["rows", "numbers"] if shape.channels == 1 else ["rows", "pixels", "numbers"]
    steps = [f"a list of {length} {word}" for length, word in zip(lengths, words, strict=True)]
    body = create_model(
        "Images",
        __doc__=f"Images as in the data set, of {shape.height} rows of {shape.width} "
        + ("grey values." if shape.channels == 1 else "pixels, each [red, green, blue]."),
        __config__=ConfigDict(extra="forbid"),
        images=(listed(image, 1, most), ...),
    )
    expected = [f"a list of 1 to {most} images", *steps, "a number from 0 to 255"]
    return Form(lengths, values, most, most_raw, max(JSON_BYTES, DIGITS * values), body, expected)


def listed(item: Any, least: int, most: int) -> Any:
    """The type of a list of that many items."""
    kind: Any = list[item]
    return Annotated[kind, Field(strict=True, min_length=least, max_length=most), FailFast()]


def raw(body: bytes, form: Form) -> NDArray[np.uint8]:
    """The images of a body with one byte per value, [N, H, W] or [N, H, W, 3]; InputError if one is incomplete."""
    count, rest = divmod(len(body), form.values)
    if rest or not 1 <= count <= form.most_raw:
        size = f"{form.title} = {form.values} bytes"
        raise InputError(f"the body has {len(body)} bytes, expected {size} for each of 1 to {form.most_raw} images")
    return np.frombuffer(bytearray(body), np.uint8).reshape(count, *form.sizes)


def images(body: bytes, form: Form) -> NDArray[np.float32]:
    """The images of a JSON body, [N, H, W] or [N, H, W, 3]; InputError says what is wrong in it."""
    if (found := plain(body, form)) is not None:
        return found
    try:
        given: Any = form.body.model_validate_json(body)
    except ValidationError as error:
        raise InputError(sentence(error, form)) from None
    return np.array(given.images, np.float32)


def plain(body: bytes, form: Form) -> NDArray[np.float32] | None:
    """The same in half the time, for a plain body; None if the full validation must decide."""
    if b"t" in body or b"f" in body:  # true or false, which NumPy would accept as numbers
        return None
    try:
        match orjson.loads(body):
            case {"images": list() as rows, **rest} if not rest and 1 <= len(rows) <= form.most:
                found = np.array(rows)
            case _:
                return None
    except ValueError:  # not JSON, or lists of different lengths
        return None
    return found.astype(np.float32) if fit(found, form) else None


def array(images: Any, form: Form) -> "Images":
    """Images from Python, [N, H, W] or [N, H, W, 3]; InputError if the shape or a value is wrong."""
    found = np.ascontiguousarray(images)
    if not fit(found, form):
        expected = f"[N, {', '.join(map(str, form.sizes))}] with numbers from 0 to 255"
        raise InputError(f"images is an array {list(found.shape)} of {found.dtype}, expected {expected}")
    return found if found.dtype == np.uint8 else found.astype(np.float32)


def fit(images: NDArray[Any], form: Form) -> bool:
    """Whether these are images of that form, with numbers from 0 to 255 only."""
    right = images.size and images.shape[1:] == form.sizes and images.dtype.kind in "iuf"
    return bool(right and images.min() >= 0 and images.max() <= 255)


def sentence(error: ValidationError, form: Form) -> str:
    """The first error, as one sentence."""
    first = error.errors(include_url=False)[0]
    name, *indices = first["loc"] or ("the body",)
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    if name == "the body":
        return f'the body is {shown(first["input"])}, expected {{"images": [...]}}'
    if first["type"] == "extra_forbidden":
        return f"{name} is unknown, expected only images"
    expected = form.expected[len(indices)]
    if first["type"] == "missing":
        return f"{name} is missing, expected {expected}"
    return f"{name}{''.join(f'[{index}]' for index in indices)} is {shown(first['input'])}, expected {expected}"


def shown(value: object) -> str:
    """A short description of a value."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else repr(value)[:40]
