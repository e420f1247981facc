"""Whether a model may be champion: validation and cost decide, test figures are never looked at."""

from typing import Annotated, NamedTuple

from pydantic import Field, PositiveFloat

Fraction = Annotated[float, Field(ge=0, le=1)]


class Candidate(NamedTuple):
    val_accuracy: float  # fraction
    latency_ms: float  # one image, one thread, median
    size_mb: float  # the weights' file, in 10^6 bytes


class Verdict(NamedTuple):
    passed: bool
    reasons: list[str]  # why not, one sentence each


def gate(
    challenger: Candidate,
    champion: float | None,
    *,
    minimum_accuracy: Fraction,
    margin: Fraction,
    latency_ms: PositiveFloat,
    size_mb: PositiveFloat,
) -> Verdict:
    """Holds the challenger against the floor, the budgets and the champion's validation accuracy, if there is one."""
    accuracy = challenger.val_accuracy
    reasons = []
    if accuracy < minimum_accuracy:
        reasons.append(f"validation accuracy {accuracy:.2%} is below gate.minimum_accuracy, {minimum_accuracy:.2%}")
    if champion is not None and accuracy < champion - margin:
        reasons.append(
            f"validation accuracy {accuracy:.2%} is more than {margin:.2%} below the champion's {champion:.2%}"
        )
    if challenger.latency_ms > latency_ms:
        reasons.append(f"latency {challenger.latency_ms:.2f} ms is above gate.latency_ms, {latency_ms:g} ms")
    if challenger.size_mb > size_mb:
        reasons.append(f"size {challenger.size_mb:.2f} MB is above gate.size_mb, {size_mb:g} MB")
    return Verdict(not reasons, reasons)
