"""uvicorn's HTTP protocol with a time limit for a request's headers and JSON answers to invalid HTTP."""

import asyncio
import json
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEADER_SECONDS = 10


class Patient(HttpToolsProtocol):
    """One connection."""

    limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.expect()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.expect()

    def on_headers_complete(self) -> None:
        self.expect_no_more()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.expect_no_more()
        super().connection_lost(exc)

    def expect(self) -> None:
        """Starts the time limit for the headers."""
        self.expect_no_more()
        self.limit = self.loop.call_later(HEADER_SECONDS, self.give_up)

    def expect_no_more(self) -> None:
        if self.limit:
            self.limit.cancel()

    def give_up(self) -> None:
        self.refuse(408, f"the headers took too long, expected all of them within {HEADER_SECONDS} seconds")

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, "the request is not valid HTTP/1.1")

    def refuse(self, status: int, sentence: str) -> None:
        """Sends the error as JSON and closes the connection."""
        body = json.dumps({"error": sentence}).encode()
        lines = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + lines.encode() + body)
        self.transport.close()


def install() -> None:
    """Makes this uvicorn's default protocol, which BentoML uses.

    uvicorn's table of protocols is not documented, but uvicorn has no time limit for headers and BentoML passes on
    no protocol. Without this a client that never completes its headers keeps its connection for good, and invalid HTTP
    is answered in plain text.
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Patient.__name__}"
