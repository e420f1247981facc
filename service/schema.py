"""The requests and responses of the API, and its OpenAPI document."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError
from pydantic.json_schema import models_json_schema

from digitline.base.errors import InputError
from digitline.data.prepare import SIDE

MAX_IMAGES = 256  # of one JSON request
MAX_RAW = 4096  # of one request in bytes

Pixel = Annotated[float, Field(strict=True, ge=0, le=255, allow_inf_nan=False)]
Row = Annotated[list[Pixel], Field(strict=True, min_length=SIDE, max_length=SIDE), FailFast()]
Pixels = Annotated[list[Row], Field(strict=True, min_length=SIDE, max_length=SIDE), FailFast()]
RAW = "application/octet-stream"
PICTURES = ("image/png", "image/jpeg", RAW)
BUSY = [("500", "The service failed"), ("503", "The service is at capacity")]
REFUSALS = [
    ("400", "The body is invalid"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too large"),
    ("415", "The Content-Type is not supported"),
    *BUSY,
]
CLOSED = [
    ("403", "This service keeps no corrections, or the request is from another page"),
    ("409", "The correction cannot be kept: there are too many, or the kept ones are damaged"),
]
EXPECTED = [
    f"a list of 1 to {MAX_IMAGES} images",
    f"a list of {SIDE} rows",
    f"a list of {SIDE} numbers",
    "a number from 0 to 255",
]


class Images(BaseModel):
    """Digits as in MNIST: light on dark, 28 rows of 28 grey values."""

    model_config = ConfigDict(extra="forbid")
    images: Annotated[list[Pixels], Field(strict=True, min_length=1, max_length=MAX_IMAGES), FailFast()]


class Upload(BaseModel):
    """A form with one file."""

    image: Annotated[bytes, Field(json_schema_extra={"format": "binary"}, description="a PNG or JPEG")]


class Prediction(BaseModel):
    digit: Annotated[str, Field(description="the most probable class")]
    probabilities: Annotated[list[float], Field(description="one per class, in the order of classes")]
    doubtful: Annotated[
        bool, Field(description="less certain (entropy) than for 99% of the validation digits: perhaps not a digit")
    ]


class Champion(BaseModel):
    model: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the model's weights")]
    classes: list[str]


class Predictions(Champion):
    predictions: Annotated[list[Prediction], Field(description="one per image, in the same order")]


class Classification(Prediction, Champion):
    image: Annotated[list[list[int]], Field(description="the 28x28 image that the model received")]


class Map(BaseModel):
    """An array of 16-bit integers; b stands for low + (high - low) * b / 65535."""

    shape: list[int]
    low: float
    high: float
    data: Annotated[str, Field(description="base64, little-endian, the last dimension fastest")]


class Layer(BaseModel):
    name: Annotated[str, Field(description="image, convolution, pooling, an activation, output, …")]
    size: Annotated[int, Field(description="side of a unit's receptive field in the image, in pixels")]
    step: Annotated[int, Field(description="distance between the receptive fields of neighbouring units, in pixels")]
    start: Annotated[int, Field(description="first pixel of the first unit's receptive field; negative in the padding")]
    window: Annotated[int, Field(description="side of a unit's window in each map of the layer before")]


class Seen(Layer):
    maps: Annotated[Map, Field(description="[channels, height, width]")]


class Filters(Layer):
    filters: Annotated[Map | None, Field(description="[channels, inputs, window, window]: the weights")]
    bias: Annotated[list[float] | None, Field(description="one per channel, added")]
    scale: Annotated[list[float] | None, Field(description="of a normalisation, one factor per channel")]


class Network(Champion):
    members: Annotated[int, Field(description="number of networks that vote; 1 without a vote")]
    corrections: Annotated[bool, Field(description="whether this service keeps corrections, see /feedback")]
    layers: Annotated[list[Filters], Field(description="for a vote, those of its first member")]


class Explanation(Classification):
    layers: Annotated[list[Seen], Field(description="for a vote, those of its first member")]
    evidence: Annotated[
        list[list[float]] | None,
        Field(description="14x14: how much each part of the image adds to the digit's log-odds; null with ?brief"),
    ]


class Comparison(BaseModel):
    """The answers of every variant of the study to the same images."""

    classes: list[str]
    variants: Annotated[dict[str, list[list[float]]], Field(description="for each image, one probability per class")]


class Lineage(Champion):
    """The model's origin; null if unknown."""

    variant: str
    seed: int | None = None
    members: Annotated[list[int] | None, Field(description="seeds of a vote")] = None
    parameters: int | None = None
    macs: Annotated[int | None, Field(description="multiply-adds per image")] = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    test_corrupted: Annotated[float | None, Field(description="accuracy on corrupted test images")] = None
    test_doubted: Annotated[float | None, Field(description="share of test digits marked as doubtful")] = None
    dataset: str | None = None
    dataset_sha256: str | None = None
    validation: Annotated[str | None, Field(description="whether the data met the expectations")] = None
    git_commit: str | None = None
    mlflow_version: str | None = None
    mlflow_run: str | None = None
    promoted: Annotated[str | None, Field(description="time of the promotion, UTC")] = None


