"""Writes the entry of a data set into params.yaml, in the form that DVC's writer leaves alone."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import own, params
from digitline.data.dataset import Bytes
from digitline.data.entry import OWN, Shape
from digitline.model import starters

COMMENTS = {
    "validation": "of the training images",
    "minimum_accuracy": "just above what always answering the largest class reaches; raise it",
    "margin": "the most that a new champion may lose in accuracy",
    "latency_ms": "the median for one image on one thread",
    "sha256": "of the data set's file that the pictures give",
    "bounds": "what the images have, and a tenth of the range at each end",
}


SEED = 0  # of the split


def free(path: Path, name: str, *, replace: bool) -> None:
    """InputError if the name cannot be that of an entry, or is taken."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(
            f"the name {name!r} cannot be a key of params.yaml; give one with --name: A to Z, digits, - and _"
        )
    if name in params.loaded(params.text(path), path).datasets and not replace:
        raise InputError(
            f"{path} has a data set {name} already; choose another --name, or add --replace to adopt it again"
        )


def validation(training: int, classes: int) -> int:
    """How many training images to hold out: 15 %, at most 5000, and two of each class if half of them are as many."""
    return max(1, min(training // 2, 5000, max(round(0.15 * training), 2 * classes)))


def sections(image: Shape, training: int, validation: int, held: Bytes) -> dict[str, Any]:
    """The own sections of an entry; `held` are the labels of validation, as many as asked for or, by groups, nearly."""
    most = max(held.tolist().count(label) for label in set(held.tolist())) / len(held)
    return {
        "split": {"validation": validation, "seed": SEED},
        "gate": {
            "minimum_accuracy": min(1.0, math.floor(most * 1000 + 1) / 1000),
            # A loss that can be ruled out if the two models differ on one image in twenty.
            "margin": max(0.002, round(1.64 * math.sqrt(0.05 / len(held)), 3)),
            "latency_ms": 20 if image.height * image.width <= 64 * 64 else 200,
            "size_mb": 10,
        },
        "variants": starters.variants(image, training - len(held)),
        "search": {},
        "votes": [],
    }


def add(path: Path, name: str, described: Mapping[str, Any], sections: Mapping[str, Any]) -> None:
    """Adds or replaces an entry; one that is there keeps the sections of its own, or those at the top if in use."""
    tree = own.parsed(params.text(path))
    before = tree["datasets"].get(name)
    kept = {key: before[key] for key in OWN if key in before} if before is not None else of_its_own(sections, tree)
    tree["datasets"][name] = commented({**described, **kept})
    text = own.dumped(own.parsed(own.dumped(tree)))
    params.parsed(text, path)
    files.write(path, text.encode())


def of_its_own(sections: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that change places with those at the top, where one may be left out."""
    return {key: section for key, section in sections.items() if key in tree}


def commented(section: Mapping[str, Any]) -> CommentedMap:
    """The section with comments; small mappings of numbers on one line."""
    if isinstance(section, CommentedMap):
        return section
    found = CommentedMap()
    for key, value in section.items():
        found[key] = commented(value) if isinstance(value, Mapping) else value
        if key in COMMENTS:
            found.yaml_add_eol_comment(COMMENTS[key], key)
    if set(section) & {"height", "network", "shift", "train"}:
        found.fa.set_flow_style()
    return found
