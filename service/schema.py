"""The responses of the API, and its OpenAPI document."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from digitline.data import formats
from digitline.data.entry import MNIST, Preparation, Shape
from service import form, v2

if TYPE_CHECKING:  # it imports ONNX Runtime, which the command that starts the workers does not need
    from service.champion import Answer

RAW = "application/octet-stream"
PICTURES = (*formats.READ.values(), RAW)
BUSY = [
    ("401", "The service asks for a key"),
    ("429", "The client has used up its images a second"),
    ("500", "The service failed"),
    ("503", "The service is at capacity"),
]
REFUSALS = [
    ("400", "The body is invalid"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too large"),
    ("415", "The Content-Type or the Content-Encoding is not supported"),
    *BUSY,
]
UNREAD = ("409", "The champion does not take a pen on paper, so there are no digits to find")
APART = ("409", "The study is of another data set than the champion")
NO_VERSION = ("404", "The champion has another version")
CLOSED = [
    ("403", "This service keeps no corrections, or the request is from another page"),
    ("409", "The correction cannot be kept: there are too many, or the kept ones are damaged"),
]


class Upload(BaseModel):
    """A form with one file."""

    image: Annotated[bytes, Field(json_schema_extra={"format": "binary"}, description=f"a {formats.TITLE}")]


class Prediction(BaseModel):
    label: Annotated[str, Field(description="the most probable class")]
    digit: Annotated[str, Field(json_schema_extra={"deprecated": True}, description="the same as label")]
    probabilities: Annotated[list[float], Field(description="one per class, in the order of classes")]
    doubtful: Annotated[
        bool,
        Field(
            description="less certain (entropy) than for 99% of the validation images, or a picture in which not "
            "exactly one mark on paper was found: perhaps none of the classes"
        ),
    ]


class Champion(BaseModel):
    model: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the model's weights")]
    classes: list[str]


class Predictions(Champion):
    predictions: Annotated[list[Prediction], Field(description="one per image, in the same order")]


class Classification(Prediction, Champion):
    image: Annotated[
        list[list[int]] | list[list[list[int]]],
        Field(description="the image that the model received: rows of grey values, or of [red, green, blue]"),
    ]


class Box(BaseModel):
    """In pixels of the picture, upright."""

    left: int
    top: int
    width: int
    height: int


class Digit(BaseModel):
    box: Box
    label: Annotated[str, Field(description="the most probable class")]
    probabilities: Annotated[list[float], Field(description="one per class, in the order of classes")]
    doubtful: Annotated[bool, Field(description="as for /classify, or it is unclear where this digit begins and ends")]


class Number(BaseModel):
    line: Annotated[int, Field(description="from 0, from top to bottom")]
    text: Annotated[str, Field(description="the labels, with a question mark for a doubtful one")]
    doubtful: Annotated[bool, Field(description="whether one of the digits is")]
    digits: Annotated[list[Digit], Field(description="from left to right")]


class Reading(Champion):
    width: Annotated[int, Field(description="of the picture, upright, in pixels")]
    height: int
    numbers: Annotated[list[Number], Field(description="line by line, from left to right")]


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
    window: Annotated[
        int,
        Field(description="side of a unit's window in each map of the layer before; all of the map where step is 0"),
    ]


class Seen(Layer):
    maps: Annotated[Map, Field(description="[channels, height, width]")]


class Filters(Layer):
    filters: Annotated[Map | None, Field(description="[channels, inputs, window, window]: the weights")]
    bias: Annotated[list[float] | None, Field(description="one per channel, added")]
    scale: Annotated[list[float] | None, Field(description="of a normalisation, one factor per channel")]


class Size(BaseModel):
    """Of an image, in pixels; with one channel it is grey, with three RGB."""

    height: int
    width: int
    channels: int


class Network(Champion):
    dataset: Annotated[str | None, Field(description="the data set that the model was trained on; null if unknown")]
    image: Annotated[Size, Field(description="what the model takes, see /predict")]
    preparation: Annotated[Preparation, Field(description="of a picture, see /classify")]
    variants: Annotated[list[str], Field(description="of the study, see /compare")]
    apart: Annotated[str | None, Field(description="why /compare does not answer; null if it does")]
    members: Annotated[int, Field(description="number of networks that vote; 1 without a vote")]
    corrections: Annotated[bool, Field(description="whether this service keeps corrections, see /feedback")]
    layers: Annotated[list[Filters], Field(description="for a vote, those of its first member")]


class Explanation(Classification):
    layers: Annotated[list[Seen], Field(description="for a vote, those of its first member")]
    evidence: Annotated[
        list[list[float]] | None,
        Field(
            description="rows of parts, at most 14 along the longer side: how much each part of the image adds to the "
            "label's log-odds; null with ?brief"
        ),
    ]


class Comparison(BaseModel):
    """The answers of every variant of the study to the same images."""

    classes: list[str]
    variants: Annotated[dict[str, list[list[float]]], Field(description="for each image, one probability per class")]


class Lineage(Champion):
    """The model's origin; null if unknown."""

    onnx_sha256: Annotated[str | None, Field(description="SHA-256 of the file that the service runs on a CPU")] = None
    variant: str
    seed: int | None = None
    members: Annotated[list[int] | None, Field(description="seeds of a vote")] = None
    parameters: int | None = None
    macs: Annotated[int | None, Field(description="multiply-adds per image")] = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    test_corrupted: Annotated[float | None, Field(description="accuracy on corrupted test images")] = None
    test_doubted: Annotated[float | None, Field(description="share of test images marked as doubtful")] = None
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