class Kept(BaseModel):
    """A correction that was kept."""

    image: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the image's pixels")]
    label: Annotated[str, Field(description="the class that it shows; empty for none")]
    kept: Annotated[int, Field(description="number of kept corrections")]


class Refusal(BaseModel):
    error: Annotated[str, Field(description="one sentence: what is wrong and what was expected")]


def packed(values: NDArray[np.float32]) -> Map:
    """An array as 16-bit integers, precise enough for sums to three decimals."""
    low, high = float(values.min()), float(values.max())
    steps = np.rint((values - low) * (65535 / (high - low or 1))).astype("<u2")
    return Map(shape=list(values.shape), low=low, high=high, data=base64.b64encode(steps.tobytes()).decode())


def raw(body: bytes) -> NDArray[np.uint8]:
    """The images [N, 28, 28] of a body with one byte per pixel; InputError if it is not a whole number of images."""
    count, rest = divmod(len(body), SIDE * SIDE)
    if rest or not 1 <= count <= MAX_RAW:
        raise InputError(f"the body has {len(body)} bytes, expected {SIDE * SIDE} for each of 1 to {MAX_RAW} images")
    return np.frombuffer(bytearray(body), np.uint8).reshape(count, SIDE, SIDE)


def images(body: bytes) -> NDArray[np.float32]:
    """The images [N, 28, 28] of a JSON body; InputError says what is wrong in it."""
    if (found := plain(body)) is not None:
        return found
    try:
        return np.array(Images.model_validate_json(body).images, np.float32)
    except ValidationError as error:
        raise InputError(sentence(error)) from None


def plain(body: bytes) -> NDArray[np.float32] | None:
    """The same in half the time, for a plain body; None if the full validation must decide."""
    if b"t" in body or b"f" in body:  # true or false, which NumPy would accept as numbers
        return None
    try:
        match orjson.loads(body):
            case {"images": list() as rows, **rest} if not rest and 1 <= len(rows) <= MAX_IMAGES:
                found = np.array(rows)
            case _:
                return None
    except ValueError:  # not JSON, or lists of different lengths
        return None
    fits = found.shape[1:] == (SIDE, SIDE) and found.dtype.kind in "iuf" and found.min() >= 0 and found.max() <= 255
    return found.astype(np.float32) if fits else None


def sentence(error: ValidationError) -> str:
    """The first error, as one sentence."""
    first = error.errors(include_url=False)[0]
    name, *indices = first["loc"] or ("the body",)
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    if name == "the body":
        return f'the body is {shown(first["input"])}, expected {{"images": [...]}}'
    if first["type"] == "extra_forbidden":
        return f"{name} is unknown, expected only images"
    expected = EXPECTED[len(indices)]
    if first["type"] == "missing":
        return f"{name} is missing, expected {expected}"
    return f"{name}{''.join(f'[{index}]' for index in indices)} is {shown(first['input'])}, expected {expected}"


