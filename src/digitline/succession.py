"""The champion's succession: its folder, MLflow's alias and the ledger change together or not at all.

Whatever takes time, space or a server is done first, beside what is there. Then the move is decided by the renaming
of one folder, `champion.moving`: the alias, the ledger and the champion's folder follow, and a move that is killed on
the way is completed by the next call. BentoML's store keeps every champion by content; the service takes the one
that the champion's folder names.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from digitline import files, ledger, packing, tracking
from digitline.data import Bytes
from digitline.errors import InputError

DECISION = "decision.json"


class Places(NamedTuple):
    champion: Path  # the folder of model and card
    ledger: Path

    @property
    def draft(self) -> Path:
        """Where a move is laid out."""
        return self.champion.with_suffix(".new")

    @property
    def moving(self) -> Path:
        """Where it is once decided."""
        return self.champion.with_suffix(".moving")


class Heir(NamedTuple):
    """A model that is to be champion."""

    model: Path
    card: dict[str, Any]

    @property
    def sha256(self) -> str:
        digest: str = self.card["sha256"]
        return digest

    @property
    def title(self) -> str:
        """One line for people."""
        card, of = self.card, "seeds" if "members" in self.card else "seed"
        seeds = ", ".join(map(str, card.get("members", [card["seed"]])))
        return f"{card['variant']}, {of} {seeds}, {self.sha256[:16]}, {card['val_accuracy']:.2%} on validation"


@contextmanager
def alone(places: Places, store: tracking.Store) -> Iterator[None]:
    """Keeps other moves out, and completes one that was cut short; InputError where one takes a minute."""
    places.champion.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(places.champion.with_suffix(".lock"), timeout=60):
            complete(places, store)
            yield
    except Timeout:
        raise InputError(f"another promotion has {places.champion.parent} locked; wait for it or end it") from None


def present(places: Places) -> Heir | None:
    """The champion, if there is one; InputError where its model is not the one that the card names."""
    if not places.champion.exists():
        return None
    return Heir(places.champion / packing.MODEL, packing.verified(places.champion))


def former(sha256: str, store: tracking.Store, folder: Path) -> Heir:
    """A model that was champion, from BentoML's store, or else from MLflow's registry into the folder."""
    kept = packing.kept(sha256) or tracking.download(store, sha256, folder)
    if not kept or packing.verified(kept)["sha256"] != sha256:
        raise InputError(f"the model {sha256[:16]} is neither in BentoML's store nor in MLflow's registry")
    return Heir(kept / packing.MODEL, packing.read_card(kept))


def move(
    places: Places, store: tracking.Store, heir: Heir, entry: ledger.Entry | None, *, examples: Bytes, **labels: str
) -> str:
    """Makes a model champion and appends the entry, if there is one; returns where it is found, in words.

    `examples`, a few images [N, 28, 28], show MLflow what a model takes; the labels go to BentoML.
    """
    before = present(places)
    draft = places.draft
    shutil.rmtree(draft, ignore_errors=True)
    try:
        files.write(draft / "champion" / packing.MODEL, heir.model.read_bytes())
        files.write(draft / "champion" / packing.CARD, packing.card_text(heir.card))
        files.write(draft / DECISION, json.dumps({"sha256": heir.sha256, "entry": entry}).encode())
        name = f"{heir.card['variant']}-seed-{heir.card['seed']}"
        version = tracking.register(store, heir.model, heir.card, name=name, examples=examples, description=heir.title)
        lineage = {"mlflow_version": version.number, "mlflow_run": version.run, **labels}
        tag = packing.bento(draft / "champion", **lineage)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(places.moving)
    try:
        complete(places, store)
    except InputError:
        undo(places, store, before)
        raise
    return f"MLflow's version {version.number}, BentoML's {tag}"


def complete(places: Places, store: tracking.Store) -> None:
    """Takes the steps of a move that was decided, from wherever it stands; each may be taken twice."""
    moving = places.moving
    if (moving / DECISION).exists():
        decision = json.loads((moving / DECISION).read_text())
        tracking.promote(store, decision["sha256"])
        append(places.ledger, decision["entry"])
        if (moving / "champion").exists():
            if places.champion.exists():
                shutil.rmtree(moving / "before", ignore_errors=True)
                places.champion.rename(moving / "before")
            (moving / "champion").rename(places.champion)
        (moving / DECISION).unlink()
    shutil.rmtree(moving, ignore_errors=True)


def append(path: Path, entry: Mapping[str, Any] | None) -> None:
    """Adds an entry to the ledger, unless it is the last one already."""
    entries = ledger.read(path)
    if entry and entries[-1:] != [entry]:
        files.write(path, b"".join(map(ledger.line, [*entries, dict(entry)])))


def undo(places: Places, store: tracking.Store, before: Heir | None) -> None:
    """Takes back a move that failed at the alias or the ledger; the champion's folder is the last to change."""
    try:
        if before:
            tracking.promote(store, before.sha256)
    finally:
        shutil.rmtree(places.moving)
