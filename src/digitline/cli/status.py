"""digitline status: which model is champion, and whether its bytes, MLflow, BentoML and a running service follow."""

from collections.abc import Callable
from typing import Any, NamedTuple

import requests

from digitline.base import files
from digitline.base.errors import InputError
from digitline.cli.promote import PLACES, of_study, rolled_back, views_of
from digitline.cli.runs import store
from digitline.config import paths
from digitline.config.params import Params
from digitline.registry import bento, ledger, promotion
from digitline.registry.promotion import Model
from digitline.tracking import models

SECONDS = 2  # for a server to answer
MENDS = {  # what brings a place into line
    "mlflow": "digitline status --mend",
    "bentoml": "digitline status --mend",
    "serves": "serve anew",
}


class Place(NamedTuple):
    """Where a champion is named."""

    name: str
    sha256: str | None
    words: str


def status(params: Params, *, url: str, mend: bool) -> None:
    """Prints who is champion and who leads; with `mend` MLflow and BentoML are brought in line first.

    InputError where a place names another model.
    """
    views = views_of(params)
    with promotion.alone(PLACES):
        champion = promotion.complete(PLACES, lambda: of_study(params), views)
        if mend and champion:
            promotion.follow(champion, views)
    entries = ledger.read(PLACES.ledger)
    last = ledger.latest(entries)
    since = f"  since {last['when']}, {last['action']} by {last['who']}: {last['reason']}" if last else ""
    print(f"champion    {champion.title if champion else 'none; make promotes one'}{since}")
    print(f"challenger  {challenger(params, champion, entries)}")
    sha256 = champion.sha256 if champion else None
    places = [asked("mlflow", lambda: models.champion(store(params))), in_bentoml(sha256), *serving(url)]
    for place in places:
        differs = "" if place.sha256 == sha256 else "  NOT the champion"
        print(f"{place.name:12}{(place.sha256 or 'none')[:16]}{place.words}{differs}")
    apart = [f"{place.name} ({MENDS[place.name]})" for place in places if place.sha256 != sha256]
    if apart:
        raise InputError(f"another model than the champion of {PLACES.ledger} is in {', '.join(apart)}")


def challenger(params: Params, champion: Model | None, entries: list[ledger.Entry]) -> str:
    """The leaderboard's first, and what became or may become of it."""
    leader = next(iter(of_study(params).values()), None)
    if not leader:
        return "none: no model of a leaderboard is here; make trains them"
    if champion and leader.sha256 == champion.sha256:
        return "none: the champion leads"
    if undone := ledger.withdrawn(entries).get(leader.sha256):
        return f"{leader.title}, {rolled_back(undone)}"
    report = verdict()
    judged = report.get("challenger_sha256"), report.get("champion_sha256")
    if judged != (leader.sha256, champion.sha256 if champion else None):
        return f"{leader.title}, not judged yet: digitline promote does"
    words = "; ".join(report["reasons"]) or "passes the gate and is not promoted: digitline promote makes it champion"
    return f"{leader.title}, {words}"


def verdict() -> dict[str, Any]:
    """The last one; none where the file is not there or damaged, as by a merge: it can be made again."""
    try:
        found: dict[str, Any] = files.read_json(paths.VERDICT)
    except (InputError, OSError):
        return {}
    return found


def in_bentoml(sha256: str | None) -> Place:
    """Whether BentoML's store has the champion, as it was promoted."""
    return Place("bentoml", sha256 if sha256 and bento.kept(sha256) else None, "")


def serving(url: str) -> list[Place]:
    """The model that a server answers with, if one answers."""

    def model() -> str:
        return str(requests.get(f"{url.rstrip('/')}/lineage", timeout=SECONDS).json()["model"])

    try:
        return [Place("serves", model(), f"  at {url}")]
    except requests.JSONDecodeError:
        raise InputError(f"{url}/lineage is not answered by digitline") from None
    except (requests.RequestException, KeyError, TypeError):
        print(f"serves      no answer from {url}")
        return []


def asked(name: str, ask: Callable[[], str | None]) -> Place:
    """What a place says, or why it does not."""
    try:
        return Place(name, ask(), "")
    except InputError as error:
        return Place(name, None, f"  {error}")
