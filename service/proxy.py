"""What a trusted proxy says about the request: the client's address, the scheme, the host and the prefix.

DIGITLINE_PROXIES lists the addresses of the proxies that are trusted; without it, no such header counts.
"""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from digitline.base.errors import InputError

HOST = re.compile(r"([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")
PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
PAIR = re.compile(r'\s*(\w+)=("[^"]*"|[^",;]*)\s*(;|,|$)')  # of Forwarded; the end tells whether the element goes on

Networks = list[IPv4Network | IPv6Network]


class Said(NamedTuple):
    """What the proxy says; empty where it says nothing."""

    clients: list[str]  # the client, then each proxy but the last one
    scheme: str
    host: str
    prefix: str


def trusted() -> Networks:
    """The networks in DIGITLINE_PROXIES."""
    return networks(os.environ.get("DIGITLINE_PROXIES", ""))


def networks(listed: str) -> Networks:
    """The networks of a list of them and of addresses; InputError if one is neither."""
    try:
        return [ip_network(word) for word in listed.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"DIGITLINE_PROXIES is invalid, {error}; expected addresses or networks") from None


class Behind:
    """Corrects a request that comes from a trusted proxy, so that it looks as the client sent it."""

    def __init__(self, app: ASGIApp, proxies: Networks) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.app
        if scope["client"] and self.trusts(scope["client"][0]):
            try:
                self.correct(scope, said(Headers(scope=scope)))
            except InputError as error:
                answer = JSONResponse({"error": str(error)}, 400)
        await answer(scope, receive, send)

    def trusts(self, address: str) -> bool:
        """Whether it is the address of a trusted proxy."""
        try:
            known = ip_address(address.partition("%")[0])
        except ValueError:  # the name of a socket, or a proxy's name for a client
            return False
        mapped = getattr(known, "ipv4_mapped", None)
        return any((mapped or known) in network for network in self.proxies)

    def correct(self, scope: Scope, said: Said) -> None:
        """Changes the request in place, because the log and the metrics read it afterwards."""
        if said.clients:
            chain = reversed(said.clients)
            client = next((each for each in chain if not self.trusts(each)), said.clients[0])
            scope["client"] = (client, 0)
        scope["scheme"] = said.scheme or scope["scheme"]
        if said.host:
            MutableHeaders(scope=scope)["host"] = said.host
        if said.prefix:
            path = scope["path"]
            scope["root_path"] = said.prefix
            scope["path"] = path if f"{path}/".startswith(f"{said.prefix}/") else said.prefix + path


def said(headers: Headers) -> Said:
    """What the headers say; InputError if a value is invalid.

    Forwarded counts only without the X-Forwarded-*, because a proxy that sets those passes on the client's Forwarded.
    """
    clients = [address(each) for line in headers.getlist("x-forwarded-for") for each in line.split(",")]
    scheme, host, prefix = (last(headers, f"x-forwarded-{name}") for name in ("proto", "host", "prefix"))
    if not (clients or scheme or host):
        hops = [hop for line in headers.getlist("forwarded") for hop in elements(line)]
        clients = [address(hop["for"]) for hop in hops if "for" in hop]
        scheme, host = (hops[-1].get(name, "") if hops else "" for name in ("proto", "host"))
    scheme = scheme.lower()
    if scheme not in ("", "http", "https"):
        raise invalid("scheme", scheme, "http or https")
    if host and not HOST.fullmatch(host):
        raise invalid("host", host, "a name or an address")
    prefix = prefix.rstrip("/")
    if prefix and not PREFIX.fullmatch(prefix):
        raise invalid("prefix", prefix, "a path like /digits")
    return Said(clients, scheme, host, prefix)


def last(headers: Headers, name: str) -> str:
    """The last of a header's values, which the proxy itself has added."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def elements(line: str) -> list[dict[str, str]]:
    """The elements of a Forwarded header (RFC 7239), one for each proxy."""
    found: list[dict[str, str]] = [{}]
    place = 0
    while place < len(line):
        pair = PAIR.match(line, place)
        if not pair:
            raise invalid("Forwarded header", line, 'for="192.0.2.1";proto=https;host=example.org')
        found[-1][pair[1].lower()] = pair[2].strip('" ')
        if pair[3] == ",":
            found.append({})
        place = pair.end()
    return found


def address(given: str) -> str:
    """An address without its port."""
    given = given.strip().strip('"')
    if given.startswith("["):
        return given[1:].partition("]")[0]
    return given.partition(":")[0] if given.count(":") == 1 else given


def invalid(what: str, value: str, expected: str) -> InputError:
    return InputError(f"the proxy's {what} is {value[:80]!r}, expected {expected}")
