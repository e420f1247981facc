"""Corrections: images of which a person said what they show. Plain files, held to the data's expectations."""

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from filelock import FileLock
from PIL import Image
from safetensors.numpy import load_file
from safetensors.numpy import save as serialise

from digitline import checkpoint, checks, files
from digitline.data import Bytes, Dataset, Part
from digitline.drawing import SIDE
from digitline.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TABLE = "corrections.csv"  # beside the images, each a PNG named by the SHA-256 of its pixels


class Correction(NamedTuple):
    image: Bytes  # [28, 28], as the model got it
    label: str  # the class that it shows; empty where it shows none
    answer: str  # the model's
    doubtful: bool
    model: str  # its SHA-256


HEAD = list(Correction._fields)  # of the table; the image stands there as its hash


def identity(image: Bytes) -> str:
    """The SHA-256 of the pixels."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def lines(folder: Path) -> list[list[str]]:
    """The table below its head, oldest first; none where nothing was kept."""
    path = folder / TABLE
    if not path.exists():
        return []
    with path.open(newline="") as file:
        head, *found = list(csv.reader(file)) or [[]]
    if head != HEAD or any(len(line) != len(head) for line in found):
        raise InputError(f"{path} is no table of corrections, expected lines of {','.join(HEAD)}")
    return found


def keep(folder: Path, correction: Correction, *, most: int) -> int:
    """Adds a correction unless it is there already; returns how many lines there are, InputError beyond the most."""
    line = [identity(correction.image), *map(str, correction[1:])]
    picture, text = io.BytesIO(), io.StringIO()
    Image.fromarray(correction.image).save(picture, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        kept = lines(folder)
        if {old[0]: old for old in kept}.get(line[0]) == line:
            return len(kept)
        if len(kept) >= most:
            raise InputError(f"{most} corrections are kept, expected no more")
        files.write(folder / f"{line[0]}.png", picture.getvalue())
        csv.writer(text, lineterminator="\n").writerows([HEAD, *kept, line])
        files.write(folder / TABLE, text.getvalue().encode())
    return len(kept) + 1


def read(folder: Path, classes: list[str]) -> list[Correction]:
    """The last correction of each image, in the order of their hashes; InputError names what is not as keep left it."""
    last = {line[0]: line for line in lines(folder)}
    found = []
    for name, (_, label, answer, doubtful, model) in sorted(last.items()):
        if label and label not in classes:
            raise InputError(f"{folder / TABLE} calls {name} {label!r}, expected {', '.join(classes)} or nothing")
        found.append(Correction(pixels(folder / f"{name}.png"), label, answer, doubtful == "True", model))
    return found


def pixels(path: Path) -> Bytes:
    """The image [28, 28] of a file that is named by them."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            fits = picture.size == (SIDE, SIDE) and picture.mode == "L"
            image = np.array(picture) if fits else None
    except (OSError, SyntaxError, ValueError):
        image = None
    if image is None or identity(image) != path.stem:
        raise InputError(f"{path} is not the image of its name, expected {SIDE}x{SIDE} grey pixels as they were kept")
    return image


def part(corrections: list[Correction], classes: list[str]) -> Part:
    """Images and labels of those that show a class."""
    shown = [one for one in corrections if one.label]
    images = np.array([one.image for one in shown], np.uint8).reshape(-1, SIDE, SIDE)
    return Part(images, np.array([classes.index(one.label) for one in shown], np.uint8))


def features(part: Part, dataset: Dataset) -> "pd.DataFrame":
    """A row an image, as the data set's; and how many of its images are the same, pixel by pixel."""
    known = {identity(image) for images, _ in dataset for image in images}
    table = checks.measured(part)
    return table.assign(training_copies=table["sha256"].isin(known).astype(int))


def rules(*, classes: list[str], **bounds: Any) -> list[checks.Rule]:
    """The data set's expectations of each single image, and that it is not one of them already."""
    ours = [rule for rule in checks.expectations(classes=classes, **bounds) if not rule.split]
    single = [rule for rule in ours if rule.options["column"] != "class_share" and rule.options.get("mostly", 1) == 1]
    new = checks.within("training_copies", [0, 0])._replace(name="copies among the data set's images")
    return [*single, new]


def reasons(part: Part, dataset: Dataset, *, classes: list[str], **bounds: Any) -> list[list[str]]:
    """Why each image may not be trained with: what Great Expectations found; nothing where all holds."""
    told: list[list[str]] = [[] for _ in part.labels]
    if told:
        table, held = features(part, dataset), rules(classes=classes, **bounds)
        for rule, finding in zip(held, checks.validate(table, held, rows=len(told)).findings, strict=True):
            for row in finding.rows:
                value, expected = table[rule.options["column"]][row], rule.expected.removesuffix(" in all images")
                told[row].append(f"{rule.name} {value:.4g}, expected {expected}")
    return told


def save(part: Part, path: Path) -> None:
    """Writes what is to be trained with, as one safetensors file: its bytes follow from the images and labels alone."""
    files.write(path, serialise({name: np.ascontiguousarray(array) for name, array in part._asdict().items()}))


def load(path: Path, sha256: str) -> Part:
    """Reads what save wrote; InputError where it is not the file of that SHA-256."""
    found = checkpoint.digest(path) if path.exists() else "none, it is not there"
    if found != sha256:
        raise InputError(f"{path} has SHA-256 {found}, expected {sha256} as feedback in params.yaml; see make feedback")
    return Part(**load_file(path))
