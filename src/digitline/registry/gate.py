"""Decides whether a model may be champion, by validation and cost; never uses test results."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from digitline.measure.statistics import LEVEL, inferiority, mcnemar
from digitline.registry.limits import Fraction

Right = NDArray[np.bool_]  # [N], whether each validation image was classified correctly


class Candidate(NamedTuple):
    right: Right
    latency_ms: float  # median for one image on one thread
    size_mb: float  # of the weights' file, 10^6 bytes


class Verdict(NamedTuple):
    passed: bool
    reasons: list[str]  # why it does not pass, one sentence each
    figures: dict[str, Any]  # what was measured


def judge(
    challenger: Candidate,
    champion: Right | None,
    *,
    minimum_accuracy: Fraction,
    margin: Fraction,
    latency_ms: PositiveFloat,
    size_mb: PositiveFloat,
) -> Verdict:
    """Judges the challenger by the floor, the budgets and, if there is one, the champion on the same images.

    To pass, an exact test must rule out that its accuracy is `margin` or more below the champion's.
    """
    accuracy = float(challenger.right.mean())
    figures = {"images": len(challenger.right), "val_accuracy": accuracy}
    reasons = []
    if accuracy < minimum_accuracy:
        reasons.append(f"validation accuracy {accuracy:.2%} is below gate.minimum_accuracy, {minimum_accuracy:.2%}")
    if champion is not None:
        pair = paired(challenger.right, champion, margin)
        figures |= pair
        if pair["p_inferior"] >= LEVEL:
            reasons.append(
                f"validation accuracy {accuracy:.2%} may be {margin:.2%} or more below the champion's "
                f"{pair['champion_val_accuracy']:.2%}: only it got {pair['better']} images right, "
                f"only the champion {pair['worse']}, exact p {pair['p_inferior']:.2g}"
            )
    if challenger.latency_ms > latency_ms:
        reasons.append(f"latency is above gate.latency_ms, {latency_ms:g} ms")
    if challenger.size_mb > size_mb:
        reasons.append(f"size {challenger.size_mb:.2f} MB is above gate.size_mb, {size_mb:g} MB")
    cost = {"latency_ms": round(challenger.latency_ms, 3), "size_mb": round(challenger.size_mb, 3)}
    return Verdict(not reasons, reasons, figures | cost)


def paired(challenger: Right, champion: Right, margin: float) -> dict[str, Any]:
    """How the two models differ on the same images."""
    better, worse = int((challenger & ~champion).sum()), int((champion & ~challenger).sum())
    return {
        "champion_val_accuracy": float(champion.mean()),
        "better": better,  # images that only the challenger got right
        "worse": worse,  # images that only the champion got right
        "p_equal": float(f"{mcnemar(better, worse):.6g}"),
        "p_inferior": float(f"{inferiority(better, worse, len(champion), margin):.6g}"),
    }


def report(verdict: Verdict, challenger: Mapping[str, Any], champion: Mapping[str, Any] | None) -> dict[str, Any]:
    """The verdict as written to its file, from the two cards: flat numbers and words, without timings."""
    measured = {key: value for key, value in verdict.figures.items() if key != "latency_ms"}
    return {
        "passed": verdict.passed,
        "challenger": challenger["variant"],
        "challenger_sha256": challenger["sha256"],
        "champion": champion and champion["variant"],
        "champion_sha256": champion and champion["sha256"],
        **measured,
        "reasons": verdict.reasons,
    }


def page(report: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    champion = f"Champion: {report['champion']}, `{report['champion_sha256']}`."
    lines = [
        f"# {report['challenger']} {'passes' if report['passed'] else 'does not pass'} the gate",
        "",
        f"Challenger: {report['challenger']}, `{report['challenger_sha256']}`.  ",
        champion if report["champion"] else "There was no champion to compare it with.",
        "",
        *(f"- {reason}" for reason in report["reasons"]),
        *([""] if report["reasons"] else []),
        f"| on {report['images']:,} validation images | measured | limit |",
        "| --- | --- | --- |",
        f"| accuracy | {report['val_accuracy']:.2%} | at least {limits['minimum_accuracy']:.2%} |",
        f"| size | {report['size_mb']:.2f} MB | at most {limits['size_mb']:g} MB |",
    ]
    if "p_inferior" in report:
        lines += [
            f"| the champion's accuracy | {report['champion_val_accuracy']:.2%} | |",
            f"| right by the challenger alone | {report['better']} images | |",
            f"| right by the champion alone | {report['worse']} images | |",
            f"| p of being {limits['margin']:.2%} or more below, exact | {report['p_inferior']:.2g} | below {LEVEL} |",
            f"| p of being equal (McNemar, exact) | {report['p_equal']:.2g} | |",
        ]
    return "\n".join(lines) + "\n"
