"""The Open Inference Protocol (V2), as Triton and KServe speak it: its requests and answers, as JSON and as bytes."""

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from digitline.base.errors import InputError
from service.form import Form, raw, shown

if TYPE_CHECKING:  # it imports ONNX Runtime, which the command that starts the workers does not need
    from digitline.data.dataset import Bytes
    from digitline.serving.runtime import Floats
    from service.champion import Champion

MODEL = "digitline"
PATHS = f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/versions/{{version}}"
LENGTH = "Inference-Header-Content-Length"  # bytes of the decompressed body's JSON, if tensors follow it
KNOWN_BYTES = 1024  # of JSON that is kept
OUTPUTS = {"label": "BYTES", "probabilities": "FP32", "doubtful": "BOOL"}
JSON, RAW = "application/json", "application/octet-stream"


class Live(BaseModel):
    live: bool = True


class Ready(BaseModel):
    name: str = MODEL
    ready: bool = True


class ServerMetadata(BaseModel):
    name: str = MODEL
    version: str = "1"
    extensions: list[str] = ["binary_tensor_data"]


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: Annotated[list[int], Field(description="-1 is the number of images")]


class ModelMetadata(BaseModel):
    name: str = MODEL
    versions: Annotated[list[str], Field(description="the first sixteen digits of the model's SHA-256")]
    platform: str = "digitline_onnx"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Strict(BaseModel):
    """A part of a request. Unknown keys are ignored, because clients also send those of other servers."""

    model_config = ConfigDict(strict=True)


class InputParameters(Strict):
    binary_data_size: Annotated[int | None, Field(description="bytes of the images, after the JSON")] = None
    shared_memory_region: None = None


class RequestInput(Strict):
    name: Literal["images"]
    datatype: Literal["UINT8"]
    shape: Annotated[list[int], Field(description="as in the model's metadata, with the number of images")]
    parameters: InputParameters | None = None
    data: Annotated[list[Any] | None, Field(description="the values, flat or nested as in the shape")] = None


class OutputParameters(Strict):
    binary_data: Annotated[bool | None, Field(description="bytes after the JSON instead of values in it")] = None
    classification: None = None
    shared_memory_region: None = None


class RequestOutput(Strict):
    name: Literal["label", "probabilities", "doubtful"]
    parameters: OutputParameters | None = None


class RequestParameters(Strict):
    binary_data_output: Annotated[bool | None, Field(description="binary_data of the outputs without their own")] = None


class InferenceRequest(Strict):
    id: Annotated[str | None, Field(description="repeated in the answer")] = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[RequestInput], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[RequestOutput] | None, Field(description="without them, all")] = None

    @cached_property
    def wanted(self) -> dict[str, bool]:
        """Whether each requested output is wanted as bytes."""
        usual = bool((self.parameters or RequestParameters()).binary_data_output)
        wanted = dict.fromkeys([each.name for each in self.outputs or []] or OUTPUTS, usual)
        for each in self.outputs or []:
            if each.parameters and each.parameters.binary_data is not None:
                wanted[each.name] = each.parameters.binary_data
        return wanted


class ResponseOutput(TensorMetadata):
    parameters: Annotated[dict[str, int] | None, Field(description="binary_data_size, if bytes follow the JSON")] = None
    data: Annotated[list[Any] | None, Field(description="flat")] = None


class InferenceResponse(BaseModel):
    id: str | None = None
    model_name: str
    model_version: str
    outputs: list[ResponseOutput]


MODELS = Live, Ready, ServerMetadata, ModelMetadata, InferenceRequest, InferenceResponse


class Asked(NamedTuple):
    """What a request wants to know."""

    images: "Bytes"  # [N, H, W] or [N, H, W, 3]
    outputs: dict[str, bool]  # whether as bytes, by name
    id: str | None = None


async def live(request: Request) -> Response:
    return described(Live())


async def ready(request: Request) -> Response:
    """A worker listens only when its model is loaded."""
    current(request)
    return described(Ready())


async def server(request: Request) -> Response:
    return described(ServerMetadata())


async def model(request: Request) -> Response:
    champion = current(request)
    shapes = {name: [-1, len(champion.classes)] if name == "probabilities" else [-1] for name in OUTPUTS}
    outputs = [TensorMetadata(name=name, datatype=OUTPUTS[name], shape=shape) for name, shape in shapes.items()]
    images = TensorMetadata(name="images", datatype="UINT8", shape=[-1, *champion.form.sizes])
    return described(ModelMetadata(versions=[version(champion)], inputs=[images], outputs=outputs))


def described(what: BaseModel) -> Response:
    return Response(what.model_dump_json(), media_type=JSON)


def version(champion: "Champion") -> str:
    """The model's version: the first sixteen digits of its SHA-256."""
    return champion.sha256[:16]


def current(request: Request) -> "Champion":
    """The champion; 404 if the path has another one's version."""
    champion: Champion = request.app.state.champion
    asked = request.path_params.get("version", version(champion))
    if asked != version(champion):
        raise HTTPException(404, f"there is no version {asked[:40]} of {MODEL}, expected {version(champion)}")
    return champion