def shown(value: object) -> str:
    """A short description of a value."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else repr(value)[:40]


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the whole service."""
    answers = Predictions, Classification, Explanation, Network, Comparison, Lineage, Kept, Refusal
    _, definitions = models_json_schema(
        [(model, "validation") for model in (Images, Upload, *answers)], ref_template="#/components/schemas/{model}"
    )
    text = {"schema": {"type": "string"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    pictures = {"multipart/form-data": content(Upload), **dict.fromkeys(PICTURES, binary)}
    return {
        "openapi": "3.0.3",
        "info": {"title": "digitline", "version": "1", "description": "The champion of the study, over HTTP."},
        "servers": [{"url": "."}],
        "paths": {
            "/predict": operation(
                "Recognise 28x28 images, as JSON or as one byte per pixel. Bytes are answered in bytes: first each "
                "image's index in classes, then each image's probabilities as little-endian 32-bit floats.",
                {"application/json": content(Images), RAW: binary},
                {"application/json": content(Predictions), RAW: binary},
            ),
            "/classify": operation(
                "Recognise the digit in a picture of any size, dark on light or light on dark.",
                pictures,
                {"application/json": content(Classification)},
            ),
            "/explain": operation(
                "Recognise the digit in a picture, and show what each layer sees and where the evidence lies.",
                pictures,
                {"application/json": content(Explanation)},
                [query("brief", "omit the evidence, which takes the longest", required=False)],
            ),
            "/compare": operation(
                "Recognise 28x28 images with every variant of the study.",
                {"application/json": content(Images)},
                {"application/json": content(Comparison)},
            ),
            "/feedback": correction(
                operation(
                    "Correct the answer to a 28x28 image, sent as one byte per pixel. The service must be started with "
                    "DIGITLINE_FEEDBACK, and the request must come from its own page.",
                    {RAW: binary},
                    {"application/json": content(Kept)},
                    [query("label", "a class, or empty for no digit", required=True)],
                )
            ),
            "/lineage": get("The model's origin.", content(Lineage), refusals=BUSY),
            "/network": get("The layers and filters of the model.", content(Network), refusals=BUSY),
            "/livez": get("Whether the process runs.", text, "text/plain"),
            "/readyz": get("Whether the model is loaded.", text, "text/plain"),
            "/metrics": get("Counts and durations of requests, for Prometheus.", text, "text/plain"),
        },
        "components": {"schemas": definitions["$defs"]},
    }


def operation(
    summary: str, bodies: dict[str, Any], answer: dict[str, Any], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A path that accepts POST."""
    answers = {"200": {"description": "The model's answer", "content": answer}, **refused(REFUSALS)}
    body = {"required": True, "content": bodies}
    return {"post": {"summary": summary, "parameters": parameters or [], "requestBody": body, "responses": answers}}


def correction(path: dict[str, Any]) -> dict[str, Any]:
    """Adds the responses that only corrections have."""
    path["post"]["responses"] |= refused(CLOSED)
    return path


def query(name: str, description: str, *, required: bool) -> dict[str, Any]:
    """A query parameter."""
    text = {"schema": {"type": "string"}, "allowEmptyValue": True}
    return {"name": name, "in": "query", "description": description, "required": required, **text}


def get(
    summary: str, answer: dict[str, Any], media: str = "application/json", refusals: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """A path that accepts GET."""
    answers = {"200": {"description": summary, "content": {media: answer}}, **refused(refusals)}
    return {"get": {"summary": summary, "responses": answers}}


def refused(refusals: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The error responses."""
    return {status: {"description": why, "content": {"application/json": content(Refusal)}} for status, why in refusals}


def content(model: type[BaseModel]) -> dict[str, Any]:
    """A body with the schema of that model."""
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
