"""A verdict of the gate as its file and its page."""

from collections.abc import Mapping
from typing import Any

from digitline.measure.classes import TITLES
from digitline.measure.rows import Measure
from digitline.measure.statistics import LEVEL
from digitline.registry.gate import Verdict, amount


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
        **({"notes": verdict.notes} if verdict.notes else {}),
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
        *recall_lines(report, limits),
        *doubt_lines(report, limits),
        f"| size | {report['size_mb']:.2f} MB | at most {limits['size_mb']:g} MB |",
        *(measure_lines(report, limits["margin"]) if "select_by" in report else []),
    ]
    if "p_equal" in report:
        lines += [
            f"| the champion's accuracy | {report['champion_val_accuracy']:.2%} | |",
            f"| right by the challenger alone | {report['better']} images | |",
            f"| right by the champion alone | {report['worse']} images | |",
            f"| p of being {limits['margin']:.2%} or more below, exact | {report['p_inferior']:.2g} | below {LEVEL} |",
            f"| p of being equal (McNemar, exact) | {report['p_equal']:.2g} | |",
        ]
    notes = report.get("notes", [])
    return "\n".join([*lines, *([""] if notes else []), *(f"- {note}" for note in notes)]) + "\n"


def recall_lines(report: Mapping[str, Any], limits: Mapping[str, Any]) -> list[str]:
    """The line of the lowest recall, where the gate has a minimum."""
    minimum = limits.get("minimum_recall")
    if minimum is None or "lowest_recall" not in report:
        return []
    name = report["lowest_recall_class"]
    least = minimum[name] if isinstance(minimum, dict) else minimum
    return [f"| lowest recall, of class {name} | {report['lowest_recall']:.2%} | at least {least:.2%} |"]


def doubt_lines(report: Mapping[str, Any], limits: Mapping[str, Any]) -> list[str]:
    """The line of the doubt about images of no class, where the gate has a minimum and the data set such images."""
    if "outliers_doubted" not in report or limits.get("minimum_doubted") is None:
        return []
    share, minimum = report["outliers_doubted"], limits["minimum_doubted"]
    return [f"| drawn images of no class, doubted | {share:.2%} | at least {minimum:.2%} |"]


def measure_lines(report: Mapping[str, Any], margin: float) -> list[str]:
    """The lines of the measure that ranks, where it is another than accuracy."""
    by: Measure = report["select_by"]
    lines = [f"| {TITLES[by]} | {amount(by, report[f'val_{by}'])} | |"]
    if f"champion_val_{by}" in report:
        worse, ends = "above" if by == "nll" else "below", (report["loss_low"], report["loss_high"])
        limit = f"{amount(by, margin)} or more"
        lines += [
            f"| the champion's {TITLES[by]} | {amount(by, report[f'champion_val_{by}'])} | |",
            f"| how far {worse} the champion's, 95% interval | {' to '.join(amount(by, end) for end in ends)} | |",
            f"| p of being {limit} {worse}, paired resampling | {report['p_inferior']:.2g} | below {LEVEL} |",
        ]
    return lines
