"""Promotion: the ledger decides, then the bytes follow by hash, then MLflow and BentoML, which are views.

The draft `champion.new` is written first, because that takes time and space. Then a line in the ledger makes the
decision. If the rest is interrupted, the next call completes it. The draft is removed last: while it exists, the
promotion may be incomplete.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.dataset import Bytes
from digitline.registry import bento, ledger
from digitline.registry.bento import Card
from digitline.tracking import models
from digitline.tracking.store import Store


class Absent(InputError):
    """The ledger names a champion whose bytes are nowhere."""


class Places(NamedTuple):
    champion: Path  # the folder of model and card
    ledger: Path

    @property
    def draft(self) -> Path:
        """The folder in which a promotion is prepared."""
        return self.champion.with_suffix(".new")

    @property
    def pointer(self) -> Path:
        """DVC's pointer file to the champion, tracked by git."""
        return self.champion.with_suffix(".dvc")


class Model(NamedTuple):
    """A model that is, was or may become champion."""

    file: Path
    card: Card
    exported: Path | None  # where it is as ONNX, if it has been exported

    @property
    def sha256(self) -> str:
        return self.card["sha256"]

    @property
    def title(self) -> str:
        """The model in one line."""
        card, of = self.card, "seeds" if "members" in self.card else "seed"
        seeds = ", ".join(map(str, card.get("members", [card["seed"]])))
        return f"{card['variant']}, {of} {seeds}, {self.sha256[:16]}, {card['val_accuracy']:.2%} on validation"


class Views(NamedTuple):
    """What MLflow and BentoML store with a champion."""

    store: Store
    examples: Callable[[], Bytes]  # a few images that show what a model takes
    labels: Callable[[], dict[str, str]]  # for BentoML


Study = Callable[[], Mapping[str, Model]]  # the models that were evaluated here, by SHA-256


@contextmanager
def alone(places: Places) -> Iterator[None]:
    """Locks out other promotions; InputError if another one holds the lock for a minute."""
    places.champion.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(places.champion.with_suffix(".lock"), timeout=60):
            yield
    except Timeout:
        raise InputError(f"another promotion has locked {places.champion.parent}; wait for it or end it") from None


def held(folder: Path) -> Model | None:
    """The model and card in a folder, if both are there; InputError if they do not belong together."""
    return of_folder(folder, bento.verified(folder)) if (folder / bento.CARD).exists() else None


def of_folder(folder: Path, card: Card) -> Model:
    """The model with that card in a folder of one model."""
    return Model(folder / bento.MODEL, card, folder / bento.EXPORTED)


def complete(places: Places, study: Study, views: Views) -> Model | None:
    """Updates bytes and views to the ledger; returns the champion, None if there never was one.

    A champion of an earlier version of digitline, which has no exported file, gets one.
    InputError if the champion's bytes are damaged; Absent if they are nowhere.
    """
    entry = ledger.latest(ledger.read(places.ledger))
    if not entry:
        return None
    champion = whole(places.champion)
    if champion and champion.sha256 == entry["to"] and "onnx_sha256" in champion.card and not places.draft.exists():
        if not places.pointer.exists():  # an older version had DVC keep it as the output of a stage
            keep(places)
            print(f"added {places.champion} to DVC; now commit {places.pointer}")
        return champion
    with tempfile.TemporaryDirectory() as folder:
        found = find(places, study, views.store, Path(folder), entry["to"])
        if not found:
            held(places.champion)  # raises if it is damaged
            raise Absent(
                f"{places.ledger} names {entry['variant']} {entry['to'][:16]} as champion, but its bytes are missing; "
                f"run dvc pull {places.pointer}, or make where no remote has them"
            )
        lay_out(found, places.draft, views)
    return take_place(places, views)


def find(places: Places, study: Study, store: Store, scratch: Path, sha256: str) -> Model | None:
    """The model with that SHA-256, from the first place that has it undamaged."""
    places_of: list[Callable[[], Model | None]] = [
        lambda: whole(places.draft),
        lambda: whole(places.champion),
        lambda: study().get(sha256),
        lambda: whole(bento.kept(sha256)),
        lambda: in_cache(sha256),
        lambda: registered(store, sha256, scratch),
    ]
    for look in places_of:
        found = look()
        if found and found.sha256 == sha256:
            return found
    return None


def whole(folder: Path | None) -> Model | None:
    """The model in a folder, or None if it is missing or damaged."""
    try:
        return held(folder) if folder else None
    except (InputError, OSError):
        return None


