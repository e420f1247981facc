"""The keys in DIGITLINE_KEY_FILE: without one of them as its Bearer token, a request is refused."""

import hmac
import logging
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from digitline.base.errors import InputError

# Health, and the files of the two pages, which contain nothing of the model and ask for the key.
OPEN = {"/livez", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/", "/ui"}
FILES = ("/ui/", "/static_content/")

log = logging.getLogger(__name__)


def path() -> Path | None:
    """The file of the keys, DIGITLINE_KEY_FILE, if set."""
    named = os.environ.get("DIGITLINE_KEY_FILE")
    return Path(named) if named else None


def read(file: Path) -> list[bytes]:
    """The keys of a file, one a line; InputError if there are none or one could not be sent in a header."""
    try:
        found = [line for line in file.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"the key file {file} cannot be read: {error.strerror}") from None
    if not found:
        raise InputError(f"the key file {file} is empty, expected one key on each line")
    for number, key in enumerate(found, 1):
        if not all(33 <= byte <= 126 for byte in key):
            raise InputError(f"line {number} of the key file {file} has characters that no key may have")
    return found


def is_open(scope: Scope) -> bool:
    """Whether the path needs no key and has no limit."""
    place: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return place in OPEN or place.startswith(FILES)


class Keys:
    """Refuses requests without a key; reads the keys again when their file has changed."""

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self.app = app
        self.file = file
        self.seen = stamp(file)
        self.keys = read(file)
        self.missing, self.wrong = refusal("this service needs a key"), refusal("the key is not one of this service's")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.app
        if not is_open(scope):
            scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                answer = self.missing
            elif (key := self.known(given.strip().encode())) is None:
                answer = self.wrong
            else:
                scope["key"] = key
        await answer(scope, receive, send)

    def known(self, given: bytes) -> int | None:
        """The place of the key among this service's; compared in a time that tells nothing about them."""
        self.refresh()
        same = [hmac.compare_digest(given, key) for key in self.keys]
        return same.index(True) if True in same else None

    def refresh(self) -> None:
        """Reads a changed file; keeps the old keys, with a warning, if it is damaged."""
        if (found := stamp(self.file)) == self.seen:
            return
        self.seen = found
        try:
            self.keys = read(self.file)
            log.info("read the keys again")
        except InputError as error:
            log.warning("kept the old keys: %s", error)


def stamp(file: Path) -> tuple[int, int, int] | None:
    """Changes whenever the file does."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def refusal(sentence: str) -> JSONResponse:
    sentence += ", expected the header Authorization: Bearer KEY"
    return JSONResponse({"error": sentence}, 401, {"WWW-Authenticate": "Bearer"})
