"""Outputs do not depend on BLAS, LAPACK, exp and log, nor on noise and another order of the inputs."""

import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.manifold import TSNE

from digitline.data.dataset import Dataset, Part
from digitline.draw import charts, explanations, mosaics, results
from digitline.draw.palette import BLUE, Style
from digitline.explain import activations, embedding, filters, learned, mistakes
from digitline.measure import calibration, leaderboard, statistics, uncertainty
from digitline.measure.rows import Row
from digitline.model import networks, scores
from pipeline import ideas

ROOT = Path(__file__).parents[1]
CLASSES = [str(digit) for digit in range(10)]
FEW = 60  # images, each occurring twice, so that decisions by floats are ties
DRAWN = ("embedding", "answers", "gradients", "lines")  # charts with numbers other than counts

Kept = dict[str, str]


def noisy(values: NDArray[Any], seed: int = 0) -> NDArray[np.float64]:
    """The values with noise of one part in 10^12, less than the difference of another BLAS."""
    return values * (1 + 1e-12 * np.random.default_rng(seed).normal(size=values.shape))


def order(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(count)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return networks.build(network="plain", filters=[4], hidden=16, activation="relu", classes=10).eval()


@pytest.fixture(scope="module")
def twice(digits: Dataset) -> Part:
    """Real digits, each twice."""
    return Part(np.tile(digits.test.images[:FEW], (2, 1, 1)), np.tile(digits.test.labels[:FEW], 2))


@pytest.fixture(scope="module")
def responses(twice: Part) -> filters.Responses:
    return respond(twice)


def respond(part: Part) -> filters.Responses:
    """A network's responses to the images; it recognises most of them, like a trained one."""
    found = filters.respond(network(), part.images)
    known = 2 * np.eye(len(CLASSES), dtype=np.float32)[part.labels]
    return found._replace(logits=found.logits - found.logits.mean(0) + known)


def row(logits: NDArray[Any], labels: NDArray[Any]) -> Row:
    """A row of the leaderboard with two runs of equal answers."""
    shares = softmax(scores.exact(logits), 1)
    run = leaderboard.measures(logits, labels, logits, labels) | uncertainty.measures(shares, shares)
    runs: list[Any] = [{"seed": seed, "test_corrupted": 0.9, **run} for seed in (1, 2)]
    return leaderboard.row("a", runs, images=len(labels))


def plain(value: Any) -> Any:
    """Arguments as text: the whole repr."""
    if isinstance(value, Mapping):
        return [[key, plain(one)] for key, one in value.items()]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def pictured(part: Part, responses: filters.Responses) -> Kept:
    """Every figure of insight that depends on floats, its table, and the numbers passed to its chart."""
    kept: Kept = {}

    def keep(name: str, picture: str, header: Any, lines: Any) -> None:
        kept[name] = picture + repr([list(line) for line in lines])

    look = learned.Look(network(), part, CLASSES, responses, keep)
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, kept)
        numbers = [learned.excited(look), learned.embedded(look), mistakes.explained(look), mistakes.confused(look)]
        numbers += [mistakes.uncertain(look), mistakes.losses(responses.logits, part)]
    return kept | {"numbers": json.dumps(numbers)}


def watch(patch: pytest.MonkeyPatch, kept: Kept) -> None:
    """Also records the charts' arguments, because six decimals in a figure can hide unrounded numbers."""
    for name in DRAWN:
        draw = getattr(explanations, name)

        def drawn(*arguments: Any, draw: Callable[..., Any] = draw, name: str = name) -> Any:
            kept[f"given to {name} {len(kept)}"] = repr([plain(argument) for argument in arguments])
            return draw(*arguments)

        patch.setattr(explanations, name, drawn)


# Rows of the leaderboard


def test_a_row_is_the_same_with_noise_and_in_any_order(responses: filters.Responses, twice: Part) -> None:
    logits, labels, places = responses.logits, twice.labels, order(2 * FEW)
    assert row(noisy(logits), labels) == row(logits, labels) == row(logits[places], labels[places])


def test_a_temperature_is_the_same_with_noise(responses: filters.Responses, twice: Part) -> None:
    best = calibration.temperature(responses.logits, twice.labels)
    assert calibration.temperature(noisy(responses.logits), twice.labels) == best


