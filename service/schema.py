"""What goes in and what comes out, and the OpenAPI document that says so."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError
from pydantic.json_schema import models_json_schema

from digitline.base.errors import InputError
from digitline.data.dataset import SIDE

MAX_IMAGES = 256  # of one call in JSON
MAX_RAW = 4096  # of one call in bytes

Pixel = Annotated[float, Field(strict=True, ge=0, le=255, allow_inf_nan=False)]
Row = Annotated[list[Pixel], Field(strict=True, min_length=SIDE, max_length=SIDE), FailFast()]
Pixels = Annotated[list[Row], Field(strict=True, min_length=SIDE, max_length=SIDE), FailFast()]
RAW = "application/octet-stream"
PICTURES = ("image/png", "image/jpeg", RAW)
BUSY = [("500", "A fault of the service"), ("503", "The service is at its capacity")]
REFUSALS = [
    ("400", "The body is not as expected"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too large"),
    ("415", "The body is of another type"),
    *BUSY,
]
CLOSED = [
    ("403", "Corrections are not kept here, or not from this page"),
    ("409", "It cannot be kept: there are as many as may be, or what is there is damaged"),
]
EXPECTED = [
    f"a list of 1 to {MAX_IMAGES} images",
    f"a list of {SIDE} rows",
    f"a list of {SIDE} numbers",
    "a number from 0 to 255",
]


class Images(BaseModel):
    """Digits as MNIST has them: light on dark, 28 rows of 28 grey values."""

    model_config = ConfigDict(extra="forbid")
    images: Annotated[list[Pixels], Field(strict=True, min_length=1, max_length=MAX_IMAGES), FailFast()]


class Upload(BaseModel):
    """A form with one file."""

    image: Annotated[bytes, Field(json_schema_extra={"format": "binary"}, description="a PNG or JPEG")]


class Prediction(BaseModel):
    digit: Annotated[str, Field(description="the most probable class")]
    probabilities: Annotated[list[float], Field(description="of each class, in the order of classes")]
    doubtful: Annotated[bool, Field(description="more torn than over 99% of real digits: perhaps no digit at all")]


class Champion(BaseModel):
    model: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the model's weights")]
    classes: list[str]


class Predictions(Champion):
    predictions: Annotated[list[Prediction], Field(description="one for each image, in their order")]


class Classification(Prediction, Champion):
    image: Annotated[list[list[int]], Field(description="the 28x28 image as the model saw it")]


class Map(BaseModel):
    """Numbers in two bytes each: b stands for low + (high - low) * b / 65535."""

    shape: list[int]
    low: float
    high: float
    data: Annotated[str, Field(description="base64, little-endian, the last dimension fastest")]


class Layer(BaseModel):
    name: Annotated[str, Field(description="image, convolution, pooling, an activation, output, …")]
    size: Annotated[int, Field(description="pixels a side of the square of the image that a unit sees")]
    step: Annotated[int, Field(description="pixels between what neighbouring units see")]
    start: Annotated[int, Field(description="where the first unit's square begins; below 0 in the padding")]
    window: Annotated[int, Field(description="a side of what a unit takes from each map of the layer before")]


class Seen(Layer):
    maps: Annotated[Map, Field(description="[channels, height, width]")]


class Filters(Layer):
    filters: Annotated[Map | None, Field(description="[channels, inputs, window, window]: weights of a unit's sum")]
    bias: Annotated[list[float] | None, Field(description="of each channel, added")]
    scale: Annotated[list[float] | None, Field(description="of each channel of a normalisation, which multiplies")]


class Network(Champion):
    members: Annotated[int, Field(description="how many networks vote; 1 where there is no vote")]
    corrections: Annotated[bool, Field(description="whether this service keeps them: see /feedback")]
    layers: Annotated[list[Filters], Field(description="of a vote, its first member's")]


class Explanation(Classification):
    layers: Annotated[list[Seen], Field(description="of a vote, its first member's")]
    evidence: Annotated[
        list[list[float]] | None,
        Field(description="14x14: how much of the digit's log-odds that part of the image carries; null with ?brief"),
    ]


class Comparison(BaseModel):
    """What each variant of the study makes of the same images."""

    classes: list[str]
    variants: Annotated[dict[str, list[list[float]]], Field(description="probabilities of each class, of each image")]


class Lineage(Champion):
    """Where the model comes from; what is null is not known here."""

    variant: str
    seed: int | None = None
    members: Annotated[list[int] | None, Field(description="the seeds of a vote")] = None
    parameters: int | None = None
    macs: Annotated[int | None, Field(description="multiply-adds of one image")] = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    test_corrupted: Annotated[float | None, Field(description="accuracy on corrupted test images")] = None
    test_doubted: Annotated[float | None, Field(description="share of test's digits that are doubted")] = None
    dataset: str | None = None
    dataset_sha256: str | None = None
    validation: Annotated[str | None, Field(description="whether the data met the expectations")] = None
    git_commit: str | None = None
    mlflow_version: str | None = None
    mlflow_run: str | None = None
    promoted: Annotated[str | None, Field(description="when, UTC")] = None


class Kept(BaseModel):
    """A correction that was kept."""

    image: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the image's pixels")]
    label: Annotated[str, Field(description="what it shows; empty: none of the classes")]
    kept: Annotated[int, Field(description="how many there are")]


class Refusal(BaseModel):
    error: Annotated[str, Field(description="one sentence: what was wrong and what was expected")]


def packed(values: NDArray[np.float32]) -> Map:
    """An array in two bytes a number: sums of them are right to three places."""
    low, high = float(values.min()), float(values.max())
    steps = np.rint((values - low) * (65535 / (high - low or 1))).astype("<u2")
    return Map(shape=list(values.shape), low=low, high=high, data=base64.b64encode(steps.tobytes()).decode())


def raw(body: bytes) -> NDArray[np.uint8]:
    """The images [N, 28, 28] of a body of bytes, a byte a pixel; InputError where it is no whole number of them."""
    count, rest = divmod(len(body), SIDE * SIDE)
    if rest or not 1 <= count <= MAX_RAW:
        raise InputError(f"the body has {len(body)} bytes, expected {SIDE * SIDE} for each of 1 to {MAX_RAW} images")
    return np.frombuffer(bytearray(body), np.uint8).reshape(count, SIDE, SIDE)


def images(body: bytes) -> NDArray[np.float32]:
    """The images [N, 28, 28] of a JSON body; InputError says what in it is not as expected."""
    if (found := plain(body)) is not None:
        return found
    try:
        return np.array(Images.model_validate_json(body).images, np.float32)
    except ValidationError as error:
        raise InputError(sentence(error)) from None


def plain(body: bytes) -> NDArray[np.float32] | None:
    """The same in half the time; None where it takes the longer look to tell what is wrong, if anything is."""
    if b"t" in body or b"f" in body:  # true and false, which NumPy takes for numbers
        return None
    try:
        match orjson.loads(body):
            case {"images": list() as rows, **rest} if not rest and 1 <= len(rows) <= MAX_IMAGES:
                found = np.array(rows)
            case _:
                return None
    except ValueError:  # no JSON, or lists of several lengths
        return None
    fits = found.shape[1:] == (SIDE, SIDE) and found.dtype.kind in "iuf" and found.min() >= 0 and found.max() <= 255
    return found.astype(np.float32) if fits else None


def sentence(error: ValidationError) -> str:
    """The first thing that was wrong."""
    first = error.errors(include_url=False)[0]
    name, *indices = first["loc"] or ("the body",)
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    if name == "the body":
        return f'the body is {shown(first["input"])}, expected {{"images": [...]}}'
    if first["type"] == "extra_forbidden":
        return f"{name} is not known, expected images alone"
    expected = EXPECTED[len(indices)]
    if first["type"] == "missing":
        return f"{name} is missing, expected {expected}"
    return f"{name}{''.join(f'[{index}]' for index in indices)} is {shown(first['input'])}, expected {expected}"


def shown(value: object) -> str:
    """A value in a few words."""
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
                "Recognise images of 28x28 pixels: JSON, or a byte a pixel; bytes are answered in bytes, a digit's "
                "place in classes for each image and then, for each, the probabilities as little-endian 32-bit floats.",
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
                [query("brief", "leave the evidence out, which takes the longest", required=False)],
            ),
            "/compare": operation(
                "Ask every variant of the study.",
                {"application/json": content(Images)},
                {"application/json": content(Comparison)},
            ),
            "/feedback": correction(
                operation(
                    "Say what an image of 28x28 shows in truth: a byte a pixel. Kept where DIGITLINE_FEEDBACK names a "
                    "folder, from this service's own page.",
                    {RAW: binary},
                    {"application/json": content(Kept)},
                    [query("label", "a class, or nothing for none of them", required=True)],
                )
            ),
            "/lineage": get("Where the model comes from.", content(Lineage), refusals=BUSY),
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
    """A path that takes a POST."""
    answers = {"200": {"description": "The model's answer", "content": answer}, **refused(REFUSALS)}
    body = {"required": True, "content": bodies}
    return {"post": {"summary": summary, "parameters": parameters or [], "requestBody": body, "responses": answers}}


def correction(path: dict[str, Any]) -> dict[str, Any]:
    """A path with the refusals besides that only corrections know."""
    path["post"]["responses"] |= refused(CLOSED)
    return path


def query(name: str, description: str, *, required: bool) -> dict[str, Any]:
    """A parameter of a URL."""
    text = {"schema": {"type": "string"}, "allowEmptyValue": True}
    return {"name": name, "in": "query", "description": description, "required": required, **text}


def get(
    summary: str, answer: dict[str, Any], media: str = "application/json", refusals: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """A path that takes a GET."""
    answers = {"200": {"description": summary, "content": {media: answer}}, **refused(refusals)}
    return {"get": {"summary": summary, "responses": answers}}


def refused(refusals: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What may come in place of an answer."""
    return {status: {"description": why, "content": {"application/json": content(Refusal)}} for status, why in refusals}


def content(model: type[BaseModel]) -> dict[str, Any]:
    """A body of that model."""
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