def prediction(answer: "Answer") -> Prediction:
    return Prediction(digit=answer.label, **answer._asdict())


def packed(values: NDArray[np.float32]) -> Map:
    """An array as 16-bit integers, precise enough for sums to three decimals."""
    low, high = float(values.min()), float(values.max())
    steps = np.rint((values - low) * (65535 / (high - low or 1))).astype("<u2")
    return Map(shape=list(values.shape), low=low, high=high, data=base64.b64encode(steps.tobytes()).decode())


# What happens to a picture, by preparation.
PREPARED = {
    "mnist": "a pen on paper, dark on light or light on dark, which is brought to {size} pixels as MNIST's digits are",
    "letterbox": "any size, which is scaled to fit in {size} pixels; the rest takes the mean colour of its border",
    "crop": "any size, which is scaled to fill {size} pixels; what stands over is cut",
}

# What /predict, /compare, /feedback and V2 expect for MNIST's preparation, which they do not apply.
LIGHT = (
    "The images are as MNIST's: a light digit on a dark ground, 0 for the background and 255 for full ink. The answer "
    "to a dark digit on light ground is doubtful; /classify takes both."
)


@cache
def openapi(shape: Shape = MNIST, preparation: Preparation = "mnist") -> dict[str, Any]:
    """The OpenAPI document of the service of a champion that takes images of that shape."""
    sent, size = form.of(shape), form.of(shape).title
    answers = Predictions, Classification, Explanation, Reading, Network, Comparison, Lineage, Kept, Refusal, *v2.MODELS
    _, definitions = models_json_schema(
        [(model, "validation") for model in (sent.body, Upload, *answers)], ref_template="#/components/schemas/{model}"
    )
    text = {"schema": {"type": "string"}}
    document: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "digitline", "version": "1", "description": "The champion of the study, over HTTP."},
        "servers": [{"url": "."}],
        "paths": {
            **recognition(sent.body, size, PREPARED[preparation].format(size=f"{shape.height}x{shape.width}")),
            **inference(size),
            "/lineage": get("The model's origin.", content(Lineage), refusals=BUSY),
            "/network": get("The layers and filters of the model, and what it takes.", content(Network), refusals=BUSY),
            "/livez": get("Whether the process runs.", text, "text/plain"),
            "/readyz": get("Whether the model is loaded.", text, "text/plain"),
            "/schema.json": get("The methods, for BentoML's client.", {"schema": {"type": "object"}}),
            "/metrics": get("Counts and durations of requests, for Prometheus.", text, "text/plain"),
        },
        "components": {"schemas": definitions["$defs"]},
    }
    if preparation == "mnist":
        for path in ("/predict", "/compare", "/feedback", *(f"{path}/infer" for path in v2.PATHS)):
            document["paths"][path]["post"]["description"] = LIGHT
    return document


