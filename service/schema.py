"""What goes in and what comes out, and the OpenAPI document that says so."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError
from pydantic.json_schema import models_json_schema

from digitline.drawing import SIDE
from digitline.errors import InputError

MAX_IMAGES = 256  # of one call

Pixel = Annotated[float, Field(strict=True, ge=0, le=255, allow_inf_nan=False)]
Row = Annotated[list[Pixel], Field(strict=True, min_length=SIDE, max_length=SIDE), FailFast()]
Pixels = Annotated[list[Row], Field(strict=True, min_length=SIDE, max_length=SIDE), FailFast()]
PICTURES = ("image/png", "image/jpeg", "application/octet-stream")
REFUSALS = [
    ("400", "The body is not as expected"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too large"),
    ("415", "The body is of another type"),
    ("500", "A fault of the service"),
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


class Champion(BaseModel):
    model: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the model's weights")]
    classes: list[str]


class Predictions(Champion):
    predictions: Annotated[list[Prediction], Field(description="one for each image, in their order")]


class Classification(Prediction, Champion):
    image: Annotated[list[list[int]], Field(description="the 28x28 image as the model saw it")]


class Refusal(BaseModel):
    error: Annotated[str, Field(description="one sentence: what was wrong and what was expected")]


def images(body: bytes) -> NDArray[np.float32]:
    """The images [N, 28, 28] of a JSON body; InputError says what in it is not as expected."""
    try:
        return np.array(Images.model_validate_json(body).images, np.float32)
    except ValidationError as error:
        raise InputError(sentence(error)) from None


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
    models: list[type[BaseModel]] = [Images, Upload, Predictions, Classification, Refusal]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    picture = {"schema": {"type": "string", "format": "binary"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "digitline", "version": "1", "description": "The champion of the study, over HTTP."},
        "servers": [{"url": "."}],
        "paths": {
            "/predict": operation(
                "Recognise images of 28x28 pixels.", {"application/json": content(Images)}, content(Predictions)
            ),
            "/classify": operation(
                "Recognise the digit in a picture of any size, dark on light or light on dark.",
                {"multipart/form-data": content(Upload), **dict.fromkeys(PICTURES, picture)},
                content(Classification),
            ),
            "/livez": probe("Whether the process runs.", "text/plain"),
            "/readyz": probe("Whether the model is loaded.", "text/plain"),
            "/metrics": probe("Counts and durations of requests, for Prometheus.", "text/plain"),
        },
        "components": {"schemas": definitions["$defs"]},
    }


def operation(summary: str, bodies: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """A path that takes a POST."""
    refusals = {
        status: {"description": why, "content": {"application/json": content(Refusal)}} for status, why in REFUSALS
    }
    answers = {"200": {"description": "The model's answer", "content": {"application/json": answer}}, **refusals}
    return {"post": {"summary": summary, "requestBody": {"required": True, "content": bodies}, "responses": answers}}


def probe(summary: str, media: str) -> dict[str, Any]:
    """A path that takes a GET."""
    answer = {"description": summary, "content": {media: {"schema": {"type": "string"}}}}
    return {"get": {"summary": summary, "responses": {"200": answer}}}


def content(model: type[BaseModel]) -> dict[str, Any]:
    """A body of that model."""
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
