"""The champion in BentoML's model store: the same two files, under the content's name."""

import contextlib
import json
import shutil
from pathlib import Path

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.measure.rows import Run

MODEL, CARD = "model.safetensors", "model.json"
STUDY = "study.json"  # which models there are besides, best first


class Card(Run):
    """What is known of a model besides its bytes: nothing of when or how fast."""

    variant: str
    classes: list[str]
    parameters: int
    macs: int
    dataset: str
    dataset_sha256: str


def store(champion: Path, **lineage: str) -> str:
    """Stores the champion, labelled with where it came from, unless it is there already; returns its tag.

    That is digitline:<16 digits of its SHA-256>.
    """
    card, name = verified(champion), tag(champion)
    if not holds(name, card):
        with contextlib.suppress(NotFound):
            bentoml.models.delete(name)  # an older card, or what an interruption left
        labels = {"sha256": card["sha256"], "variant": str(card["variant"]), **lineage}
        with bentoml.models.create(name, labels=labels, metadata=dict(card)) as stored:
            for file in (MODEL, CARD):
                shutil.copyfile(champion / file, stored.path_of(file))
    return name


def tag(champion: Path) -> str:
    """The champion's name in the store."""
    return named(read_card(champion)["sha256"])


def named(sha256: str) -> str:
    """The name in the store of the model of that content."""
    return f"digitline:{sha256[:16]}"


def kept(sha256: str) -> Path | None:
    """The folder in the store with that model and its card, if it is there and whole."""
    try:
        folder = Path(bentoml.models.get(named(sha256)).path)
        return folder if verified(folder)["sha256"] == sha256 else None
    except (BentoMLException, InputError, OSError):
        return None


def labels(sha256: str) -> dict[str, str]:
    """Where the model in the store came from, as it was stored; none where it is not there."""
    try:
        return dict(bentoml.models.get(named(sha256)).info.labels)
    except (BentoMLException, OSError):
        return {}


def bentos(sha256: str) -> list[str]:
    """The Bentos in the store that carry the model."""
    return [str(one.tag) for one in bentoml.list() if any(str(m.tag) == named(sha256) for m in one.info.all_models)]


def card_text(card: Card) -> bytes:
    """A card as the bytes of its file."""
    return f"{json.dumps(card, indent=2, ensure_ascii=False)}\n".encode()


def verified(champion: Path) -> Card:
    """The champion's card; InputError where its model is not the one that the card names."""
    card = read_card(champion)
    if digest(champion / MODEL) != card["sha256"]:
        raise InputError(
            f"{champion / MODEL} is not the model that its card names, expected SHA-256 {card['sha256']}; "
            f"dvc checkout --force {champion}.dvc brings that back"
        )
    return card


def read_card(champion: Path) -> Card:
    """What is known of the champion; InputError where there is none, or no whole card."""
    path = champion / CARD
    if not path.exists():
        raise InputError(f"there is no champion in {champion}; dvc repro makes one")
    try:
        card: Card = json.loads(path.read_text())
        card["sha256"][:16], card["classes"][0], card["variant"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise InputError(f"{path} is no champion's card, expected JSON with sha256, classes and variant") from None
    return card


def holds(name: str, card: Card) -> bool:
    """Whether the store has this very model with this very card."""
    try:
        return verified(Path(bentoml.models.get(name).path)) == card
    except (BentoMLException, InputError, OSError):
        return False