def recognition(images: type[BaseModel], size: str, picture: str) -> dict[str, Any]:
    """The paths that take images of that size, or a picture that is prepared so."""
    from digitline.data.lines import MOST  # the command that supervises the workers needs no pictures

    binary = {"schema": {"type": "string", "format": "binary"}}
    pictures = {"multipart/form-data": content(Upload), **dict.fromkeys(PICTURES, binary)}
    corrected = operation(
        f"Correct the answer to a {size} image, sent as one byte per value. The service must be started with "
        "DIGITLINE_FEEDBACK, and the request must come from its own page.",
        {RAW: binary},
        {"application/json": content(Kept)},
        [query("label", "a class, or empty for none of the classes", required=True)],
    )
    read = operation(
        f"Read the numbers in a picture of a pen on paper, with at most {MOST} digits apart or touching, line by line.",
        pictures,
        {"application/json": content(Reading)},
    )
    compared = operation(
        f"Recognise {size} images with every variant of the study.",
        {"application/json": content(images)},
        {"application/json": content(Comparison)},
    )
    return {
        "/predict": operation(
            f"Recognise {size} images, as JSON or as one byte per value. Bytes are answered in bytes: first each "
            "image's index in classes, then each image's probabilities as little-endian 32-bit floats.",
            {"application/json": content(images), RAW: binary},
            {"application/json": content(Predictions), RAW: binary},
        ),
        "/classify": operation(
            f"Recognise a picture: {picture}.",
            pictures,
            {"application/json": content(Classification)},
        ),
        "/explain": operation(
            "Recognise a picture as /classify does, and show what each layer sees and where the evidence lies.",
            pictures,
            {"application/json": content(Explanation)},
            [query("brief", "omit the evidence, which takes the longest", values=["", "true", "false"])],
        ),
        "/read": closed(read, UNREAD),
        "/compare": closed(compared, APART),
        "/feedback": closed(corrected, *CLOSED),
    }


def inference(size: str) -> dict[str, Any]:
    """The paths of the Open Inference Protocol, for images of that size."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    length = {"name": v2.LENGTH, "in": "header", "description": "bytes of the JSON, if bytes of tensors follow it"}
    images = operation(
        f"Recognise {size} images by the Open Inference Protocol, as JSON or as JSON and bytes.",
        {"application/json": content(v2.InferenceRequest), RAW: binary},
        {"application/json": content(v2.InferenceResponse), RAW: binary},
        [{**length, "required": False, "schema": {"type": "integer", "minimum": 0}}],
    )
    model = {
        "": get("What the model takes and returns.", content(v2.ModelMetadata)),
        "/ready": get("Whether the model is loaded.", content(v2.Ready)),
        "/infer": images,
    }
    current, by_version = v2.PATHS
    return {
        "/v2": get("The server, by the Open Inference Protocol.", content(v2.ServerMetadata)),
        "/v2/health/live": get("Whether the process runs.", content(v2.Live)),
        "/v2/health/ready": get("Whether the model is loaded.", content(v2.Ready)),
        **{current + path: item for path, item in model.items()},
        **{by_version + path: versioned(item) for path, item in model.items()},
    }


def versioned(path: dict[str, Any]) -> dict[str, Any]:
    """The same path for one version of the model."""
    [(method, same)] = path.items()
    version = {"name": "version", "in": "path", "description": "the first sixteen digits of the model's SHA-256"}
    parameters = [{**version, "required": True, "schema": {"type": "string"}}, *same.get("parameters", [])]
    return {method: {**same, "parameters": parameters, "responses": {**same["responses"], **refused([NO_VERSION])}}}


def operation(
    summary: str, bodies: dict[str, Any], answer: dict[str, Any], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A path that accepts POST."""
    answers = {"200": {"description": "The model's answer", "content": answer}, **refused(REFUSALS)}
    body = {"required": True, "content": bodies}
    return {"post": {"summary": summary, "parameters": parameters or [], "requestBody": body, "responses": answers}}


def closed(path: dict[str, Any], *refusals: tuple[str, str]) -> dict[str, Any]:
    """Adds the refusals that only this path has."""
    path["post"]["responses"] |= refused(refusals)
    return path


def query(name: str, description: str, *, required: bool = False, values: Sequence[str] = ()) -> dict[str, Any]:
    """A query parameter with any text, or with one of the values."""
    text = {"type": "string"} | ({"enum": values} if values else {})
    return {"name": name, "in": "query", "description": description, "required": required, "schema": text}


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
