"""The champion over HTTP: `bentoml serve` in the repository's root, or a Bento that contains the model.

The command that supervises the workers imports this module as well. What only a worker needs, the routes and their
libraries, is imported where it is used: most of the time until the service is ready is spent importing.
"""

import asyncio
import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import bentoml
import numpy as np
from bentoml.exceptions import BentoMLConfigException, InvalidArgument
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from digitline.base.errors import InputError
from digitline.registry import bento
from service import access, exchange, lifetime, proxy, quota, schema, traces

lifetime.join()


def champion() -> bentoml.models.BentoModel:
    """This clone's champion in BentoML's store, added if missing; a Bento finds its own model by the card."""
    place = exchange.MODELS / "champion"
    try:
        in_clone = (place / bento.MODEL).exists()
        return bentoml.models.BentoModel(bento.store(place) if in_clone else bento.tag(place))
    except (InputError, OSError) as error:
        raise BentoMLConfigException(str(error)) from None


MENDS = {
    errno.EADDRINUSE: "stop the program that uses the port, or choose another one with bentoml serve --port",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose another one with bentoml serve --host",
    errno.EACCES: "this account may not open the port; choose one above 1023 with bentoml serve --port",
}


def prepare() -> None:
    """Runs in the process of bentoml serve, before that opens the port, which would end in a traceback."""
    sys.excepthook = one_sentence
    try:  # a wrong setting ends the command before it starts a worker
        quota.limit(), proxy.trusted(), traces.kinds()
        if file := access.path():
            access.read(file)
    except InputError as error:
        raise BentoMLConfigException(str(error)) from None
    lifetime.supervise()


def one_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints in one sentence that the port cannot be opened, and any other error as usual."""
    if isinstance(error, OSError) and error.filename is None and error.errno in MENDS:
        print(f"error: {error.strerror}; {MENDS[error.errno]}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


class Served:
    """Recognises images: POST /predict takes them as the model does, POST /classify as a picture's file."""

    champion = champion()
    prepare = bentoml.on_deployment(prepare)

    def __init__(self) -> None:
        from service.api import app

        with lifetime.starting():
            exchange.begin(app.state, str(self.champion.tag))

    @bentoml.api
    def predict(self, images: NDArray[np.float32]) -> schema.Predictions:
        """Recognises images of the champion's shape, [N, H, W] or [N, H, W, 3], of numbers from 0 to 255."""
        from service import api, form

        champion = api.app.state.champion
        with refusals():
            return api.predictions(champion, champion.probabilities(form.array(images, champion.form)))

    @bentoml.api
    def classify(self, image: Path) -> schema.Classification:
        """Recognises a picture: a PNG, JPEG, WebP, GIF, BMP or TIFF."""
        from service import api

        with refusals():
            return api.classification(api.app.state.champion, image.read_bytes())

    @bentoml.on_startup
    async def begin(self) -> None:
        """Runs in a worker, once the champion is loaded."""
        from service.api import app

        gc.freeze()
        gc.enable()
        self.looking = asyncio.create_task(exchange.watch(app.state))  # for new champions, until the process ends
        lifetime.started(app.state.work.hurry)


@contextmanager
def refusals() -> Iterator[None]:
    """Raises for wrong input what BentoML's client raises for a 400."""
    try:
        yield
    except InputError as error:
        raise InvalidArgument(str(error)) from None


class First:
    """Puts our routes before BentoML's, which would answer an unknown path in its own format.

    Around ours stands what is switched on: nothing else costs a request anything.
    """

    def __init__(self, bentoml: Starlette, ours: Starlette) -> None:
        from service.front import Front, Shed

        ours.state.bentoml = self.bentoml = bentoml
        self.ours: ASGIApp = Shed(ours)
        if limit := quota.limit():
            self.ours = quota.Limits(self.ours, limit)
        if file := access.path():
            self.ours = access.Keys(self.ours, file)
        for kind, _, options in bentoml.user_middleware:
            if kind is CORSMiddleware:  # only if BentoML's configuration names other sites
                self.ours = CORSMiddleware(self.ours, **options)
        if proxies := proxy.trusted():
            self.ours = proxy.Behind(self.ours, proxies)
        self.ours = Front(self.ours)
        self.tracing = traces.provider()
        if self.tracing:
            self.ours = traces.Traces(self.ours, self.tracing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.ours(scope, receive, send)
        else:
            await self.bentoml(scope, receive, send)
            if self.tracing and scope["type"] == "lifespan":  # the service has stopped
                self.tracing.shutdown()


class Outside(bentoml.Service[Served]):
    """Limits BentoML's middleware to BentoML's routes; on ours it would cost as much time as the model."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        # Everything loaded from here on stays, so the garbage collector need not check it: that would delay the start,
        # and later requests by a tenth of a second.
        gc.disable()
        os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would trust every program of this machine as a proxy
        from service import logs, protocol
        from service.api import app

        protocol.install()
        with lifetime.starting():
            logs.configure(bentoml.server_context.worker_index or 1)
            behind = super().to_asgi(is_main)
            return First(behind, app) if is_main else behind  # a part of another service answers only that one


Digitline = bentoml.service(
    name="digitline",
    http={"host": "127.0.0.1"},
    metrics={"enabled": False},  # ours are by route, and there are few routes
    logging={"access": {"enabled": False}},
    service_class=Outside,
)(Served)
