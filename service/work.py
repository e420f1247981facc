"""What has arrived and is not answered: taken in its order by a few threads, or refused at once."""

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

if TYPE_CHECKING:  # it takes PyTorch along, which the command that starts the workers need not wait for
    from digitline.serving.runtime import Floats, Images
    from service.champion import Champion

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

THREADS = min(4, os.cpu_count() or 1)  # at work at once; the largest picture takes each half a gigabyte
CAPACITY = 64  # requests
CAPACITY_BYTES = 16 * 2**20  # of their bodies together, if they are several
ARRIVING_BYTES = 256 * 2**20  # of bodies that are still on their way
FULL, RETRY = "the service is at its capacity, try again", {"Retry-After": "1"}
BATCH = 64  # images that go through the model together


class Pass(NamedTuple):
    """One request's images, on their way through the model."""

    champion: "Champion"
    images: "Images"
    done: "asyncio.Future[Floats]"


class Work:
    """The requests of one process."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS)
        self.requests = self.bytes = self.arriving = 0
        self.passes: deque[Pass] = deque()
        self.drains: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """Whether no request more has a place."""
        return self.requests >= CAPACITY

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Holds a place for a request whose body has so many bytes; 503 where there is none."""
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
        """Counts the bytes of a body while it arrives; 503 where all that arrive would not fit."""
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

    async def run(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Calls it in a thread, so that the next request can be read meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)

    async def recognise(self, champion: "Champion", images: "Images") -> "Floats":
        """The probabilities of the images [N, classes]; what waits when a thread is free goes through together."""
        job = Pass(champion, images, asyncio.get_running_loop().create_future())
        self.passes.append(job)
        if len(self.drains) < THREADS:
            drain = asyncio.create_task(self.drain())
            self.drains.add(drain)
            drain.add_done_callback(self.drains.discard)
        return await job.done

    async def drain(self) -> None:
        """Takes what waits until nothing does."""
        while self.passes:
            jobs = self.next_pass()
            found: Floats | BaseException
            pending = self.run(jobs[0].champion.probabilities, joined(jobs))
            [found] = await asyncio.gather(pending, return_exceptions=True)
            at = 0
            for job in jobs:
                if job.done.done():  # its client has gone
                    pass
                elif isinstance(found, BaseException):
                    job.done.set_exception(found)
                else:
                    job.done.set_result(found[at : at + len(job.images)])
                at += len(job.images)

    def next_pass(self) -> list[Pass]:
        """The first that wait: of one champion, and together no more than a batch."""
        jobs = [self.passes.popleft()]
        size = len(jobs[0].images)
        while self.passes and self.passes[0].champion is jobs[0].champion:
            size += len(self.passes[0].images)
            if size > BATCH:
                break
            jobs.append(self.passes.popleft())
        return jobs


def joined(jobs: list[Pass]) -> "Images":
    """Their images as one array."""
    return np.concatenate([job.images for job in jobs]) if len(jobs) > 1 else jobs[0].images


def refusal() -> HTTPException:
    metrics.SHED.inc()
    return HTTPException(503, FULL, RETRY)
