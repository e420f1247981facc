"""The keys of a data set's entry in params.yaml, and of the split."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, Field(pattern=r"^https?://")]
Range = Annotated[list[NonNegativeFloat], Field(min_length=2, max_length=2)]  # lowest, highest
Fraction = Annotated[float, Field(ge=0, le=1)]


class Entry(NamedTuple):
    classes: Annotated[list[str], Field(min_length=2)]
    bounds: dict[str, Any]  # see Bounds
    files: dict[str, Sha256]  # of the uncompressed content
    mirrors: list[Url]


class Source(NamedTuple):
    """What sources.fetch takes."""

    files: dict[str, Sha256]
    mirrors: list[Url]


class Bounds(NamedTuple):
    """What expectations.rules takes: the lowest and highest value of each feature."""

    images: dict[Literal["train", "test"], PositiveInt] | None = None
    class_share: Range | None = None
    darkest: Range | None = None
    brightest: Range | None = None
    contrast: Range | None = None
    mean: Range | None = None
    std: Range | None = None
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