def read(body: bytes, length: str | None, form: Form) -> Asked:
    """A body, of which that many bytes are JSON; InputError says what is wrong in it."""
    size = json_bytes(length, len(body))
    if length and not size:  # the extension's form for a single input: its bytes alone
        return Asked(raw(body, form), dict.fromkeys(OUTPUTS, True))
    repeated = size <= KNOWN_BYTES and len(body) > size
    asked = (known if repeated else parsed)(body[:size])
    return Asked(images(asked.inputs[0], body[size:], form), asked.wanted, asked.id)


def parsed(text: bytes) -> InferenceRequest:
    """A request's JSON; InputError says what is wrong in it."""
    try:
        return InferenceRequest.model_validate_json(text)
    except ValidationError as error:
        raise InputError(sentence(error)) from None


known = lru_cache(64)(parsed)  # a client's requests often differ only in the bytes after their JSON


def json_bytes(length: str | None, most: int) -> int:
    """The header's number of bytes; all without it, because then all is JSON."""
    if length is None:
        return most
    if not (length.isdecimal() and len(length) < 10 and int(length) <= most):
        raise InputError(f"{LENGTH} is {length[:40]}, expected a number from 0 to the body's {most} bytes")
    return int(length)


def images(sent: RequestInput, rest: bytes, form: Form) -> "Bytes":
    """The images [N, H, W] or [N, H, W, 3] of an input: its data, or the bytes after the JSON."""
    declared = (sent.parameters or InputParameters()).binary_data_size
    most = form.most if declared is None else form.most_raw
    count, *sizes = sent.shape or [0]
    if tuple(sizes) != form.sizes or not 1 <= count <= most:
        expected = f"[N, {', '.join(map(str, form.sizes))}] with N from 1 to {most}"
        raise InputError(f"inputs[0].shape is {str(sent.shape)[:60]}, expected {expected}")
    size = count * form.values
    if (declared is None) == (sent.data is None):
        found = "neither data nor" if declared is None else "both data and"
        raise InputError(f"inputs[0] has {found} binary_data_size, expected one of them")
    if declared not in (None, size):
        raise InputError(f"inputs[0].parameters.binary_data_size is {shown(declared)}, expected {size}")
    if len(rest) != (declared or 0):
        raise InputError(f"the body has {len(rest)} bytes after its JSON, expected {declared or 0}")
    pixels = rest if sent.data is None else values(sent.data, [size], sent.shape)
    return np.frombuffer(bytearray(pixels), np.uint8).reshape(sent.shape)


def values(data: list[Any], *shapes: list[int]) -> bytes:
    """The numbers of an input's data, which has one of the shapes."""
    found = np.array(data, object)
    shape = list(found.shape)
    if shape not in shapes:
        raise InputError(f"inputs[0].data has the shape {str(shape)[:60]}, expected {' or '.join(map(str, shapes))}")
    numbers = found.ravel().tolist()
    wrong = [value for value in numbers if type(value) is not int or not 0 <= value <= 255]  # True is an int, too
    if wrong:
        raise InputError(f"inputs[0].data has {shown(wrong[0])}, expected whole numbers from 0 to 255")
    return bytes(numbers)


EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "none_required": "none: this service has no such extension",
    "string_type": "a text",
    "too_long": "a list of one input",
    "too_short": "a list of one input",
}


def sentence(error: ValidationError) -> str:
    """The first error, as one sentence."""
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "json_invalid":
        return f"the body is not JSON: {context['error']}"
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])[1:] or "the body"
    if kind == "missing":
        return f"{place} is missing"
    expected = context.get("expected") or EXPECTED.get(kind, "another value")
    return f"{place} is {shown(first['input'])}, expected {expected}"


def answer(champion: "Champion", asked: Asked, probabilities: "Floats") -> Response:
    """The requested outputs, from probabilities [N, classes]: JSON, then the tensors that are wanted as bytes."""
    outputs, parts, count = [], [], len(probabilities)
    for name, binary in asked.outputs.items():
        found = tensor(name, champion, probabilities)
        shape = probabilities.shape if name == "probabilities" else [count]
        output: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": shape}
        if binary:
            parts.append(packed(found))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = found if name == "label" else found.ravel()
        outputs.append(output)
    head = {"model_name": MODEL, "model_version": version(champion), "outputs": outputs}
    if asked.id is not None:
        head["id"] = asked.id
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"X-Model": champion.sha256}
    if parts:
        headers[LENGTH] = str(len(text))
    return Response(b"".join([text, *parts]), media_type=RAW if parts else JSON, headers=headers)


def tensor(name: str, champion: "Champion", probabilities: "Floats") -> Any:
    """An output: texts, or an array."""
    match name:
        case "label":
            return [champion.classes[place] for place in probabilities.argmax(1).tolist()]
        case "doubtful":
            return champion.doubtful(probabilities)
    return probabilities.astype("<f4", copy=False)


def packed(found: Any) -> bytes:
    """An output as bytes; a text has its length before it."""
    if isinstance(found, list):
        return b"".join(len(text).to_bytes(4, "little") + text for text in map(str.encode, found))
    return bytes(found.tobytes())
