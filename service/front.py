"""Middleware before the routes: gives each request an id, logs it and counts it."""

import logging
import re
import uuid
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.work import FULL, RETRY, Work

SANE = re.compile(r"[\w.:/+=-]{1,64}", re.ASCII)  # a client's id that is safe to log

log = logging.getLogger(__name__)


class Front:
    """Wraps an HTTP app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status, name = perf_counter(), 500, identity(scope)

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = name
            await send(message)

        try:
            await self.app(scope, receive, named)
        finally:
            record(scope, name, status, perf_counter() - began)


class Shed:
    """Refuses a request beyond capacity before its body is read, so that a refusal costs almost nothing."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.work: Work = app.state.work
        routes = [route for route in app.routes if isinstance(route, Route)]
        self.routes = [route for route in routes if "POST" in (route.methods or [])]
        self.refusal = JSONResponse({"error": FULL}, 503, RETRY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.work.full and (route := self.working(scope["path"].removeprefix(scope.get("root_path", "")))):
            scope["route"] = route
            metrics.SHED.inc()
            await self.refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def working(self, path: str) -> Route | None:
        """The route of the path if it takes work."""
        return next((route for route in self.routes if route.path_regex.match(path)), None)


def identity(scope: Scope) -> str:
    """The request's id: the client's, if it is safe, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if SANE.fullmatch(given) else uuid.uuid4().hex


def record(scope: Scope, name: str, status: int, seconds: float) -> None:
    """Counts the request and logs it, without its content."""
    route = getattr(scope.get("route"), "path", "none")  # by path, a client could create any number of rows
    metrics.REQUESTS.labels(route, status).inc()
    metrics.DURATIONS.labels(route).observe(seconds)
    fields: dict[str, Any] = {
        "id": name,
        "method": scope["method"],
        "path": scope["path"][:200],
        "status": status,
        "milliseconds": round(1000 * seconds, 3),
        "model": scope.get("model"),
    }
    log.info("request", extra={"fields": fields})
