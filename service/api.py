"""The routes. A client's error is a 4xx with {"error": "one sentence"}; the service never fetches a URL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from digitline.base.errors import InputError
from digitline.data import prepare
from digitline.data.dataset import blank
from service import encodings, feedback, form, metrics, quota, reader, schema, v2
from service.form import Form
from service.work import RETRY, Work

if TYPE_CHECKING:  # it imports ONNX Runtime, which the command that starts the workers does not need
    from digitline.serving.runtime import Floats, Images
    from service.champion import Champion, Study

SHORT = 64 * 2**10  # bytes; a longer body is read in a thread
FORM_BYTES = 4096  # of a form besides its file
BODY_SECONDS = 30  # until a body must have arrived
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


async def predict(request: Request) -> Response:
    """Recognises images of the champion's shape, as JSON or bytes."""
    kind, champion, work = media(request), request.app.state.champion, request.app.state.work
    if kind not in KINDS:
        raise unsupported(request, *KINDS)
    limit, read, write = KINDS[kind]
    data = await body(request, limit(champion.form))
    with work.admitted(len(data)):
        images = read(data, champion.form) if len(data) <= SHORT else await work.run(read, data, champion.form)
        metrics.IMAGES.observe(len(images))
        quota.charging(request.scope)(len(images))
        probabilities = await work.recognise(champion, images)
    return answered_by(champion, write(champion, probabilities), request)


def predictions(champion: "Champion", probabilities: "Floats") -> schema.Predictions:
    answers = [schema.prediction(each) for each in champion.answers(probabilities)]
    return schema.Predictions(model=champion.sha256, classes=champion.classes, predictions=answers)


def raw_predictions(champion: "Champion", probabilities: "Floats") -> bytes:
    places: bytes = probabilities.argmax(1).astype(np.uint8).tobytes()
    return places + probabilities.astype("<f4").tobytes()


class Kind(NamedTuple):
    """What a media type of /predict needs."""

    limit: Callable[[Form], int]  # bytes of a body
    read: Callable[[bytes, Form], "Images"]
    write: Callable[["Champion", "Floats"], BaseModel | bytes]


KINDS = {
    "application/json": Kind(lambda sent: sent.json_bytes, form.images, predictions),
    schema.RAW: Kind(lambda sent: sent.most_raw * sent.values, form.raw, raw_predictions),
}


async def infer(request: Request) -> Response:
    """Recognises images as /predict does, by the Open Inference Protocol."""
    champion, work = v2.current(request), request.app.state.work
    length = request.headers.get(v2.LENGTH)
    data = await body(request, champion.form.json_bytes)
    with work.admitted(len(data)):
        short = len(data) <= SHORT
        asked = v2.read(data, length, champion.form) if short else await work.run(v2.read, data, length, champion.form)
        metrics.IMAGES.observe(len(asked.images))
        quota.charging(request.scope)(len(asked.images))
        probabilities = await work.recognise(champion, asked.images)
    request.scope["model"] = champion.sha256
    return v2.answer(champion, asked, probabilities)


async def classify(request: Request) -> Response:
    """Recognises a picture, sent as the body or as a file in a form."""
    return await answer(request, classification, await picture(request))


def classification(champion: "Champion", data: bytes) -> schema.Classification:
    image, sure = champion.prepared(data)
    metrics.IMAGES.observe(1)
    [found] = champion.answers(champion.probabilities(image[None], sure=sure))
    answer = schema.prediction(found._replace(doubtful=found.doubtful or not sure)).model_dump()
    return schema.Classification(model=champion.sha256, classes=champion.classes, **answer, image=image.tolist())


async def read(request: Request) -> Response:
    """Reads the numbers in a picture, sent as for classify."""
    champion, work = request.app.state.champion, request.app.state.work
    if champion.preparation != "mnist":
        raise HTTPException(
            409, f"the champion's preparation is {champion.preparation}, expected mnist to read numbers"
        )
    data = await picture(request)
    with work.admitted(len(data)):
        page, images = await work.run(reader.candidates, data)
        metrics.IMAGES.observe(len(images))
        quota.charging(request.scope)(len(images))
        probabilities = await work.recognise(champion, images, tried=True)
        result = await work.run(reader.answer, champion, page, probabilities)
    return answered_by(champion, result, request)


async def explain(request: Request) -> Response:
    """Like classify; the answer also has the layers' feature maps and, unless it is brief, the evidence."""
    return await answer(request, partial(explanation, brief(request)), await picture(request))


def brief(request: Request) -> bool:
    """Whether the evidence is to be left out; InputError if the query does not say so clearly."""
    match request.query_params.getlist("brief"):
        case [] | ["false"]:
            return False
        case ["" | "true"]:
            return True
    raise InputError("the query is invalid, expected brief or brief=true to omit the evidence, brief=false to have it")


