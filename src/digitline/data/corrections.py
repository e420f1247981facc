"""Corrections: images with the class that a person says they show. Plain files."""

import csv
import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock
from PIL import Image

from digitline.base import files
from digitline.base.errors import InputError
from digitline.data.dataset import Bytes

TABLE = "corrections.csv"  # beside the images, each a PNG named by the SHA-256 of its pixels


class Correction(NamedTuple):
    image: Bytes  # [H, W] or [H, W, 3], as the model got it
    label: str  # the class that it shows; empty if it shows none
    answer: str  # the model's
    doubtful: bool
    model: str  # its SHA-256


HEAD = list(Correction._fields)  # of the table, which has the image's hash in place of the image


def identity(image: Bytes) -> str:
    """The SHA-256 of the pixels."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def lines(folder: Path) -> list[list[str]]:
    """The table without its header, oldest first; empty if nothing was kept."""
    path = folder / TABLE
    if not path.exists():
        return []
    with path.open(newline="") as file:
        head, *found = list(csv.reader(file)) or [[]]
    if head != HEAD or any(len(line) != len(head) for line in found):
        raise InputError(f"{path} is not a table of corrections, expected lines of {','.join(HEAD)}")
    return found


def keep(folder: Path, correction: Correction, *, most: int) -> int:
    """Adds a correction unless it is its image's last one; returns the number of lines; InputError above `most`."""
    line = [identity(correction.image), *map(str, correction[1:])]
    picture, text = io.BytesIO(), io.StringIO()
    Image.fromarray(correction.image).save(picture, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        kept = lines(folder)
        if {old[0]: old for old in kept}.get(line[0]) == line:
            return len(kept)
        if len(kept) >= most:
            raise InputError(f"there are already {most} corrections, expected no more")
        files.write(folder / f"{line[0]}.png", picture.getvalue())
        csv.writer(text, lineterminator="\n").writerows([HEAD, *kept, line])
        files.write(folder / TABLE, text.getvalue().encode())
    return len(kept) + 1


def read(folder: Path, classes: list[str]) -> list[Correction]:
    """The last correction of each image, in the order of their hashes; InputError names what has been changed."""
    last = {line[0]: line for line in lines(folder)}
    found = []
    for name, (_, label, answer, doubtful, model) in sorted(last.items()):
        if label and label not in classes:
            raise InputError(f"{folder / TABLE} labels {name} {label!r}, expected {', '.join(classes)} or nothing")
        found.append(Correction(pixels(folder / f"{name}.png"), label, answer, doubtful == "True", model))
    return found


def pixels(path: Path) -> Bytes:
    """The image in a file that is named after the SHA-256 of its pixels."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            image = np.array(picture) if picture.mode in ("L", "RGB") else None
    except (OSError, SyntaxError, ValueError):
        image = None
    if image is None or identity(image) != path.stem:
        raise InputError(f"{path} is not the image of its name, expected grey or RGB pixels with that SHA-256")
    return image
