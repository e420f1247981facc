"""A span for each request, exported as OpenTelemetry's usual variables say; none unless one names an exporter.

BentoML traces the routes that it answers itself, by its own setting `tracing`; ours stand before them.
"""

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitline.base.errors import InputError

if TYPE_CHECKING:  # loaded only to trace, because it takes a tenth of a second
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def exporters() -> list[str]:
    """The exporters that the variables name."""
    named = os.environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if any(map(os.environ.get, ENDPOINTS)) else "none")
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    return [name for name in named.replace(",", " ").split() if name != "none"]


def kinds() -> list[type]:
    """The exporters' classes; InputError if one is not installed."""
    return [exporter(name) for name in exporters()]


def provider() -> "TracerProvider | None":
    """Where spans go; None if nowhere."""
    if not (found := kinds()):
        return None
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", "digitline")
    provider = TracerProvider()  # it reads the variables for the sampler and the resource
    for kind in found:
        provider.add_span_processor(BatchSpanProcessor(kind()))
    return provider


def exporter(name: str) -> type:
    """The exporter's class, which packages offer by its name."""
    protocol = next(filter(None, map(os.environ.get, PROTOCOLS)), "http/protobuf")
    offered = f"otlp_proto_{protocol.partition('/')[0]}" if name == "otlp" else name
    for entry in entry_points(group="opentelemetry_traces_exporter", name=offered):
        kind: type = entry.load()
        return kind
    package = f"opentelemetry-exporter-{offered.replace('_', '-')}"
    raise InputError(f"there is no exporter {name} for OpenTelemetry's traces; pip install {package}")


class Traces:
    """Gives each request a span, within the caller's trace."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry import propagate, trace

        self.app = app
        self.tracer = provider.get_tracer("digitline")
        self.extract, self.server, self.failed = propagate.extract, trace.SpanKind.SERVER, trace.StatusCode.ERROR

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        above = self.extract(Headers(scope=scope))
        with self.tracer.start_as_current_span(scope["method"], above, self.server) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(self.failed)
                await send(message)

            await self.app(scope, receive, noted)
            span.set_attributes(described(scope))
            if route := getattr(scope.get("route"), "path", None):
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)


def described(scope: Scope) -> dict[str, str]:
    """The request's attributes, afterwards: the route, the model and what a trusted proxy says are known then."""
    client = scope["client"][0] if scope["client"] else ""
    known = {"http.request.method": scope["method"], "url.scheme": scope["scheme"], "client.address": client}
    return {**known, "url.path": scope["path"], "digitline.model": scope.get("model") or ""}