def test_a_row_is_the_same_from_logits_in_single_and_in_double_precision(
    responses: filters.Responses, twice: Part
) -> None:
    assert row(responses.logits, twice.labels) == row(responses.logits.astype(np.float64), twice.labels)


def test_noise_moves_no_answer_to_another_bin() -> None:
    logits, labels = np.log(np.full((50, 2), [0.6, 0.4])), np.zeros(50, np.uint8)  # 9/15 is the edge of two of 15 bins
    assert len(calibration.calibration(logits, labels)) == len(calibration.calibration(noisy(logits), labels)) == 1


def test_the_calibration_error_is_summed_alike_on_every_python(monkeypatch: pytest.MonkeyPatch) -> None:
    bins = [calibration.Bin(1, confidence, 0.0) for confidence in [0.1] * 10]  # 0.9999999999999999 by plain addition
    monkeypatch.setattr(calibration, "calibration", lambda logits, labels: bins)
    exact = float(sum(Fraction(b.confidence) for b in bins))
    assert calibration.ece(np.zeros((1, 2)), np.zeros(1, np.uint8)) == exact == 1


@pytest.mark.parametrize("name", ["t", "norm", "binom", "binomtest"])
def test_the_last_digits_of_a_distribution_are_rounded_away(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"a": np.arange(300)[None] % 9 > 0, "b": np.arange(300)[None] % 40 > 0}

    def figured() -> Any:
        pairs = [pair._asdict() for pair in statistics.compare(right)]
        interval = statistics.inferiority(3, 5, 400, 0.02)
        return pairs, interval, statistics.summary([0.9, 0.91, 0.93]), statistics.wilson(0.97, 1000)

    before = figured()
    monkeypatch.setattr(statistics, name, Noisy(getattr(statistics, name)))
    assert figured() == before


