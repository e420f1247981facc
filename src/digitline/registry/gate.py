"""Decides whether a model may be champion, by validation and cost; never uses test results."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from pydantic import PositiveFloat

from digitline.measure import classes
from digitline.measure.classes import TITLES, Answers
from digitline.measure.rounding import significant
from digitline.measure.rows import ClassLine, Measure
from digitline.measure.statistics import LEVEL, RESAMPLES, inferiority, mcnemar
from digitline.model.scores import Integers
from digitline.registry.limits import Fraction, Recall

NAMED = 5  # classes that get a sentence of their own
UNCERTAIN = 0.1  # half of a recall's interval, from which on its class is named


class Candidate(NamedTuple):
    answers: Answers  # to the validation images
    latency_ms: float  # median for one image on one thread
    size_mb: float  # of the weights' file, 10^6 bytes
    doubted: dict[str, float] | None = None  # the share of drawn images of no class, by kind; None without such images


class Labelled(NamedTuple):
    """What the validation images are."""

    labels: Integers  # [N]
    classes: Sequence[str]  # their names


class Verdict(NamedTuple):
    passed: bool
    reasons: list[str]  # why it does not pass, one sentence each
    figures: dict[str, Any]  # what was measured
    notes: list[str]  # what the measures can and cannot say, one sentence each


class Finding(NamedTuple):
    """What one of the conditions adds to the verdict."""

    reasons: list[str]
    figures: dict[str, Any]
    notes: Sequence[str] = ()


def judge(
    challenger: Candidate,
    champion: Answers | None,
    on: Labelled,
    *,
    select_by: Measure,
    minimum_accuracy: Fraction,
    margin: Fraction,
    latency_ms: PositiveFloat,
    size_mb: PositiveFloat,
    minimum_recall: Recall | None = None,
    minimum_doubted: Fraction | None = None,
) -> Verdict:
    """Judges the challenger by the floors, the budgets and, if there is one, the champion on the same images.

    To pass, a test must rule out that the measure `select_by` is `margin` or more worse than the champion's: an exact
    one for accuracy, paired resampling for the others.
    """
    own, lines = challenger.answers, per_class(challenger.answers, on)
    found = [floor(own, on, select_by, minimum_accuracy)]
    if champion is not None:
        compared = exactly if select_by == "accuracy" else by_resampling
        found.append(compared(own, champion, on, select_by, margin))
    if minimum_recall is not None:
        found.append(lowest(lines, minimum_recall))
    if minimum_doubted is not None and challenger.doubted:
        found.append(doubting(challenger.doubted, minimum_doubted))
    found.append(budgets(challenger, latency_ms, size_mb))
    reasons = [reason for one in found for reason in one.reasons]
    notes = [note for one in found for note in one.notes]
    if select_by in classes.AVERAGES or minimum_recall is not None:
        notes += uncertain(lines)
    return Verdict(not reasons, reasons, {key: value for one in found for key, value in one.figures.items()}, notes)


def per_class(own: Answers, on: Labelled) -> list[ClassLine]:
    """The challenger's measures per class."""
    return classes.lines(classes.tally(classes.matrix(own, on.labels, len(on.classes))), on.classes)


def floor(own: Answers, on: Labelled, by: Measure, minimum: float) -> Finding:
    """The lowest accuracy, and the measure that ranks."""
    accuracy = classes.measured("accuracy", own, on.labels, len(on.classes))
    figures: dict[str, Any] = {"images": len(on.labels), "val_accuracy": accuracy}
    if by != "accuracy":
        figures |= {"select_by": by, f"val_{by}": classes.measured(by, own, on.labels, len(on.classes))}
    if accuracy >= minimum:
        return Finding([], figures)
    reason = f"validation accuracy {accuracy:.2%} is below gate.minimum_accuracy, {minimum:.2%}"
    return Finding([reason], figures)


def exactly(own: Answers, champion: Answers, on: Labelled, _: Measure, margin: float) -> Finding:
    """How the accuracies of the two models differ on the same images, by an exact test."""
    right, rights = own.predicted == on.labels, champion.predicted == on.labels
    better, worse = int((right & ~rights).sum()), int((rights & ~right).sum())
    figures = {
        "champion_val_accuracy": float(rights.mean()),
        "better": better,  # images that only the challenger got right
        "worse": worse,  # images that only the champion got right
        "p_equal": float(f"{mcnemar(better, worse):.6g}"),
        "p_inferior": float(f"{inferiority(better, worse, len(rights), margin):.6g}"),
    }
    if figures["p_inferior"] < LEVEL:
        return Finding([], figures)
    reason = (
        f"validation accuracy {right.mean():.2%} may be {margin:.2%} or more below the champion's "
        f"{rights.mean():.2%}: only it got {better} images right, "
        f"only the champion {worse}, exact p {figures['p_inferior']:.2g}"
    )
    return Finding([reason], figures)


