"""The champion over HTTP: `bentoml serve` in the repository's root, or a Bento that carries the model."""

import asyncio
import gc
from typing import Any

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLConfigException
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from digitline.base.errors import InputError
from digitline.registry import bento
from service import exchange, logs, protocol
from service.api import app
from service.front import Front, Shed


def champion() -> bentoml.models.BentoModel:
    """The model of this clone's champion, stored now where BentoML has it not; a Bento has its card alone, and it."""
    place = exchange.MODELS / "champion"
    try:
        in_clone = (place / bento.MODEL).exists()
        return bentoml.models.BentoModel(bento.store(place) if in_clone else bento.tag(place))
    except (InputError, OSError) as error:
        raise BentoMLConfigException(str(error)) from None


class Served:
    """Recognises handwritten digits: POST /predict takes 28x28 images as JSON, POST /classify a PNG or JPEG."""

    champion = champion()

    def __init__(self) -> None:
        # What is loaded here stays: a collector of garbage that looked through it would delay the start,
        # and later, by a tenth of a second, requests.
        gc.disable()
        import torch

        logs.configure(bentoml.server_context.worker_index or 1)
        torch.set_num_threads(1)  # the requests side by side keep the cores busy; threads within one would wait
        exchange.begin(app.state, str(self.champion.tag))
        gc.freeze()
        gc.enable()
        self.looking = asyncio.create_task(exchange.watch(app.state))  # for new champions, as long as the process runs


class First:
    """Asks our routes before BentoML's, which would answer a path that it does not know in a form of its own."""

    def __init__(self, app: ASGIApp, ours: Starlette) -> None:
        ours.state.bentoml = app
        self.bentoml = app
        self.ours: ASGIApp = Shed(ours)
        # BentoML has no public way to read its configuration.
        if BentoMLContainer.http.cors.enabled.get():
            options: dict[str, Any] = BentoMLContainer.access_control_options.get()
            self.ours = CORSMiddleware(self.ours, **options)
        self.ours = Front(self.ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.ours if scope["type"] == "http" else self.bentoml)(scope, receive, send)


class Outside(bentoml.Service[Served]):
    """Keeps BentoML's own layers for BentoML's own routes: on ours they would cost as much as the model does."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        return First(super().to_asgi(is_main), app)


Digitline = bentoml.service(
    name="digitline",
    http={"host": "127.0.0.1"},
    metrics={"enabled": False},  # ours are by route, of which there are few
    logging={"access": {"enabled": False}},
    service_class=Outside,
)(Served)
protocol.install()