class Noisy:
    """A distribution, or its test, with every number off by one part in 10^12."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.of, name)
        return found * (1 + 1e-12) if isinstance(found, float) else functools.partial(self.off, found)

    def __call__(self, *arguments: Any) -> "Noisy":
        return Noisy(self.of(*arguments))

    @staticmethod
    def off(work: Callable[..., Any], *arguments: Any) -> Any:
        found = work(*arguments)
        return found if hasattr(found, "low") else found * (1 + 1e-12)


# Charts


def test_a_calibration_s_chart_is_the_same_with_noise_and_in_any_order(
    responses: filters.Responses, twice: Part
) -> None:
    logits, labels, places = responses.logits, twice.labels, order(2 * FEW)
    alike: list[Any] = [(logits, labels), (noisy(logits), labels), (logits[places], labels[places])]
    pictures, numbers = set(), set()
    for given, of in alike:
        bins = calibration.joint_calibration(np.stack([given, given]), of)
        numbers.add(repr(bins))
        pictures.add(charts.svg(results.calibration(bins, BLUE)))
    assert len(numbers) == len(pictures) == 1


def test_every_figure_of_insight_is_the_same_with_noise(responses: filters.Responses, twice: Part) -> None:
    shaken: dict[str, Any] = {name: noisy(getattr(responses, name)) for name in ("features", "logits")}
    shaken["peaks"] = [noisy(peaks) for peaks in responses.peaks]
    before, after = pictured(twice, responses), pictured(twice, responses._replace(**shaken))
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.parametrize("seed", range(4))
def test_of_equally_uncertain_answers_the_first_is_shown(seed: int, responses: filters.Responses, twice: Part) -> None:
    shaken: dict[str, Any] = {"logits": noisy(responses.logits, seed)}
    look = learned.Look(network(), twice, CLASSES, responses._replace(**shaken), lambda *figure: None)
    assert mistakes.uncertain(look)["test_image"] < FEW


def test_a_part_without_effect_has_no_evidence(
    responses: filters.Responses, twice: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pictured(twice, responses)["evidence"]
    evidence = activations.evidence
    monkeypatch.setattr(activations, "evidence", lambda *of: evidence(*of) + np.float32(1e-7))
    assert pictured(twice, responses)["evidence"] == before


@pytest.mark.parametrize("draw", [mosaics.signed, mosaics.heatmap])
def test_noise_around_zero_has_the_colour_of_zero(draw: Callable[..., Any]) -> None:
    values = np.zeros((1, 6, 6))
    values[0, :2] = np.array([[-1.0], [1.0]])
    noise = 1e-12 * np.random.default_rng(0).normal(size=values.shape)
    assert np.array_equal(draw(values + noise, (1, 2)), draw(values, (1, 2)))


@pytest.mark.parametrize(
    "draw",
    [
        lambda found: ideas.slopes({"ReLU": found}),
        lambda found: ideas.ranges("pooling", {"pooling": {"fully connected": found}}, [1, 2, 4], "x", "y"),
    ],
)
def test_the_ideas_are_the_same_with_noise(draw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(ideas, "draw", lambda name, figure, table: drawn.append(charts.svg(figure) + repr(table)))
    values = np.random.default_rng(3).uniform(1e-6, 90, (4, 3))

    def outcome(values: NDArray[Any]) -> Any:
        kept: Kept = {}
        with pytest.MonkeyPatch.context() as patch:
            watch(patch, kept)
            return draw({1: ideas.Outcome(0.9, values.tolist(), values[0].tolist())}), kept

    assert outcome(noisy(values)) == outcome(values)
    assert len(set(drawn)) == 1


def test_noise_does_not_choose_the_side_of_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = {"mean": 0.99, "ci95": [0.98, 0.995]}
    rows: list[Any] = [
        {"variant": name, "macs": macs, "val_accuracy": accuracies, "front": True}
        for name, macs in [("a", 9), ("b", 99)]
    ]
    of = {"a": Style(BLUE), "b": Style(BLUE)}
    before, generator = charts.svg(results.front(rows, of)), np.random.default_rng(0)
    overlap = results.overlap
    monkeypatch.setattr(results, "overlap", lambda *boxes: overlap(*boxes) * (1 + 1e-12 * generator.normal()))
    assert charts.svg(results.front(rows, of)) == before


# Principal components


def test_components_are_the_same_with_noise_and_each_image_s_own_in_any_order(responses: filters.Responses) -> None:
    features, places = responses.features, order(2 * FEW)
    (whole, _), (shaken, _), (shuffled, _) = (
        embedding.components(given, 8) for given in (features, noisy(features), features[places])
    )
    assert whole.tobytes() == shaken.tobytes()
    assert whole[places].tobytes() == shuffled.tobytes()


def test_components_are_the_same_by_another_driver_and_by_another_decomposition(
    responses: filters.Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = embedding.components(responses.features, 8)
    with monkeypatch.context() as patch:
        patch.setattr(scipy.linalg, "svd", functools.partial(scipy.linalg.svd, lapack_driver="gesvd"))
        driven, _ = embedding.components(responses.features, 8)
    monkeypatch.setattr(embedding, "SOLVER", "covariance_eigh")
    other, _ = embedding.components(responses.features, 8)
    assert whole.tobytes() == driven.tobytes() == other.tobytes()


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_flip_a_component_with_two_equally_large_parts(seed: int) -> None:
    values = np.random.default_rng(0).normal(size=(50, 1))
    opposite = np.concatenate([values, -values], 1)
    assert embedding.components(noisy(opposite, seed), 1)[0].tobytes() == embedding.components(opposite, 1)[0].tobytes()


def test_noise_in_what_t_sne_finds_moves_no_point(
    responses: filters.Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, find = embedding.neighbourly(responses.features[:FEW]), TSNE.fit_transform
    monkeypatch.setattr(TSNE, "fit_transform", lambda *of: noisy(find(*of)))
    assert embedding.neighbourly(responses.features[:FEW]).tobytes() == before.tobytes()


# Another instruction set


def digest(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> str:
    """Digests of every figure of insight and of a row, computed by this process's numpy."""
    part = Part(images, labels)
    responses = respond(part)
    whole = {**pictured(part, responses), "row": json.dumps(row(responses.logits, labels))}
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


@pytest.mark.slow
def test_without_the_processor_s_newer_instructions_numpy_gives_the_same(twice: Part, tmp_path: Path) -> None:
    """A process without instructions such as AVX-512 gives the same figures and rows as this one."""
    np.savez(tmp_path / "twice.npz", images=twice.images, labels=twice.labels)
    code = "import sys, numpy, torch; torch.set_num_threads(1)\nfrom tests.test_reproducible import digest\n"
    code += "print(digest(**numpy.load(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "twice.npz"],
        cwd=ROOT,
        env={
            **os.environ,
            "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT))),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest(twice.images, twice.labels)
