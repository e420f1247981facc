import numpy as np
import pytest
from scipy.stats import binomtest, multinomial

from digitline.measure import statistics
from digitline.measure.statistics import compare, groups, holm, inferiority, mcnemar, resampled, summary, wilson


def answers(*wrong, images=2000):
    """Right answers [runs, N], one run for each list of images that it gets wrong."""
    right = np.ones((len(wrong), images), bool)
    for run, places in zip(right, wrong, strict=True):
        run[list(places)] = False
    return right


def test_an_interval_over_images_is_wilsons():
    expected = binomtest(9957, 10_000).proportion_ci(method="wilson")
    assert wilson(0.9957, 10_000) == pytest.approx([expected.low, expected.high], abs=5e-9)


def test_an_interval_is_students():
    # Mean 2, sd 1, t(0.975, 2) = 4.30265: half width 4.30265 / sqrt(3).
    figures = summary([1.0, 2.0, 3.0])
    assert figures["mean"] == 2
    assert figures["sd"] == 1
    assert figures["ci95"] == pytest.approx([2 - 2.48414, 2 + 2.48414], abs=1e-4)


def test_one_seed_has_no_interval():
    assert summary([0.5]) == {"mean": 0.5, "sd": None, "ci95": None}


def test_mcnemar_is_the_exact_one():
    # 1 against 5 of 6 discordant images: 2 * (1 + 6) / 2^6.
    assert mcnemar(1, 5) == pytest.approx(2 * 7 / 64)
    assert mcnemar(0, 0) == 1


def test_holm_corrects_by_hand():
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2 (held up to 0.06), 0.9 * 1.
    assert holm([0.9, 0.01, 0.03, 0.02]) == pytest.approx([0.9, 0.04, 0.06, 0.06])
    assert holm([]) == []


def test_a_pair_is_compared_on_the_same_images():
    (pair,) = compare({"a": answers(range(5)), "b": answers(range(3, 30))})
    assert (pair.better, pair.worse) == (25, 3)
    assert pair.difference == pytest.approx(22 / 2000)
    assert pair.p == pytest.approx(binomtest(25, 28).pvalue, rel=5e-6)
    assert pair.ci95[0] < pair.difference < pair.ci95[1]
    assert pair.ci95[0] > 0


def test_pairing_narrows_the_interval():
    right = {"a": answers(range(100)), "b": answers(range(110))}
    samples = resampled(right)
    together = np.std(samples["a"] - samples["b"])
    apart = np.hypot(np.std(samples["a"]), np.std(samples["b"]))
    assert together < apart / 3


def test_resampling_has_the_spread_of_images_and_of_runs():
    one = resampled({"a": answers(range(40))})["a"]
    assert np.std(one) == pytest.approx(np.sqrt(0.02 * 0.98 / 2000), rel=0.05)
    # Two runs 0.04 apart: choosing among them adds a standard deviation of 0.02 / sqrt(2).
    two = resampled({"a": answers([], range(80))})["a"]
    assert np.std(two) == pytest.approx(np.hypot(0.02 / np.sqrt(2), np.sqrt(0.02 * 0.98 / 2000)), rel=0.15)


def test_a_bad_recipe_is_significantly_different_and_a_good_one_is_not():
    generator = np.random.default_rng(0)
    hard = generator.permutation(2000)[:60]

    def runs(count):
        return answers(*[generator.choice(hard, count, replace=False) for _ in range(3)])

    right = {"good": runs(12), "as good": runs(12), "bad": answers(*[generator.choice(2000, 60) for _ in range(3)])}
    apart = {frozenset((p.first, p.second)) for p in compare(right) if p.p_holm < statistics.LEVEL}
    assert apart == {frozenset(("good", "bad")), frozenset(("as good", "bad"))}
    assert groups(list(right), apart) == {"good": "a", "as good": "a", "bad": "b"}


def test_the_same_variant_twice_is_not_significantly_different(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 10)  # for intervals, which this test does not check
    generator = np.random.default_rng(1)
    false = 0
    for _ in range(40):
        right = generator.random((2, 1, 2000)) > 0.02
        false += compare({"a": right[0], "b": right[1]})[0].p < statistics.LEVEL
    assert false <= 6


def test_letters_are_shared_exactly_without_a_significant_difference():
    apart = {frozenset("ac"), frozenset("ad")}
    assert groups("abcd", apart) == {"a": "a", "b": "ab", "c": "b", "d": "b"}
    assert groups("ab", set()) == {"a": "a", "b": "a"}
    every = {frozenset(pair) for pair in ("ab", "ac", "bc")}
    assert groups("abc", every) == {"a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("share", [0.031, 0.04, 0.06, 0.12])
def test_a_model_worse_by_the_margin_passes_at_most_once_in_twenty(share):
    images, margin = 100, 0.03
    shares = [(share - margin) / 2, (share + margin) / 2, 1 - share]
    taken = chances = 0.0
    for better, worse in np.ndindex(18, 24):
        chance = multinomial.pmf([better, worse, images - better - worse], images, shares)
        chances += chance
        if chance > 1e-6 and inferiority(better, worse, images, margin) < 0.05:
            taken += chance
    assert chances == pytest.approx(1, abs=1e-4)
    assert taken <= 0.05


def test_agreement_or_superiority_shows_that_a_model_is_not_worse_by_the_margin():
    assert inferiority(0, 0, 5000, 0.002) < 0.01
    assert inferiority(30, 12, 5000, 0.002) < 0.01
    assert inferiority(20, 20, 5000, 0.002) > 0.05
    assert inferiority(0, 10, 5000, 0.002) > 0.5
    assert inferiority(8, 8, 5000, 0) > 0.4
