"""A load for servers: repeats one request over kept-alive connections and reads every answer to its end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import uvloop

TICK = 0.001  # seconds between two checks of what is due


class Outcome(NamedTuple):
    seconds: float
    latencies: list[float]  # seconds, one per answer with status 200
    failures: list[float]  # the same for other answers
    cpu: float  # CPU seconds of the load itself


class Connection(asyncio.Protocol):
    """One connection with at most one request in flight."""

    transport: asyncio.Transport

    def __init__(self, request: bytes, answered: "Callable[[Connection, float, bool], None]") -> None:
        self.request, self.answered = request, answered
        self.received, self.due = b"", 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, due: float) -> None:
        """Sends the request that was due at that time."""
        self.due = due
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if len(body) == int(length):
            self.received, due, self.due = b"", self.due, 0.0
            self.answered(self, time.perf_counter() - due, head.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.due:  # its answer will not come
            due, self.due = self.due, 0.0
            self.answered(self, time.perf_counter() - due, False)


def post(path: str, body: bytes, media: str, *headers: str) -> bytes:
    """A complete request."""
    known = ["Host: localhost", f"Content-Type: {media}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([f"POST {path} HTTP/1.1", *known, "", ""]).encode() + body


def closed(port: int, request: bytes, *, connections: int, seconds: float = 0.0, requests: int = 0) -> Outcome:
    """Closed loop: each connection repeats the request after each answer, for that long or often, until a failure."""

    async def run(good: list[float], bad: list[float]) -> None:
        began, asking, done = time.perf_counter(), connections, asyncio.get_running_loop().create_future()

        def answered(connection: Connection, latency: float, well: bool) -> None:
            nonlocal asking
            (good if well else bad).append(latency)
            now = time.perf_counter()
            if well and ((now - began < seconds) if seconds else (len(good) < requests)):
                connection.ask(now)
                return
            connection.transport.close()
            asking -= 1
            if not asking:
                done.set_result(None)

        for connection in await connect(port, request, connections, answered):
            connection.ask(time.perf_counter())
        await done

    return measured(run)


def paced(port: int, request: bytes, *, connections: int, seconds: float, rate: float) -> Outcome:
    """Open loop: that many requests per second, evenly; waiting for a free connection counts as latency."""

    async def run(good: list[float], bad: list[float]) -> None:
        idle: deque[Connection] = deque()
        due: deque[float] = deque()

        def answered(connection: Connection, latency: float, well: bool) -> None:
            (good if well else bad).append(latency)
            if due:
                connection.ask(due.popleft())
            else:
                idle.append(connection)

        idle.extend(await connect(port, request, connections, answered))
        began, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) - began < seconds:
            while (when := began + sent / rate) <= now:
                sent += 1
                if idle:
                    idle.popleft().ask(when)
                else:
                    due.append(when)
            await asyncio.sleep(TICK)
        while len(good) + len(bad) < sent:
            await asyncio.sleep(TICK)

    return measured(run)


async def connect(port: int, request: bytes, count: int, answered: Callable[..., None]) -> list[Connection]:
    """Opens that many connections."""
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Connection(request, answered), "127.0.0.1", port) for _ in range(count)
    ]
    return [connection for _, connection in pairs]


def measured(run: Callable[[list[float], list[float]], Coroutine[Any, Any, None]]) -> Outcome:
    """The outcome of a load."""
    latencies: list[float] = []
    failures: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    uvloop.run(run(latencies, failures))
    return Outcome(time.perf_counter() - began, latencies, failures, time.process_time() - cpu)
