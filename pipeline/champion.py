"""A champion by hand: a model held against the gate, or a former champion put back."""

import tempfile
from pathlib import Path

from digitline import checkpoint, ledger, lineage, succession
from digitline.errors import InputError
from pipeline import promote as line
from pipeline import stage


def promote(params: stage.Params, *, model: str, reason: str) -> None:
    """Holds a model against the gate and the champion; if it passes, it is champion."""
    store = stage.store(params)
    with succession.alone(line.PLACES, store), tempfile.TemporaryDirectory() as folder:
        heirs = line.study(params, stage.read_json(stage.LEADERBOARD))
        sha256 = chosen(model, heirs, ledger.read(line.PLACES.ledger))
        heir = heirs.get(sha256) or succession.former(sha256, store, Path(folder))
        reasons = line.challenge(params, store, heir, reason).reasons
    if reasons:
        raise InputError(f"{heir.card['variant']} did not pass the gate: {'; '.join(reasons)}")
    to_record()


def chosen(model: str, heirs: dict[str, succession.Heir], entries: list[ledger.Entry]) -> str:
    """The SHA-256 of the model that a variant's name, a file or the first digits of its hash name."""
    best = next((sha256 for sha256, heir in heirs.items() if heir.card["variant"] == model), None)
    if best:
        return best
    known = former(entries) | {sha256: heir.card["variant"] for sha256, heir in heirs.items()}
    path = Path(model)
    return lineage.whole(checkpoint.digest(path) if path.is_file() else model, known)


def former(entries: list[ledger.Entry]) -> dict[str, str]:
    """Every model that the ledger names as champion, with its variant."""
    return {entry["to"]: entry["variant"] for entry in entries}


def rollback(params: stage.Params, *, model: str | None, reason: str) -> None:
    """Makes a former champion champion again, once it has loaded and held the floor and the budgets."""
    store = stage.store(params)
    with succession.alone(line.PLACES, store), tempfile.TemporaryDirectory() as folder:
        champion, entries = succession.present(line.PLACES), ledger.read(line.PLACES.ledger)
        sha256 = lineage.whole(model, former(entries)) if model else ledger.before(entries)
        if champion and champion.sha256 == sha256:
            raise InputError(f"{champion.title} is the champion already")
        heir = line.study(params, stage.read_json(stage.LEADERBOARD)).get(sha256)
        heir = heir or succession.former(sha256, store, Path(folder))
        if heir.card["classes"] != params.classes:
            raise InputError(f"{heir.title} tells other classes apart, expected {', '.join(params.classes)}")
        verdict = line.judge(params, heir, None)
        if not verdict.passed:
            raise InputError(f"{heir.title} is not put back: {'; '.join(verdict.reasons)}")
        line.succeed(params, store, heir, verdict, action=ledger.ROLLBACK, reason=reason)
    to_record()


def to_record() -> None:
    """Says what git does not know yet."""
    print("dvc repro notes it in dvc.lock; then commit that and promotions.jsonl")
