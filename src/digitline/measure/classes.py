"""Measures per class, their means over the classes, and how far resampling the images moves them."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from digitline.measure.rounding import significant
from digitline.measure.rows import ClassLine, Confusion, Measure, Row, Run
from digitline.measure.statistics import LEVEL, RESAMPLES, summary, wilson
from digitline.model.scores import Floats, Integers, losses

Numbers = NDArray[np.float64]

AVERAGES = ("balanced_accuracy", "macro_precision", "macro_f1")  # means over the classes that have images
COUNTS = ("right", "predicted")  # of a run: for each class, the images that it got right and those that it gave to it
TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "macro precision",
    "macro_f1": "macro F1",
    "nll": "NLL",
}
MOST = 10  # confusions that a row names
DRAWN = 2**22  # images drawn at a time


class Tally(NamedTuple):
    """Numbers of images by class: a run's counts, or their means over several runs."""

    images: Numbers  # [..., classes], of the class
    right: Numbers  # [..., classes], of the class and predicted as such
    predicted: Numbers  # [..., classes], predicted as the class


class Answers(NamedTuple):
    """One model's answers to labelled images."""

    predicted: Integers  # [N], classes
    losses: Floats  # [N], negative log-likelihoods in nats


def tally(counts: NDArray[Any]) -> Tally:
    """The numbers by class from a confusion matrix [actual, predicted]."""
    matrix = np.asarray(counts, np.float64)
    return Tally(matrix.sum(1).round(), matrix.diagonal(), matrix.sum(0))


def of_run(split: str, counts: NDArray[np.int64]) -> dict[str, Any]:
    """What a run has per class: the means over classes, rounded, and exact counts."""
    of = tally(counts)
    means = {f"{split}_{name}": value for name, value in averages(of).items()}
    return means | {f"{split}_{name}": [int(count) for count in getattr(of, name)] for name in COUNTS}


