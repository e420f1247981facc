"""Intervals and tests: over seeds, over images, and between two variants on the same images."""

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, norm, t

from digitline.measure.rounding import significant

Name = TypeVar("Name", bound=Hashable)

LEVEL = 0.05  # of significance; intervals are 95%
RESAMPLES = 4000
PLACES = 8  # decimals of differences and intervals, more than tables show; accuracies are exact, from counts


class Pair(NamedTuple):
    """Two variants on the same images; a positive difference means that the first is better."""

    first: str
    second: str
    difference: float  # of accuracy, fractions
    ci95: tuple[float, float]  # of the difference, by resampling images and runs
    better: int  # images that the first got right more often
    worse: int  # images that the second got right more often
    p: float  # exact, two-sided, before correction
    p_holm: float  # corrected for the number of pairs


def summary(values: Sequence[float]) -> dict[str, Any]:
    """The mean over seeds, its standard deviation and Student's 95% interval, which are None for one seed."""
    mean, count = fmean(values), len(values)  # fmean is exact, so order and Python version do not matter
    if count < 2:
        return {"mean": mean, "sd": None, "ci95": None}
    sd = stdev(values)
    half = float(t.ppf(1 - LEVEL / 2, count - 1)) * sd / math.sqrt(count)
    return {"mean": mean, "sd": significant(sd), "ci95": [round(mean - half, PLACES), round(mean + half, PLACES)]}


def wilson(accuracy: float, images: float) -> list[float]:
    """The 95% interval over images of the accuracy of one run, or of the mean of several (Wilson, 1927)."""
    z = float(norm.ppf(1 - LEVEL / 2))
    middle = accuracy + z**2 / (2 * images)
    half = z * math.sqrt(accuracy * (1 - accuracy) / images + (z / (2 * images)) ** 2)
    return [round((middle + sign * half) / (1 + z**2 / images), PLACES) for sign in (-1, 1)]


def mcnemar(better: int, worse: int) -> float:
    """The exact two-sided p that two classifiers have equal accuracy, from the images on which they differ."""
    return significant(float(binomtest(better, better + worse).pvalue)) if better + worse else 1.0


def inferiority(better: int, worse: int, images: int, margin: float) -> float:
    """The exact p that one classifier's accuracy is `margin` or more below another's, on the same images.

    Computed from the images that only one of them got right. The share on which they differ is unknown, so p is
    the maximum over the 99.9% interval of that share, plus the remaining 0.1% (Berger and Boos,
    1994).
    """
    left_out = 0.001
    interval = binomtest(better + worse, images).proportion_ci(1 - left_out, "exact")
    low = max(interval.low, margin, 1e-9)
    shares = np.linspace(low, max(interval.high, low), 50)[:, None]
    apart = np.arange(images + 1)
    wins = np.ceil((apart + better - worse) / 2)  # the fewest wins with a difference as high as the observed one
    p = binom.pmf(apart, images, shares) * binom.sf(wins - 1, apart, (1 - margin / shares) / 2)
    return significant(min(1.0, float(p.sum(1).max()) + left_out))


def holm(values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in the given order (Holm, 1979)."""
    corrected, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = significant(highest)
    return corrected


def resampled(right: Mapping[str, NDArray[np.bool_]], *, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Each variant's accuracy in bootstrap resamples of images and runs, from its right answers [runs, N].

    A resample has the same images for all variants, so differences between them are paired.
    """
    generator = np.random.default_rng(seed)
    images = next(iter(right.values())).shape[1]
    counts = generator.multinomial(images, np.full(images, 1 / images), size=RESAMPLES).astype(np.float32)
    accuracies = {}
    for name, answers in right.items():
        runs = len(answers)
        weights = generator.multinomial(runs, np.full(runs, 1 / runs), size=RESAMPLES)
        accuracies[name] = (weights * (counts @ answers.T.astype(np.float32))).sum(1) / (runs * images)
    return accuracies


def compare(right: Mapping[str, NDArray[np.bool_]]) -> list[Pair]:
    """Compares every pair of variants, from their right answers [runs, N] on the same images, in the given order.

    The exact test is McNemar's (1947); with several runs, an image counts for the variant with the larger share
    of right runs.
    """
    samples, shares = resampled(right), {name: answers.mean(0) for name, answers in right.items()}
    pairs = []
    for first, second in combinations(right, 2):
        gap = shares[first] - shares[second]
        better, worse = int((gap > 0).sum()), int((gap < 0).sum())
        low, high = np.quantile(samples[first] - samples[second], [LEVEL / 2, 1 - LEVEL / 2])
        interval, p = (round(float(low), PLACES), round(float(high), PLACES)), mcnemar(better, worse)
        difference = round(float(gap.mean()), PLACES)
        pairs.append(Pair(first, second, difference, interval, better, worse, p, p))
    corrected = holm([pair.p for pair in pairs])
    return [pair._replace(p_holm=p) for pair, p in zip(pairs, corrected, strict=True)]


def groups(names: Sequence[Name], apart: set[frozenset[Name]]) -> dict[Name, str]:
    """Letters by name: two names share a letter if they do not differ significantly (Piepho, 2004)."""
    columns: list[set[Name]] = [set(names)]
    for a, b in map(tuple, apart):
        split = [part for c in columns for part in ([c - {a}, c - {b}] if {a, b} <= c else [c])]
        columns = [c for i, c in enumerate(split) if not any(c < d or (c == d and i > j) for j, d in enumerate(split))]
    columns.sort(key=lambda c: sorted(names.index(name) for name in c))
    return {name: "".join(letter(i) for i, c in enumerate(columns) if name in c) for name in names}


def letter(place: int) -> str:
    """a, b, … z, then a1, b1, …"""
    return chr(ord("a") + place % 26) + (str(place // 26) if place >= 26 else "")
