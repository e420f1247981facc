"""The routes: what a client gets wrong is a 4xx with {"error": "one sentence"}; no URL that it names is fetched."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from digitline import drawing
from digitline.errors import InputError
from service import schema
from service.champion import Champion

JSON_BYTES = 8 * 2**20  # of a body; what the most images take with every digit of every number written out
FORM_BYTES = 4096  # that a form adds to its file
BODY_SECONDS = 30  # for a body to arrive


async def predict(request: Request) -> Response:
    """Images of 28x28 as JSON."""
    if media(request) != "application/json":
        raise unsupported(request, "application/json")
    return await answer(request, predictions, await body(request, JSON_BYTES))


def predictions(champion: Champion, data: bytes) -> schema.Predictions:
    answers = [
        schema.Prediction(digit=digit, probabilities=probabilities)
        for digit, probabilities in champion.classify(schema.images(data))
    ]
    return schema.Predictions(model=champion.sha256, classes=champion.classes, predictions=answers)


async def classify(request: Request) -> Response:
    """A picture, as the body itself or as a form's file."""
    if media(request) == "multipart/form-data":
        data = await upload(request)
    elif media(request) in schema.PICTURES:
        data = await body(request, drawing.MAX_BYTES)
    else:
        raise unsupported(request, "multipart/form-data", *schema.PICTURES)
    return await answer(request, classification, data)


def classification(champion: Champion, data: bytes) -> schema.Classification:
    image = drawing.prepare(drawing.open_picture(data))
    if not image.any():
        raise InputError("the picture is blank, expected a digit darker or lighter than its background")
    [(digit, probabilities)] = champion.classify(image[None])
    return schema.Classification(
        model=champion.sha256,
        classes=champion.classes,
        digit=digit,
        probabilities=probabilities,
        image=image.tolist(),
    )


async def answer(request: Request, work: Callable[[Champion, bytes], BaseModel], data: bytes) -> Response:
    """Works in a thread, so that the next request can be read meanwhile."""
    champion: Champion = request.app.state.champion
    result = await asyncio.get_running_loop().run_in_executor(champion.threads, work, champion, data)
    return Response(result.model_dump_json(), media_type="application/json")


async def body(request: Request, limit: int) -> bytes:
    """The whole body."""
    async with asyncio.timeout(BODY_SECONDS):
        return await limited(request, limit).body()


async def upload(request: Request) -> bytes:
    """The one file of a form."""
    async with asyncio.timeout(BODY_SECONDS), limited(request, drawing.MAX_BYTES + FORM_BYTES).form() as form:
        match form.multi_items():
            case [("image", UploadFile() as file)]:
                return await file.read()
    raise InputError("the form is not as expected: one file, in the field image")


def limited(request: Request, limit: int) -> Request:
    """The same request, refused as soon as its body is known to be longer than the limit."""
    refusal = HTTPException(413, f"the body is too large, expected at most {limit} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise refusal
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise refusal
        return message

    return Request(request.scope, receive)


def media(request: Request) -> str:
    """The body's type, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(request: Request, *expected: str) -> HTTPException:
    return HTTPException(415, f"the Content-Type is {media(request) or 'missing'}, expected {' or '.join(expected)}")


async def document(request: Request) -> Response:
    """In place of BentoML's, which knows methods of its own alone."""
    return JSONResponse(schema.openapi())


async def page(request: Request) -> Response:
    """The document to read and try; in place of BentoML's page, which loads Google's tag manager."""
    return FileResponse(Path(__file__).with_name("index.html"))


async def refuse(request: Request, error: Exception) -> Response:
    """Turns what went wrong into the one form of an error."""
    match error:
        case HTTPException(status_code=status, detail=sentence, headers=headers):
            return JSONResponse({"error": sentence}, status, headers)
        case InputError():
            return JSONResponse({"error": str(error)}, 400)
        case TimeoutError():
            sentence = f"the body took too long, expected all of it within {BODY_SECONDS} seconds"
            return JSONResponse({"error": sentence}, 408, {"Connection": "close"})
        case ClientDisconnect():
            return Response(status_code=400)  # to nobody
        case _:
            return JSONResponse({"error": "a fault of the service; its log has more"}, 500)


app = Starlette(
    routes=[
        Route("/predict", predict, methods=["POST"]),
        Route("/classify", classify, methods=["POST"]),
        Route("/docs.json", document),
        Route("/", page),
    ],
    exception_handlers=dict.fromkeys((HTTPException, InputError, TimeoutError, ClientDisconnect, Exception), refuse),
)
