"""The answers to slow or invalid clients, over real connections."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from service import protocol
from tests.served import free_port


async def hello(_: object) -> PlainTextResponse:
    return PlainTextResponse("hello")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that waits half a second for headers."""
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
    protocol.install()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/", hello)]), port=port, log_level="error"))
    thread = threading.Thread(target=asyncio.run, args=[server.serve()])
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()


def answered(port: int, *parts: bytes) -> bytes:
    """Sends the parts with a pause after each; returns everything until the server closes the connection."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(0.05)
        return client.makefile("rb").read()


@pytest.mark.parametrize("parts", [[], [b"GET / HTTP/1.1\r\n"], [b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"b", b"c"]])
def test_headers_that_do_not_arrive_time_out(port: int, parts: list[bytes]) -> None:
    head, _, body = answered(port, *parts).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    sentence = "the headers took too long, expected all of them within 0.5 seconds"
    assert json.loads(body) == {"error": sentence}


def test_a_second_request_on_the_same_connection_has_its_own_time_limit(port: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = answered(port, whole, whole, b"GET / HTTP/1.1\r\n")
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.count(b"HTTP/1.1 408 ") == 1


def test_invalid_http_is_refused_as_json(port: int) -> None:
    head, _, body = answered(port, b"\x16\x03\x01 nonsense\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body) == {"error": "the request is not valid HTTP/1.1"}
