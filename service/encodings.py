"""Compressed bodies: Content-Encoding gzip or deflate."""

import asyncio
import zlib
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Message

from digitline.base.errors import InputError

WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}  # zlib's codes for the formats
SHORT = 1024  # bytes; more are decompressed in a thread, because they may become a thousand times as many


def decoder(encoding: str | None) -> Any:
    """A decompressor for a body of that encoding, None if it is not compressed; 415 for an unknown one."""
    match (encoding or "identity").strip().lower():
        case "identity":
            return None
        case known if known in WINDOWS:
            return zlib.decompressobj(WINDOWS[known])
        case other:
            sentence = f"the Content-Encoding is {other[:40]}, expected gzip, deflate or none"
            raise HTTPException(415, sentence, {"Accept-Encoding": "gzip, deflate"})


async def decoded(message: Message, decoder: Any, most: int) -> Message:
    """The next part of a body, decompressed to at most one byte more than allowed."""
    data = message.get("body", b"")
    try:
        if len(data) <= SHORT:
            body = decoder.decompress(data, most + 1)
        else:
            body = await asyncio.to_thread(decoder.decompress, data, most + 1)
    except zlib.error:
        raise InputError("the body is not compressed as its Content-Encoding says") from None
    last = message["type"] == "http.request" and not message.get("more_body") and len(body) <= most
    if last and (not decoder.eof or decoder.unused_data):
        raise InputError("the compressed body is incomplete, or something follows it")
    return {**message, "body": body}
