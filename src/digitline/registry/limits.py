"""The keys of gate in params.yaml."""

from typing import Annotated, NamedTuple

from pydantic import Field, PositiveFloat

Fraction = Annotated[float, Field(ge=0, le=1)]
Recall = Fraction | dict[str, Fraction]


class Limits(NamedTuple):
    """What gate.judge takes."""

    minimum_accuracy: Fraction  # on validation
    margin: Fraction  # below the champion, on validation
    latency_ms: PositiveFloat  # median for one image on one thread
    size_mb: PositiveFloat  # of the weights' file, 10^6 bytes
    minimum_recall: Recall | None = None  # on validation, of every class or of those named
    minimum_doubted: Fraction | None = None  # of drawn images of no class, where the data set has such