def explanation(brief: bool, champion: "Champion", data: bytes) -> schema.Explanation:
    found = classification(champion, data)
    image = np.array(found.image, np.uint8)
    layers = [schema.Seen(**layer.units(), maps=schema.packed(layer.maps)) for layer in champion.layers(image)]
    evidence = None if brief else champion.evidence(image, found.label).round(3).tolist()
    return schema.Explanation(**found.model_dump(), layers=layers, evidence=evidence)


async def network(request: Request) -> Response:
    """Describes the layers, independently of an image, and what the page needs to know."""
    return await answer(request, partial(architecture, request.app.state.study, feedback.folder() is not None), b"")


def architecture(study: "Study", corrections: bool, champion: "Champion", _: bytes) -> schema.Network:
    layers = [
        schema.Filters(
            **layer.units(),
            filters=None if layer.filters is None else schema.packed(layer.filters),
            bias=None if layer.bias is None else layer.bias.tolist(),
            scale=None if layer.scale is None else layer.scale.tolist(),
        )
        for layer in champion.layers(blank(1, champion.shape)[0])
    ]
    return schema.Network(
        model=champion.sha256,
        classes=champion.classes,
        dataset=champion.dataset,
        image=schema.Size(**champion.shape._asdict()),
        preparation=champion.preparation,
        variants=study.names,
        apart=study.apart,
        members=len(champion.card.get("members", [0])),
        corrections=corrections,
        layers=layers,
    )


async def correct(request: Request) -> Response:
    """Keeps a correction: the right label of an image, sent as bytes."""
    place = feedback.admitted(request)
    if media(request) != schema.RAW:
        raise unsupported(request, schema.RAW)
    champion = request.app.state.champion
    name = feedback.label(request, champion.classes)
    return await answer(request, partial(feedback.keep, place, name), await body(request, champion.form.values))


async def compare(request: Request) -> Response:
    """Recognises images of the champion's shape, as JSON, with every variant of the study."""
    if media(request) != "application/json":
        raise unsupported(request, "application/json")
    data = await body(request, request.app.state.champion.form.json_bytes)
    return await answer(request, partial(comparison, request.app.state.study, quota.charging(request.scope)), data)


def comparison(study: "Study", charge: Callable[[int], None], champion: "Champion", data: bytes) -> schema.Comparison:
    images = form.images(data, champion.form)
    charge(len(images) * len(study.names))
    if study.apart:
        raise HTTPException(409, f"{study.apart}; dvc repro makes a study of the data set in use")
    found = study.probabilities(images)
    return schema.Comparison(classes=champion.classes, variants={name: rows.tolist() for name, rows in found.items()})


async def lineage(request: Request) -> Response:
    """Describes the model's origin."""
    return await answer(request, origin, b"")


def origin(champion: "Champion", _: bytes) -> schema.Lineage:
    return schema.Lineage(**{**champion.lineage(), "model": champion.sha256})


async def answer(request: Request, work: Callable[["Champion", bytes], BaseModel], data: bytes) -> Response:
    """Does the work in a thread, so that the next request can be read meanwhile; 503 at once if beyond capacity."""
    champion, place = request.app.state.champion, request.app.state.work
    with place.admitted(len(data)):
        return answered_by(champion, await place.run(work, champion, data), request)


def answered_by(champion: "Champion", result: BaseModel | bytes, request: Request) -> Response:
    """A response that names the model in a header and in the log."""
    request.scope["model"] = champion.sha256
    headers = {"X-Model": champion.sha256}
    if isinstance(result, bytes):
        return Response(result, media_type=schema.RAW, headers=headers)
    return Response(result.model_dump_json(), media_type="application/json", headers=headers)


async def picture(request: Request) -> bytes:
    """The picture's bytes: the body, or the single file of a form."""
    if media(request) == "multipart/form-data":
        data = await upload(request)
    elif media(request) in schema.PICTURES:
        data = await body(request, prepare.MAX_BYTES)
    else:
        raise unsupported(request, "multipart/form-data", *schema.PICTURES)
    quota.pictured(request.scope, data)
    return data


async def body(request: Request, limit: int) -> bytes:
    """The whole body."""
    async with arriving(request, limit) as limited:
        return await limited.body()


async def upload(request: Request) -> bytes:
    """The single file of a form."""
    async with arriving(request, prepare.MAX_BYTES + FORM_BYTES) as limited, limited.form() as form:
        match form.multi_items():
            case [("image", UploadFile() as file)]:
                return await file.read()
    raise InputError("the form is invalid, expected exactly one file, in the field image")


