"""A limit for each client: a bucket of tokens that fills up with DIGITLINE_RATE and holds DIGITLINE_BURST.

A request needs a bucket that is not empty, and takes what it costs; what a large one takes beyond the contents must
fill up again before the next one.
"""

import math
import os
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic
from typing import NamedTuple

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from digitline.base.errors import InputError
from service import access

PIXELS = 10_000  # of a picture, which take about as long as one image
SECONDS = 10  # of the rate that a bucket holds, unless DIGITLINE_BURST says otherwise
CLIENTS = 10_000  # with a bucket; beyond them, the one that was idle for the longest time loses it


class Limit(NamedTuple):
    rate: float  # images a second
    burst: float  # images


def limit() -> Limit | None:
    """The limit that the environment sets, if any; InputError if it is none."""
    given = {name: value for name in ("DIGITLINE_RATE", "DIGITLINE_BURST") if (value := os.environ.get(name))}
    if not given:
        return None
    try:
        rate = float(given.get("DIGITLINE_RATE", "nan"))
        burst = float(given.get("DIGITLINE_BURST", max(1, SECONDS * rate)))
    except ValueError:
        rate = burst = math.nan
    if not (0 < rate < math.inf and 1 <= burst < math.inf):
        shown = " and ".join(f"{name}={value}" for name, value in given.items())
        raise InputError(f"{shown} is no limit, expected DIGITLINE_RATE in images a second, DIGITLINE_BURST in images")
    return Limit(rate, burst)


class Bucket:
    """One client's tokens."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.tokens, self.filled = limit.burst, monotonic()

    def wait(self) -> float:
        """Fills it up; the seconds until it is not empty."""
        now = monotonic()
        self.tokens = min(self.limit.burst, self.tokens + self.limit.rate * (now - self.filled))
        self.filled = now
        return max(0.0, (1 - self.tokens) / self.limit.rate)

    def charge(self, images: int) -> None:
        """Takes what a request costs besides the first image, which it paid when it came."""
        self.tokens -= max(0, images - 1)


class Limits:
    """Refuses a request of a client whose bucket is empty, before its body is read."""

    def __init__(self, app: ASGIApp, limit: Limit) -> None:
        self.app = app
        self.limit = limit
        self.buckets: dict[int | str, Bucket] = {}  # the one used last is the last one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.app
        if not access.is_open(scope):
            bucket = self.bucket(scope["key"] if "key" in scope else address(scope))
            if wait := bucket.wait():
                answer = self.refusal(wait)
            else:
                bucket.tokens -= 1
                scope["charge"] = bucket.charge
        await answer(scope, receive, send)

    def bucket(self, client: int | str) -> Bucket:
        """The client's bucket."""
        found = self.buckets.pop(client, None) or Bucket(self.limit)
        self.buckets[client] = found
        if len(self.buckets) > CLIENTS:
            del self.buckets[next(iter(self.buckets))]
        return found

    def refusal(self, wait: float) -> JSONResponse:
        """429, with the time after which a request is accepted."""
        sentence = f"this client has used up its {self.limit.rate:g} images a second, try again"
        return JSONResponse({"error": sentence}, 429, {"Retry-After": str(math.ceil(wait))})


def address(scope: Scope) -> str:
    """The client's address; of IPv6 the network, in which one client has any number of addresses."""
    host: str = scope["client"][0] if scope["client"] else ""
    try:
        known = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else host


def charging(scope: Scope) -> Callable[[int], None]:
    """Takes what a request costs, in images; nothing without a limit."""
    charge: Callable[[int], None] = scope.get("charge", free)
    return charge


def free(images: int) -> None:
    """Without a limit."""


def pictured(scope: Scope, data: bytes) -> None:
    """Takes what a picture costs by the pixels that its file states; one that is refused costs no more than that."""
    if "charge" in scope:
        from digitline.data import prepare  # the command that supervises the workers needs no pictures

        with suppress(InputError), prepare.refusals():
            picture = prepare.undecoded(data)
            scope["charge"](math.ceil(picture.width * picture.height / PIXELS))
