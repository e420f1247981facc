"""Which model is champion, and whether the ledger, MLflow, BentoML and a running server name the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import requests

from digitline import leaderboard, ledger, packing, succession, tracking
from digitline.errors import InputError
from pipeline import promote, stage
from pipeline.promote import PLACES

SECONDS = 2  # for a server to answer
MENDS = {  # what brings a place back into step
    "ledger": "dvc pull brings the champion that it names, digitline promote writes down the one that is here",
    "mlflow": "digitline status --mend",
    "bentoml": "digitline status --mend",
    "serves": "serve anew",
}


class Place(NamedTuple):
    """Where a champion is named."""

    name: str
    sha256: str | None
    words: str


def status(params: stage.Params, *, url: str, mend: bool) -> None:
    """Prints who is champion in each place; with `mend` MLflow and BentoML first follow models/champion.

    InputError where one names another model.
    """
    if mend:
        put_right(params)
    champion = succession.present(PLACES)
    print(f"champion    {champion.title if champion else 'none; dvc repro makes one'}")
    print(f"challenger  {challenger(champion)}")
    sha256 = champion.sha256 if champion else None
    places = [in_ledger(), asked("mlflow", lambda: tracking.champion(stage.store(params))), in_bentoml(sha256)]
    places += serving(url)
    for place in places:
        differs = "" if place.sha256 == sha256 else "  NOT the champion"
        print(f"{place.name:12}{(place.sha256 or 'none')[:16]}{place.words}{differs}")
    if PLACES.moving.exists():
        raise InputError("a promotion or rollback was cut short; digitline status --mend completes it")
    apart = [f"{place.name} ({MENDS[place.name]})" for place in places if place.sha256 != sha256]
    if apart:
        raise InputError(f"{PLACES.champion} has another champion than {', '.join(apart)}")


def put_right(params: stage.Params) -> None:
    """Completes what was cut short, and gives the champion its place in MLflow and BentoML."""
    store = stage.store(params)
    with succession.alone(PLACES, store):
        champion = succession.present(PLACES)
        if champion:
            promote.crown(params, store, champion, None)


def challenger(champion: succession.Heir | None) -> str:
    """The leaderboard's first, and what the gate said of it."""
    row = stage.read_json(stage.LEADERBOARD)[0]
    leader = succession.Heir(Path(), {"variant": row["variant"], **leaderboard.best_run(row)})
    if champion and leader.sha256 == champion.sha256:
        return "none: the champion leads"
    report: dict[str, Any] = stage.read_json(promote.REPORT) if promote.REPORT.exists() else {}
    if report.get("challenger", {}).get("sha256") != leader.sha256:
        return f"{leader.title}, not yet held against the gate"
    return f"{leader.title}, {'; '.join(report['reasons']) or 'passed the gate'}"


def in_ledger() -> Place:
    """The champion by the ledger."""
    entries = ledger.read(PLACES.ledger)
    if not entries:
        return Place("ledger", None, "")
    last = entries[-1]
    return Place("ledger", last["to"], f"  since {last['when']}, {last['action']} by {last['who']}: {last['reason']}")


def in_bentoml(sha256: str | None) -> Place:
    """Whether BentoML's store has the champion, as it was promoted."""
    return Place("bentoml", sha256 if sha256 and packing.kept(sha256) else None, "")


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