def in_cache(sha256: str) -> Model | None:
    """The present or a former champion in DVC's cache, which lists every version of a folder that it ever kept."""
    cache = Path(dvc("cache", "dir").stdout.strip()) / "files/md5"  # as DVC documents it; no command looks into it
    for listing in sorted(
        cache.glob("*/*.dir"), key=lambda path: path.stat().st_mtime, reverse=True
    ):  # the newest card
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # one that is damaged
            names = {one["relpath"]: cache / one["md5"][:2] / one["md5"][2:] for one in json.loads(listing.read_text())}
            if {bento.MODEL, bento.CARD} <= set(names) <= set(bento.FILES):
                card = json.loads(names[bento.CARD].read_text())
                found = Model(names[bento.MODEL], card, names.get(bento.EXPORTED))
                if found.sha256 == sha256 == digest(found.file):
                    return found
    return None


def registered(store: Store, sha256: str, scratch: Path) -> Model | None:
    """The model downloaded from MLflow's registry; None if MLflow lacks it or does not answer."""
    try:
        return whole(models.download(store, sha256, scratch))
    except InputError:
        return None


def former(places: Places, study: Study, store: Store, scratch: Path, sha256: str) -> Model:
    """A former champion; InputError if no place has it."""
    found = find(places, study, store, scratch, sha256)
    if not found:
        raise InputError(
            f"neither BentoML's store nor MLflow's registry nor DVC's cache has the model {sha256[:16]}; "
            "if it was pushed, dvc fetch --all-commits brings it"
        )
    return found


def promote(places: Places, model: Model, entry: ledger.Entry, views: Views) -> Model:
    """Makes a model champion: writes the draft, then the ledger's line, then moves the draft into place."""
    try:
        lay_out(model, places.draft, views)
        share(places.draft, views)  # so that both have it as early as the ledger; take_place names a failure
        ledger.append(places.ledger, entry)
    except BaseException:
        shutil.rmtree(places.draft, ignore_errors=True)
        raise
    return take_place(places, views)


def lay_out(model: Model, draft: Path, views: Views) -> None:
    """Copies a model, its exported file and its card into the draft."""
    if model.file.parent != draft:
        shutil.rmtree(draft, ignore_errors=True)
        files.write(draft / bento.MODEL, model.file.read_bytes())
        card = export(model, draft / bento.EXPORTED, views)
        files.write(draft / bento.CARD, bento.card_text(card))


def export(model: Model, path: Path, views: Views) -> Card:
    """Copies the exported file, or makes it where the evaluation did not; returns the card that names it."""
    sha256 = model.card.get("onnx_sha256")
    if sha256 and model.exported and bento.is_file(model.exported, sha256):
        files.write(path, model.exported.read_bytes())
        return model.card
    from digitline.model import checkpoint  # PyTorch and its exporter take seconds to import
    from digitline.model.evaluation import predict
    from digitline.serving import export as exporter

    exporter.write(model.file, path)
    images = views.examples()
    exporter.check(path, images, predict(checkpoint.load(model.file), images))
    return bento.naming(model.card, digest(path))


def take_place(places: Places, views: Views) -> Model:
    """Moves the draft into place, updates DVC and the views, removes the draft; every step can be repeated."""
    laid_out = held(places.draft)
    if not laid_out:
        raise InputError(f"{places.draft} has no champion; delete it and run digitline promote")
    present = whole(places.champion)
    if not present or present.card != laid_out.card:
        moving = places.champion.with_suffix(".moving")
        shutil.rmtree(moving, ignore_errors=True)
        shutil.copytree(places.draft, moving)
        shutil.rmtree(places.champion, ignore_errors=True)
        moving.rename(places.champion)
    keep(places)
    champion = of_folder(places.champion, laid_out.card)
    try:
        print(f"champion: {champion.title}; {follow(champion, views)}")
    except InputError as error:
        print(f"champion: {champion.title}")
        print(f"warning: {error}; run digitline status --mend to update it", file=sys.stderr)
    shutil.rmtree(places.draft)
    return champion


def keep(places: Places) -> None:
    """Adds the champion to DVC, which updates its cache and pointer file; InputError if dvc add fails."""
    done = dvc("add", "--quiet", str(places.champion))
    if done.returncode:
        raise InputError(f"dvc add {places.champion} failed: {' '.join(done.stderr.split())[-300:]}")


def dvc(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs the DVC of this Python."""
    return subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)


def share(folder: Path, views: Views) -> tuple[str, InputError | None]:
    """Stores a champion in MLflow's registry and BentoML's store; describes both, and returns a failure of MLflow."""
    model, version, failure = of_folder(folder, bento.verified(folder)), {}, None
    exported, about = folder / bento.EXPORTED, model.title
    try:
        version = models.register(
            views.store, model.file, model.card, exported=exported, description=about, examples=views.examples
        )
    except InputError as error:
        failure = error
    tag = bento.store(folder, **version, **views.labels())
    return f"BentoML's {tag}" + (f", MLflow's version {version['mlflow_version']}" if version else ""), failure


def follow(champion: Model, views: Views) -> str:
    """Updates BentoML's store and MLflow's alias to the champion; returns a description of both."""
    where, failure = share(champion.file.parent, views)
    if failure:
        raise failure
    models.promote(views.store, champion.sha256)
    return where
