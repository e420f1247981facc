"""Compressed bodies: Content-Encoding gzip or deflate."""

import asyncio
import zlib
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Message

from digitline.base.errors import InputError

KNOWN = ("gzip", "deflate")
EITHER = zlib.MAX_WBITS | 32  # zlib's code for both formats
SHORT = 1024  # bytes; more are decompressed in a thread, because they may become a thousand times as many


def decoder(encoding: str | None) -> Any:
    """A decompressor for a body of that encoding, None if it is not compressed; 415 for an unknown one."""
    found = (encoding or "identity").strip().lower()
    if found == "identity":
        return None
    if found not in KNOWN:
        sentence = f"the Content-Encoding is {found[:40]}, expected {' or '.join(KNOWN)}"
        raise HTTPException(415, sentence, {"Accept-Encoding": ", ".join(KNOWN)})
    return zlib.decompressobj(EITHER)


async def decoded(message: Message, decoder: Any, most: int) -> Message:
    """The next part of a body, decompressed to at most one byte more than allowed; InputError if it is damaged."""
    data = message.get("body", b"")
    try:
        if len(data) <= SHORT:
            body = decoder.decompress(data, most + 1)
        else:
            body = await asyncio.to_thread(decoder.decompress, data, most + 1)
    except zlib.error as error:
        raise InputError(f"the body cannot be decompressed: {error}") from None
    last = message["type"] == "http.request" and not message.get("more_body") and len(body) <= most
    if last and (not decoder.eof or decoder.unused_data):
        raise InputError("the body cannot be decompressed: its length is wrong")
    return {**message, "body": body}
