import numpy as np
import pytest

from digitline.measure.statistics import mcnemar
from digitline.registry.gate import Candidate, judge, page, report

LIMITS = {"minimum_accuracy": 0.98, "margin": 0.002, "latency_ms": 5.0, "size_mb": 1.0}


def right(*wrong: range, images: int = 5000) -> np.ndarray:
    """Right answers on all images except those."""
    answers = np.ones(images, bool)
    for each in wrong:
        answers[each.start : each.stop] = False
    return answers


GOOD = Candidate(right(range(50)), latency_ms=1.0, size_mb=0.5)


def test_a_good_model_passes_with_and_without_a_champion():
    assert judge(GOOD, None, **LIMITS)[:2] == (True, [])
    assert judge(GOOD, right(range(45), range(50, 55)), **LIMITS).passed


@pytest.mark.parametrize(
    ("challenger", "champion", "reason"),
    [
        (GOOD._replace(right=right(range(150))), None, "97.00% is below gate.minimum_accuracy, 98.00%"),
        (
            GOOD,
            right(range(40)),
            "99.00% may be 0.20% or more below the champion's 99.20%: only it got 0 images",
        ),
        (GOOD._replace(latency_ms=6.0), None, "latency is above gate.latency_ms, 5 ms"),
        (GOOD._replace(size_mb=2.0), None, "size 2.00 MB is above gate.size_mb, 1 MB"),
    ],
)
def test_each_limit_is_enforced_and_named(challenger, champion, reason):
    verdict = judge(challenger, champion, **LIMITS)
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]


def test_every_reason_is_given():
    assert len(judge(Candidate(right(range(2500)), 9.0, 9.0), right(), **LIMITS).reasons) == 4


def test_equal_accuracies_with_different_errors_do_not_pass_because_they_prove_little():
    verdict = judge(GOOD, right(range(50, 100)), **LIMITS)
    assert not verdict.passed
    assert verdict.figures["val_accuracy"] == verdict.figures["champion_val_accuracy"] == 0.99
    assert verdict.figures["p_inferior"] > 0.05


def test_the_images_are_paired():
    figures = judge(GOOD, right(range(10, 53)), **LIMITS).figures
    assert (figures["better"], figures["worse"]) == (3, 10)
    assert figures["p_equal"] == pytest.approx(mcnemar(3, 10), rel=1e-5)


MODELS = {name: {"variant": name, "sha256": name * 8} for name in ("fc", "conv1")}


def test_the_report_is_flat_names_both_models_and_has_no_timings():
    champion = right(range(45), range(50, 55))
    verdict = judge(GOOD, champion, **LIMITS)
    found = report(verdict, MODELS["fc"], MODELS["conv1"])
    assert (found["challenger"], found["challenger_sha256"]) == ("fc", "fc" * 8)
    assert (found["champion"], found["champion_sha256"]) == ("conv1", "conv1" * 8)
    assert (found["passed"], found["val_accuracy"], found["worse"]) == (True, 0.99, 5)
    assert not any(isinstance(value, dict) for value in found.values())
    assert found == report(judge(GOOD._replace(latency_ms=2.0), champion, **LIMITS), *MODELS.values())
    slow = [judge(GOOD._replace(latency_ms=ms), None, **LIMITS) for ms in (6.0, 7.0)]
    assert report(slow[0], MODELS["fc"], None) == report(slow[1], MODELS["fc"], None)


def test_the_page_shows_the_verdict_its_reasons_and_the_figures_beside_their_limits():
    verdict = judge(GOOD._replace(size_mb=2.0), right(range(45)), **LIMITS)
    text = page(report(verdict, MODELS["fc"], MODELS["conv1"]), LIMITS)
    assert text.startswith("# fc does not pass the gate\n")
    assert f"- {verdict.reasons[0]}\n" in text
    assert "| size | 2.00 MB | at most 1 MB |" in text
    assert "| right by the champion alone | 5 images | |" in text
    alone = page(report(judge(GOOD, None, **LIMITS), MODELS["fc"], None), LIMITS)
    assert alone.startswith("# fc passes the gate\n")
    assert "There was no champion" in alone
