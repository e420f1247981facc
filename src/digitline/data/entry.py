"""The keys of a data set's entry in params.yaml, and of the split; the shape of its images."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt


def hexadecimal(text: str) -> str:
    """ValueError if the text is no digest of a file."""
    if not re.fullmatch("[0-9a-f]{64}|md5:[0-9a-f]{32}", text):
        raise ValueError("the 64 digits that sha256sum prints, or md5: and the 32 that md5sum prints")
    return text


Digest = Annotated[str, AfterValidator(hexadecimal)]
Members = Annotated[list[str], Field(min_length=2)]  # of an archive, by their names without folders
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, Field(pattern=r"^https?://")]
Range = Annotated[list[NonNegativeFloat], Field(min_length=2, max_length=2)]  # lowest, highest
Fraction = Annotated[float, Field(ge=0, le=1)]


# How a picture becomes an image of the data set: like MNIST's, from a pen on paper; or resized, the rest of the frame
# in the mean colour of the picture's border (letterbox) or its longer side cut (crop).
Preparation = Literal["mnist", "letterbox", "crop"]

# The images of no class that a data set has, to train with and to measure doubt on: drawn shapes, signs and scribbles,
# where none of its classes looks like one.
Outliers = Literal["none", "drawn"]


class Shape(NamedTuple):
    """The size of an image: `image` of the entry."""

    height: PositiveInt = 28  # pixels
    width: PositiveInt = 28
    channels: Literal[1, 3] = 1  # grey or RGB


MNIST = Shape()  # of a model whose file names no other


class Entry(NamedTuple):
    classes: Annotated[list[str], Field(min_length=2)]
    image: dict[str, Any]  # see Shape
    preparation: Preparation
    outliers: Outliers
    source: dict[str, Any]  # see SOURCES
    bounds: dict[str, Any]  # see Bounds
    # Its own sections, while it is not in use; `digitline use` brings them to the top of params.yaml.
    split: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    variants: Annotated[dict[str, dict[str, Any]], Field(min_length=1)] | None = None
    search: dict[str, dict[str, Any]] | None = None
    votes: list[str] | None = None
    select_by: str | None = None


OWN = ("split", "gate", "recipe", "variants", "search", "votes", "select_by")


def carried(options: Mapping[str, Any]) -> list[str]:
    """The sections that an entry has of its own."""
    return [section for section in OWN if section in options]


class Files(NamedTuple):
    """Four IDX files: what sources.fetch takes."""

    files: dict[str, Digest]  # SHA-256 of the uncompressed content, or MD5 of the file as it is
    mirrors: list[Url] | None = None
    transpose: bool = False
    first_label: NonNegativeInt = 0


class Archive(NamedTuple):
    """An archive of IDX files or of CIFAR's records: what archives.fetch takes."""

    archive: str
    digest: Digest  # of the archive as it is
    members: Members
    label_bytes: PositiveInt | None = None  # before the pixels of each record
    mirrors: list[Url] | None = None
    transpose: bool = False
    first_label: NonNegativeInt = 0


class Pictures(NamedTuple):
    """Pictures listed in a manifest: what pictures.fetch takes."""

    manifest: str  # a CSV file in git, see pictures.Line
    pictures: str  # their folder
    sha256: Sha256  # of the data set's file that they give


# The kinds of source, each by a key that only it has.
SOURCES: dict[str, type] = {"files": Files, "archive": Archive, "manifest": Pictures}


class Bounds(NamedTuple):
    """What expectations.rules takes: the lowest and highest value of each feature."""

    images: dict[Literal["train", "test"], PositiveInt] | None = None
    class_share: Range | None = None
    darkest: Range | None = None
    brightest: Range | None = None
    contrast: Range | None = None
    mean: Range | None = None
    std: Range | None = None
    red: Range | None = None
    green: Range | None = None
    blue: Range | None = None
    ink: Range | None = None
    saturated: Range | None = None
    box: Range | None = None
    centre: Range | None = None
    duplicates: Fraction = 0.0
    leakage: Fraction = 0.0


class Split(NamedTuple):
    """What dataset.split takes."""

    validation: PositiveInt  # images
    seed: NonNegativeInt
