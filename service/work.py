"""The queue of requests: a few threads process them in order; beyond capacity they are refused at once."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar, TypeVarTuple

import numpy as np
from starlette.exceptions import HTTPException

from service import metrics

if TYPE_CHECKING:  # it imports ONNX Runtime, which the command that starts the workers does not need
    from digitline.serving.runtime import Floats, Images
    from service.champion import Champion

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

THREADS = min(4, os.cpu_count() or 1)  # each may need half a gigabyte for the largest picture
CAPACITY = 64  # requests
CAPACITY_BYTES = 16 * 2**20  # of all their bodies; a single one may be larger
ARRIVING_BYTES = 256 * 2**20  # of bodies that are still arriving
FULL, RETRY = "the service is at capacity, try again", {"Retry-After": "1"}
BATCH = 64  # images per batch


class Pass(NamedTuple):
    """One request's images in the queue."""

    run: "Callable[[Images], Floats]"  # a champion's
    images: "Images"
    done: "asyncio.Future[Floats]"


class Work:
    """The queue of one process."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS)
        self.requests = self.bytes = self.arriving = 0
        self.passes: deque[Pass] = deque()
        self.drains: set[asyncio.Task[None]] = set()
        self.limits: set[asyncio.Timeout] = set()  # of the bodies that are arriving
        self.stopping = False

    @property
    def full(self) -> bool:
        """Whether no further request is accepted."""
        return self.requests >= CAPACITY

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Reserves a place for a request with a body of that many bytes; 503 if there is none."""
        if self.full or (self.requests and self.bytes + size > CAPACITY_BYTES):
            raise refusal()
        self.requests, self.bytes = self.requests + 1, self.bytes + size
        metrics.WAITING.inc()
        try:
            yield
        finally:
            self.requests, self.bytes = self.requests - 1, self.bytes - size
            metrics.WAITING.dec()

    @contextmanager
    def arrival(self) -> Iterator[Callable[[int], None]]:
        """Counts the bytes of a body while it arrives; 503 if all arriving bodies exceed the limit."""
        received = 0

        def more(size: int) -> None:
            nonlocal received
            received, self.arriving = received + size, self.arriving + size
            if self.arriving > ARRIVING_BYTES:
                raise refusal()

        try:
            yield more
        finally:
            self.arriving -= received

    def hurry(self, seconds: float) -> None:
        """The service stops: a body that is still arriving has at most these seconds left."""
        self.stopping, latest = True, asyncio.get_running_loop().time() + seconds
        for limit in self.limits:
            if (when := limit.when()) and when > latest:
                limit.reschedule(latest)

    async def run(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Calls the function in a thread, so that the next request can be read meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)

    async def recognise(self, champion: "Champion", images: "Images", *, tried: bool = False) -> "Floats":
        """The probabilities of the images [N, classes]; waiting requests are batched; tried ones are not counted."""
        run = champion.tried if tried else champion.probabilities
        job = Pass(run, images, asyncio.get_running_loop().create_future())
        self.passes.append(job)
        if len(self.drains) < THREADS:
            drain = asyncio.create_task(self.drain())
            self.drains.add(drain)
            drain.add_done_callback(self.drains.discard)
        return await job.done

    async def drain(self) -> None:
        """Processes batches until the queue is empty."""
        while self.passes:
            jobs = self.next_pass()
            found: Floats | BaseException
            pending = self.run(jobs[0].run, joined(jobs))
            [found] = await asyncio.gather(pending, return_exceptions=True)
            at = 0
            for job in jobs:
                if job.done.done():  # its client has disconnected
                    pass
                elif isinstance(found, BaseException):
                    job.done.set_exception(found)
                else:
                    job.done.set_result(found[at : at + len(job.images)])
                at += len(job.images)

    def next_pass(self) -> list[Pass]:
        """Takes the next batch: waiting requests for the same champion, at most BATCH images unless one has more."""
        jobs = [self.passes.popleft()]
        size = len(jobs[0].images)
        while self.passes and self.passes[0].run == jobs[0].run:  # bound to the same champion
            size += len(self.passes[0].images)
            if size > BATCH:
                break
            jobs.append(self.passes.popleft())
        return jobs


def joined(jobs: list[Pass]) -> "Images":
    """The jobs' images as one array."""
    return np.concatenate([job.images for job in jobs]) if len(jobs) > 1 else jobs[0].images


def refusal() -> HTTPException:
    metrics.SHED.inc()
    return HTTPException(503, FULL, RETRY)
