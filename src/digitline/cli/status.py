"""digitline status: shows the champion, and whether its bytes, MLflow, BentoML and a running service agree."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import requests

from digitline.base import files
from digitline.base.errors import InputError
from digitline.cli.promote import PLACES, comparable, of_study, rolled_back, views_of
from digitline.cli.runs import store
from digitline.config import paths
from digitline.config.params import Params
from digitline.registry import bento, ledger, promotion
from digitline.registry.promotion import Model
from digitline.tracking import models

SECONDS = 2  # to wait for the server
MENDS = {  # the command that updates a place
    "mlflow": "digitline status --mend",
    "bentoml": "digitline status --mend",
    "serves": "serve anew",
}


class Place(NamedTuple):
    """A place that names a champion."""

    name: str
    sha256: str | None
    words: str = ""
    failed: str = ""  # why it could not be asked


def status(params: Params, *, url: str, mend: bool) -> None:
    """Prints the champion and the leader; with `mend`, updates MLflow and BentoML first.

    InputError if a place names another model.
    """
    views = views_of(params)
    with promotion.alone(PLACES):
        champion = promotion.complete(PLACES, lambda: of_study(params), views)
        if mend and champion:
            promotion.follow(champion, views)
    entries = ledger.read(PLACES.ledger)
    last = ledger.latest(entries)
    since = f"  since {last['when']}, {last['action']} by {last['who']}: {last['reason']}" if last else ""
    print(f"champion    {named(params, champion)}{since}")
    print(f"challenger  {challenger(params, champion, entries)}")
    sha256 = champion.sha256 if champion else None
    places = [asked("mlflow", lambda: models.champion(store(params))), in_bentoml(sha256), *serving(url)]
    for place in places:
        differs = "" if place.failed or place.sha256 == sha256 else "  NOT the champion"
        print(f"{place.name:12}{place.failed or (place.sha256 or 'none')[:16]}{place.words}{differs}")
    answered = [place for place in places if not place.failed]
    apart = [f"{place.name} ({MENDS[place.name]})" for place in answered if place.sha256 != sha256]
    if apart:
        raise InputError(f"the champion of {PLACES.ledger} is not the model in {', '.join(apart)}")
    if silent := [place.name for place in places if place.failed]:
        raise InputError(f"{', '.join(silent)} could not be asked for its champion; the reason is above")


def named(params: Params, champion: Model | None) -> str:
    """The champion, and its data set if it is another one."""
    if not champion:
        return "none; run make to promote one"
    return champion.title + ("" if comparable(params, champion) else f" of the data set {champion.card.get('dataset')}")


def challenger(params: Params, champion: Model | None, entries: list[ledger.Entry]) -> str:
    """The leader, and whether it was or can be promoted."""
    leader = next(iter(of_study(params).values()), None)
    if not leader:
        return "none: there are no models; run make to train them"
    if champion and leader.sha256 == champion.sha256:
        return "none: the leader is already champion"
    if undone := ledger.withdrawn(entries).get(leader.sha256):
        return f"{leader.title}, {rolled_back(undone)}"
    report = verdict()
    judged = report.get("challenger_sha256"), report.get("champion_sha256")
    if judged != (leader.sha256, champion.sha256 if champion else None):
        return f"{leader.title}, not judged yet: run digitline promote"
    words = "; ".join(report["reasons"]) or "passes the gate: run digitline promote to make it champion"
    return f"{leader.title}, {words}"


def verdict() -> dict[str, Any]:
    """The last verdict; empty if the file is missing or damaged, for example by a merge: it can be made again."""
    try:
        found: dict[str, Any] = files.read_json(paths.VERDICT)
    except (InputError, OSError):
        return {}
    return found


def in_bentoml(sha256: str | None) -> Place:
    """The champion that BentoML's store has, if it is unchanged since its promotion."""
    return Place("bentoml", sha256 if sha256 and bento.kept(sha256) else None)


def serving(url: str) -> list[Place]:
    """The model that a running server uses, if one answers."""

    def model() -> str:
        answer = requests.get(f"{url.rstrip('/')}/lineage", headers=authorization(), timeout=SECONDS)
        if answer.status_code == requests.codes.unauthorized:
            raise InputError(f"{url} asks for a key; name its file with DIGITLINE_KEY_FILE")
        return str(answer.json()["model"])

    try:
        return [Place("serves", model(), f"  at {url}")]
    except requests.JSONDecodeError:
        raise InputError(f"{url} is not a digitline server; give the server's address with --url") from None
    except (requests.RequestException, KeyError, TypeError):
        print(f"serves      no answer from {url}")
        return []


def authorization() -> dict[str, str]:
    """The header with the first key of DIGITLINE_KEY_FILE, which the service may ask for."""
    named = os.environ.get("DIGITLINE_KEY_FILE")
    try:
        keys = Path(named).read_text().split() if named else []
    except OSError as error:
        raise InputError(f"the key file {named} cannot be read: {error.strerror}") from None
    return {"Authorization": f"Bearer {keys[0]}"} if keys else {}


def asked(name: str, ask: Callable[[], str | None]) -> Place:
    """The model that a place names, or why it could not be asked."""
    try:
        return Place(name, ask())
    except InputError as error:
        return Place(name, None, failed=str(error))
