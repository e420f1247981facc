"""The champion in BentoML's model store: the same three files, named by content."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any, NotRequired, cast

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.entry import Preparation
from digitline.measure.rows import Run

MODEL, EXPORTED, CARD = "model.safetensors", "model.onnx", "model.json"
FILES = (MODEL, EXPORTED, CARD)
STUDY = "study.json"  # lists the other models, best first


class Card(Run):
    """What is known about a model besides its bytes, without times and timings."""

    variant: str
    classes: list[str]
    parameters: int
    macs: int
    dataset: str
    dataset_sha256: str
    preparation: NotRequired[Preparation]  # of a picture; mnist where it is missing


def store(champion: Path, **lineage: str) -> str:
    """Stores the champion with its origin as labels, unless it is already there; returns its tag.

    The tag is digitline:<16 digits of its SHA-256>.
    """
    card, name = servable(champion), tag(champion)
    if not holds(name, card):
        with contextlib.suppress(NotFound):
            bentoml.models.delete(name)  # it has an older card or was interrupted
        labels = {"sha256": card["sha256"], "variant": str(card["variant"]), **lineage}
        with bentoml.models.create(name, labels=labels, metadata=dict(card)) as stored:
            for file in FILES:
                shutil.copyfile(champion / file, stored.path_of(file))
    return name


def tag(champion: Path) -> str:
    """The champion's tag in the store."""
    return named(read_card(champion)["sha256"])


def named(sha256: str) -> str:
    """The tag in the store of the model with that SHA-256."""
    return f"digitline:{sha256[:16]}"


def kept(sha256: str) -> Path | None:
    """The folder in the store with that model and its card, if both are there and undamaged."""
    try:
        folder = Path(bentoml.models.get(named(sha256)).path)
        return folder if verified(folder)["sha256"] == sha256 else None
    except (BentoMLException, InputError, OSError):
        return None


def labels(sha256: str) -> dict[str, str]:
    """The origin of the model, from its labels in the store; empty if the store does not have it."""
    try:
        return dict(bentoml.models.get(named(sha256)).info.labels)
    except (BentoMLException, OSError):
        return {}


def bentos(sha256: str) -> list[str]:
    """The Bentos in the store that contain the model."""
    return [str(one.tag) for one in bentoml.list() if any(str(m.tag) == named(sha256) for m in one.info.all_models)]


def naming(card: Card, onnx_sha256: str) -> Card:
    """The card with the exported file's SHA-256 beside the model's, where evaluation puts it."""
    found: dict[str, Any] = {}
    for key, value in card.items():
        found[key] = value
        if key == "sha256":
            found["onnx_sha256"] = onnx_sha256
    return cast("Card", found)


def card_text(card: Card) -> bytes:
    """A card as the content of its file."""
    return f"{json.dumps(card, indent=2, ensure_ascii=False)}\n".encode()


def servable(champion: Path) -> Card:
    """The card of a champion that can be served; InputError if it is damaged or was never exported."""
    card = verified(champion)
    if "onnx_sha256" not in card:
        raise InputError(
            f"{champion} has no {EXPORTED}, the form in which a model answers, because it is of an earlier version of "
            "digitline; run digitline status to export it"
        )
    return card


def verified(champion: Path) -> Card:
    """The champion's card; InputError if a file is not the one that the card names."""
    card = read_card(champion)
    named = {MODEL: card["sha256"], EXPORTED: card.get("onnx_sha256")}  # a champion of an earlier version has no second
    for file, sha256 in named.items():
        if sha256 and not is_file(champion / file, sha256):
            raise InputError(
                f"{champion / file} is not the model that its card names, expected SHA-256 {sha256}; "
                f"run dvc checkout --force {champion}.dvc to restore it"
            )
    return card


def is_file(path: Path, sha256: str) -> bool:
    """Whether there is a file with that content."""
    return path.exists() and digest(path) == sha256


def read_card(champion: Path) -> Card:
    """The champion's card; InputError if there is no champion or the card is damaged."""
    path = champion / CARD
    if not path.exists():
        raise InputError(
            f"there is no champion in {champion}; run make to train and promote one; "
            "if no model passed the gate, reports/promotion.md says why"
        )
    try:
        card: Card = json.loads(path.read_text())
        card["sha256"][:16], card["classes"][0], card["variant"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise InputError(f"{path} is not a model card, expected JSON with sha256, classes and variant") from None
    return card


def holds(name: str, card: Card) -> bool:
    """Whether the store has exactly this model with exactly this card."""
    try:
        return verified(Path(bentoml.models.get(name).path)) == card
    except (BentoMLException, InputError, OSError):
        return False
