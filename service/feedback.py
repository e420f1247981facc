"""Corrections from the page, kept where the environment names a folder; closed otherwise, and to other pages."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from digitline.base.errors import InputError
from digitline.data import corrections
from service import schema

if TYPE_CHECKING:  # it takes PyTorch along, which the command that starts the workers need not wait for
    from service.champion import Champion

MOST = 2000  # corrections; each takes less than a kilobyte


def folder() -> Path | None:
    """Where corrections are kept, if they are: DIGITLINE_FEEDBACK."""
    named = os.environ.get("DIGITLINE_FEEDBACK")
    return Path(named) if named else None


def admitted(request: Request) -> Path:
    """The folder, for a request that comes from this service's own page."""
    place = folder()
    if place is None:
        raise HTTPException(403, "corrections are not kept here: the service was started without DIGITLINE_FEEDBACK")
    if urlsplit(request.headers.get("origin", "")).netloc != request.headers.get("host"):
        raise HTTPException(403, "the request is from another page, expected one of this service's own origin")
    return place


def label(request: Request, classes: list[str]) -> str:
    """What the person says that the image shows; empty for no digit. InputError where it is no class."""
    match request.query_params.getlist("label"):
        case [str(name)] if name in ["", *classes]:
            return name
    raise InputError(f"the query is not as expected: label, one of {', '.join(classes)}, or empty for none of them")


def keep(place: Path, label: str, champion: "Champion", data: bytes) -> schema.Kept:
    """Keeps the one image of a body, beside what the model makes of it."""
    images = schema.raw(data)
    if len(images) > 1:
        raise InputError(f"the body has {len(images)} images, expected one")
    [found] = champion.answers(champion.run(images))
    one = corrections.Correction(images[0], label, found.digit, found.doubtful, champion.sha256)
    try:
        kept = corrections.keep(place, one, most=MOST)
    except InputError as error:
        raise HTTPException(409, str(error)) from None
    return schema.Kept(image=corrections.identity(images[0]), label=label, kept=kept)