@asynccontextmanager
async def arriving(request: Request, limit: int) -> AsyncIterator[Request]:
    """The same request, its body decompressed; refused as soon as that is too large or takes too long."""
    refusal = HTTPException(413, f"the body is too large, expected at most {limit} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise refusal
    received, decoder = 0, encodings.decoder(request.headers.get("content-encoding"))
    work = request.app.state.work
    with work.arrival() as more:

        async def receive() -> Message:
            nonlocal received
            message = await request.receive()
            if decoder:
                message = await encodings.decoded(message, decoder, limit - received)
            size = len(message.get("body", b""))
            received += size
            if received > limit:
                raise refusal
            more(size)
            return message

        async with asyncio.timeout(BODY_SECONDS) as seconds:
            work.limits.add(seconds)
            try:
                yield Request(request.scope, receive)
            finally:
                work.limits.discard(seconds)


def media(request: Request) -> str:
    """The media type, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(request: Request, *expected: str) -> HTTPException:
    return HTTPException(415, f"the Content-Type is {media(request) or 'missing'}, expected {' or '.join(expected)}")


async def document(request: Request) -> Response:
    """Replaces BentoML's document, which lists only BentoML's own methods."""
    champion = request.app.state.champion
    return JSONResponse(schema.openapi(champion.shape, champion.preparation))


async def counts(request: Request) -> Response:
    """Replaces BentoML's metrics, which keep a row for every requested path."""
    return Response(metrics.text(), media_type="text/plain; version=0.0.4")


async def page(request: Request) -> Response:
    """The page of the API; replaces BentoML's, which loads Google's tag manager."""
    return FileResponse(Path(__file__).with_name("index.html"))


class Page(StaticFiles):
    """The drawing page, which loads only from this service and cannot be framed."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update(HEADERS)
        return response


async def refuse(request: Request, error: Exception) -> Response:
    """Turns an error into a response {"error": sentence}."""
    match error:
        case HTTPException(status_code=status, detail=sentence, headers=headers):
            return JSONResponse({"error": sentence}, status, headers)
        case InputError():
            return JSONResponse({"error": str(error)}, 400)
        case TimeoutError() if request.app.state.work.stopping:
            sentence = "the service is stopping, and the body has not arrived; try again"
            return JSONResponse({"error": sentence}, 503, {**RETRY, "Connection": "close"})
        case TimeoutError():
            sentence = f"the body took too long, expected all of it within {BODY_SECONDS} seconds"
            return JSONResponse({"error": sentence}, 408, {"Connection": "close"})
        case ClientDisconnect():
            return Response(status_code=400)  # the client has disconnected
        case _:
            return JSONResponse({"error": "the service failed; see its log"}, 500)


def missing(request: Request, error: Exception) -> Response:
    """404: an unknown path, or a version that is not served."""
    sentence = getattr(error, "detail", "Not Found")
    if sentence == "Not Found":  # Starlette's own
        sentence = f"there is no {request.scope['path'][:80]}; see {request.base_url.path}docs.json for the paths"
    return JSONResponse({"error": sentence}, 404)


def unmet(request: Request, error: Exception) -> Response:
    """405: a known path with another method; OPTIONS asks for those that it accepts."""
    headers = getattr(error, "headers", None) or {"Allow": "GET, HEAD"}  # files have none
    allowed = {"Allow": f"{headers['Allow']}, OPTIONS"}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    sentence = f"{request.scope['path']} does not accept {request.method}, expected {headers['Allow']}"
    return JSONResponse({"error": sentence}, 405, allowed)


async def to_page(request: Request) -> Response:
    """From /ui to the page; relative, because only a proxy may know the service's address."""
    return RedirectResponse("ui/")


class BentoML:
    """The routes that BentoML answers: liveness, readiness, the methods for its client, the files of its page."""

    PATHS = ("/livez", "/healthz", "/readyz", "/schema.json", "/static_content/{file}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 200

        async def unless_refused(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if status < 400:
                await send(message)

        await scope["app"].state.bentoml(scope, receive, unless_refused)
        if status >= 400:
            raise HTTPException(status)  # in our format


app = Starlette(
    routes=[
        Route("/predict", predict, methods=["POST"]),
        *(Route(f"{path}/infer", infer, methods=["POST"]) for path in v2.PATHS),
        Route("/classify", classify, methods=["POST"]),
        Route("/explain", explain, methods=["POST"]),
        Route("/read", read, methods=["POST"]),
        Route("/compare", compare, methods=["POST"]),
        Route("/network", network),
        Route("/lineage", lineage),
        Route("/feedback", correct, methods=["POST"]),
        Route("/docs.json", document),
        Route("/metrics", counts),
        Route("/v2", v2.server),
        Route("/v2/health/live", v2.live),
        Route("/v2/health/ready", v2.ready),
        *(Route(path, v2.model) for path in v2.PATHS),
        *(Route(f"{path}/ready", v2.ready) for path in v2.PATHS),
        Route("/", page),
        Route("/ui", to_page),
        Mount("/ui", Page(directory=Path(__file__).with_name("ui"), html=True)),
        *(Route(path, BentoML(), methods=["GET"]) for path in BentoML.PATHS),
    ],
    exception_handlers={
        **dict.fromkeys((HTTPException, InputError, TimeoutError, ClientDisconnect, Exception), refuse),
        404: missing,
        405: unmet,
    },
)
app.router.redirect_slashes = False  # it redirects to absolute addresses
app.state.work = Work()