def by_resampling(own: Answers, champion: Answers, on: Labelled, by: Measure, margin: float) -> Finding:
    """How another measure of the two models differs on the same images, by resampling these within their classes."""
    ours, theirs = (classes.measured(by, each, on.labels, len(on.classes)) for each in (own, champion))
    losses = classes.losses_of(by, own, champion, on.labels, len(on.classes))
    p = significant(float((1 + (losses >= margin).sum()) / (1 + len(losses))))
    low, high = classes.interval(losses)
    figures = {f"champion_val_{by}": theirs, "loss_low": low, "loss_high": high, "p_inferior": p}
    worse = f"{amount(by, margin)} or more {'above' if by == 'nll' else 'below'} the champion's {amount(by, theirs)}"
    found = f"paired resampling of the images within their classes, {RESAMPLES:,} times, p {p:.2g}"
    if p >= LEVEL:
        return Finding([f"validation {TITLES[by]} {amount(by, ours)} may be {worse}: {found}"], figures)
    return Finding([], figures, [f"that {TITLES[by]} {amount(by, ours)} is {worse} is ruled out by {found}"])


def amount(by: Measure, value: float) -> str:
    """A measure in words."""
    return f"{value:.4f}" if by == "nll" else f"{value:.2%}"


def lowest(lines: Sequence[ClassLine], minimum: Recall) -> Finding:
    """The recall of every class, or of those named, against its minimum."""
    wanted = minimum if isinstance(minimum, dict) else {line["name"]: minimum for line in lines}
    of = sorted(
        (line for line in lines if line["name"] in wanted), key=lambda line: (line["recall"] or 0, line["images"])
    )
    low = [line for line in of if line["recall"] is None or line["recall"] < wanted[line["name"]]]
    reasons = [below(line, wanted[line["name"]]) for line in low[:NAMED]]
    if len(low) > NAMED:
        reasons.append(f"{len(low) - NAMED} more classes are below gate.minimum_recall")
    known = [line for line in of if line["recall"] is not None][:1]
    figures = [{"lowest_recall": line["recall"], "lowest_recall_class": line["name"]} for line in known]
    return Finding(reasons, figures[0] if figures else {})


def below(line: ClassLine, minimum: float) -> str:
    """Why a class's recall does not pass."""
    if line["recall"] is None:
        return f"class {line['name']} has no validation image, so gate.minimum_recall cannot be judged for it"
    right = round(line["recall"] * line["images"])
    return (
        f"class {line['name']} has a recall of {line['recall']:.2%} on validation, {right} of {line['images']} images, "
        f"below gate.minimum_recall, {minimum:.2%}"
    )


def uncertain(lines: Sequence[ClassLine]) -> list[str]:
    """The classes with so few validation images that their recall is hardly known, the rarest first."""
    known = [(line, line["recall95"] or [0.0, 1.0]) for line in lines]
    wide = [(line, ends) for line, ends in known if ends[1] - ends[0] > 2 * UNCERTAIN]
    wide.sort(key=lambda one: one[0]["images"])
    notes = [little(*one) for one in wide[:NAMED]]
    if len(wide) > NAMED:
        notes.append(f"{len(wide) - NAMED} more classes are known no better than within ±{100 * UNCERTAIN:.0f} points")
    return notes


def little(line: ClassLine, interval: Sequence[float]) -> str:
    """How far the recall of a rare class is known."""
    images, (low, high) = line["images"], interval
    if line["recall"] is None:
        return f"class {line['name']} has no validation image: nothing is known of its recall"
    return (
        f"class {line['name']} has {images} validation image{'s' if images > 1 else ''}: its recall, "
        f"{line['recall']:.2%}, is known to within ±{50 * (high - low):.0f} points ({low:.0%} to {high:.0%}), "
        "and a smaller loss on it cannot be ruled out"
    )


def doubting(by_kind: dict[str, float], minimum: float) -> Finding:
    """The share of drawn images of no class that is doubted, over all kinds."""
    share = significant(fmean(by_kind.values()))
    if share >= minimum:
        return Finding([], {"outliers_doubted": share})
    least = min(by_kind, key=by_kind.__getitem__)
    reason = (
        f"{share:.2%} of drawn images of no class are doubted, below gate.minimum_doubted, {minimum:.2%}; "
        f"least of {least}, {by_kind[least]:.2%}"
    )
    return Finding([reason], {"outliers_doubted": share})


def budgets(challenger: Candidate, latency_ms: float, size_mb: float) -> Finding:
    """The limits of latency and size."""
    reasons = []
    if challenger.latency_ms > latency_ms:
        reasons.append(f"latency is above gate.latency_ms, {latency_ms:g} ms")
    if challenger.size_mb > size_mb:
        reasons.append(f"size {challenger.size_mb:.2f} MB is above gate.size_mb, {size_mb:g} MB")
    return Finding(reasons, {"latency_ms": round(challenger.latency_ms, 3), "size_mb": round(challenger.size_mb, 3)})