def of_row(split: str, runs: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """What a row has per class, from its runs' confusion matrices [runs, actual, predicted].

    Per class from the mean matrix. The means over classes like accuracies, with an interval over seeds, and one over
    images: the mean of those of the runs, as if they erred on the same images.
    """
    mean = np.asarray(runs.mean(0), np.float64)
    each, spread = [averages(tally(run)) for run in runs], [resampled(run) for run in runs]
    found: dict[str, Any] = {}
    for name in AVERAGES:
        ends = [significant(fmean(run[name][end] for run in spread)) for end in (0, 1)]
        found[f"{split}_{name}"] = {**summary([run[name] for run in each]), "images95": ends}
    return found | {f"{split}_classes": lines(tally(mean), names), f"{split}_confusions": confusions(mean, names)}


def lines(of: Tally, names: Sequence[str]) -> list[ClassLine]:
    """Precision and recall of each class with Wilson's intervals over images, and F1.

    None stands for what is not defined: all of a class without images, the precision of one that is never predicted.
    """
    return [line(name, *map(float, counts)) for name, *counts in zip(names, *of, strict=True)]


def line(name: str, images: float, right: float, predicted: float) -> ClassLine:
    """The measures of one class."""
    recall, recall95 = share(right, images)
    precision, precision95 = share(right, predicted if images else 0)
    return {
        "name": name,
        "images": int(images),
        "recall": recall,
        "recall95": recall95,
        "precision": precision,
        "precision95": precision95,
        "f1": significant(2 * right / (images + predicted)) if images else None,
    }


def share(right: float, images: float) -> tuple[float | None, list[float] | None]:
    """A share of images and its 95% interval; None without images."""
    if not images:
        return None, None
    return significant(right / images), [significant(end) for end in wilson(right / images, images)]


def shares(of: Tally) -> dict[str, Numbers]:
    """Recall, precision and F1 [..., classes] of the classes that have images; one never predicted has precision 0."""
    there = np.flatnonzero(of.images)
    images, right, predicted = of.images[there], of.right[..., there], of.predicted[..., there]
    values = right / images, right / np.maximum(predicted, 1e-9), 2 * right / (images + predicted)
    return dict(zip(AVERAGES, values, strict=True))


def averages(of: Tally) -> dict[str, float]:
    """The means over the classes that have images."""
    return {name: significant(math.fsum(values.tolist()) / len(values)) for name, values in shares(of).items()}


def resampled(counts: NDArray[np.int64], *, seed: int = 0) -> dict[str, list[float]]:
    """The 95% interval of each mean over classes, by resampling the images of a matrix [actual, predicted] by class."""
    generator, images = np.random.default_rng(seed), tally(counts).images
    right, predicted = (np.zeros((RESAMPLES, len(counts))) for _ in COUNTS)
    for actual in np.flatnonzero(images):
        guesses = np.flatnonzero(counts[actual])
        odds = counts[actual, guesses] / counts[actual].sum()
        drawn = generator.multinomial(int(images[actual]), odds, size=RESAMPLES)
        predicted[:, guesses] += drawn
        right[:, actual] = drawn[:, guesses == actual].sum(1)
    samples = shares(Tally(images, right, predicted))
    return {name: interval(values.mean(1)) for name, values in samples.items()}


def interval(samples: Numbers) -> list[float]:
    """The 95% interval of resampled values, rounded."""
    return [significant(float(end)) for end in np.quantile(samples, [LEVEL / 2, 1 - LEVEL / 2])]


def confusions(counts: Numbers, names: Sequence[str], most: int = MOST) -> list[Confusion]:
    """The most frequent mistakes of a matrix [actual, predicted], and their share of the class's images."""
    wrong = np.where(np.eye(len(names), dtype=bool), 0, counts)
    order = np.argsort(-wrong.ravel(), kind="stable")[:most]
    places = ((int(flat) // len(names), int(flat) % len(names)) for flat in order if wrong.flat[flat])
    images = tally(counts).images
    return [
        {
            "actual": names[actual],
            "predicted": names[guess],
            "count": significant(float(wrong[actual, guess])),
            "share": significant(float(wrong[actual, guess] / images[actual])),
        }
        for actual, guess in places
    ]


def table(splits: Mapping[str, Sequence[ClassLine]]) -> list[list[Any]]:
    """The measures per class as the lines of a CSV file, with the names of its columns first."""
    header = ["split", "class", "images", "recall", "recall_low", "recall_high"]
    header += ["precision", "precision_low", "precision_high", "f1"]
    found: list[list[Any]] = [header]
    unknown: list[Any] = [None, None]
    for split, of in splits.items():
        for each in of:
            cells = [each["name"], each["images"], each["recall"], *(each["recall95"] or unknown)]
            found.append([split, *cells, each["precision"], *(each["precision95"] or unknown), each["f1"]])
    return found


def of_model(row: Row, run: Run, split: str) -> list[ClassLine]:
    """The measures per class of one run of a row."""
    whole, one = cast("Mapping[str, Any]", row), cast("Mapping[str, Any]", run)
    of, names = whole[f"{split}_classes"], [line["name"] for line in whole[f"{split}_classes"]]
    images = [line["images"] for line in of]
    return lines(Tally(*(np.array(each, float) for each in (images, *(one[f"{split}_{c}"] for c in COUNTS)))), names)


def answers(logits: Floats, labels: Integers) -> Answers:
    """What a gate compares of two models' logits [N, classes]."""
    return Answers(logits.argmax(1), losses(logits, labels))


def matrix(of: Answers, labels: Integers, classes: int) -> NDArray[np.int64]:
    """The confusion matrix [actual, predicted] of answers."""
    return np.bincount(labels.astype(int) * classes + of.predicted, minlength=classes**2).reshape(classes, classes)


def measured(by: Measure, of: Answers, labels: Integers, classes: int) -> float:
    """A model's measure, the one that ranks."""
    if by == "accuracy":
        return float((of.predicted == labels).mean())
    if by == "nll":
        return significant(float(of.losses.mean()))
    return averages(tally(matrix(of, labels, classes)))[by]


def losses_of(by: Measure, one: Answers, other: Answers, labels: Integers, classes: int, *, seed: int = 0) -> Numbers:
    """By how much the first model is worse than the second in resamples of the same images, drawn within classes.

    Each class gets two images more, of half a weight, that only one of the models got right. Without them, models that
    agree on seven images of a class would be equal on it in every resample, which seven images cannot show.
    """
    generator = np.random.default_rng(seed)
    if by == "nll":
        return of_losses(one.losses - other.losses, labels, generator)
    images = np.bincount(labels, minlength=classes).astype(float)
    # The column after the last class takes the wrong answers of the images added.
    tallies = [Tally(images, *(np.zeros((RESAMPLES, classes + 1)) for _ in COUNTS)) for _ in (one, other)]
    for label in np.flatnonzero(images):
        here = labels == label
        pairs, counts = np.unique(np.stack([one.predicted[here], other.predicted[here]]), axis=1, return_counts=True)
        pairs = np.concatenate([pairs, [[label, classes], [classes, label]]], 1)
        odds = np.append(counts, [0.5, 0.5]) / (counts.sum() + 1)
        drawn = generator.multinomial(int(images[label]), odds, size=RESAMPLES)
        for of, guesses in zip(tallies, pairs, strict=True):
            for guess in np.unique(guesses):
                of.predicted[:, guess] += drawn[:, guesses == guess].sum(1)
            of.right[:, label] = drawn[:, guesses == label].sum(1)
    first, second = (shares(of)[by].mean(1) for of in tallies)
    return np.asarray(second - first, np.float64)


def of_losses(gaps: Floats, labels: Integers, generator: np.random.Generator) -> Numbers:
    """The mean of the images' gaps in such resamples."""
    sums = np.zeros(RESAMPLES)
    for label in np.unique(labels):
        own = gaps[labels == label]
        step = max(1, DRAWN // len(own))
        for start in range(0, RESAMPLES, step):
            some = sums[start : start + step]
            some += own[generator.integers(len(own), size=(len(some), len(own)))].sum(1)
    return sums / len(labels)
