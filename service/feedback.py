"""Corrections from the page, kept in DIGITLINE_FEEDBACK; refused without that folder or from other pages."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from digitline.base.errors import InputError
from digitline.data import corrections
from service import form, schema

if TYPE_CHECKING:  # it imports ONNX Runtime, which the command that starts the workers does not need
    from service.champion import Champion

MOST = 2000  # corrections, each less than a kilobyte for MNIST and 12 for 64x64 pixels in colour


def folder() -> Path | None:
    """The folder for corrections, DIGITLINE_FEEDBACK, if set."""
    named = os.environ.get("DIGITLINE_FEEDBACK")
    return Path(named) if named else None


def admitted(request: Request) -> Path:
    """The folder, if the request comes from this service's own page."""
    place = folder()
    if place is None:
        raise HTTPException(403, "this service keeps no corrections; start it with DIGITLINE_FEEDBACK=folder")
    if not own(request):
        raise HTTPException(403, "the request is from another page, expected one of this service's own origin")
    return place


def own(request: Request) -> bool:
    """Whether the request comes from a page of this service's own origin.

    Browsers say so over https, and no page can say it in their place; of others, the origin must be the host.
    """
    if said := request.headers.get("sec-fetch-site"):
        return said == "same-origin"
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")


def label(request: Request, classes: list[str]) -> str:
    """The correct label, empty for none of the classes; InputError if it is not a class."""
    match request.query_params.getlist("label"):
        case [str(name)] if name in ["", *classes]:
            return name
    raise InputError(f"the query is invalid, expected one label: {', '.join(classes)}, or empty for none of them")


def keep(place: Path, label: str, champion: "Champion", data: bytes) -> schema.Kept:
    """Keeps the single image of a body, with the model's answer."""
    images = form.raw(data, champion.form)
    if len(images) > 1:
        raise InputError(f"the body has {len(images)} images, expected one")
    [found] = champion.answers(champion.run(images))
    one = corrections.Correction(images[0], label, found.label, found.doubtful, champion.sha256)
    try:
        kept = corrections.keep(place, one, most=MOST)
    except InputError as error:
        raise HTTPException(409, str(error)) from None
    return schema.Kept(image=corrections.identity(images[0]), label=label, kept=kept)
