import pytest

from digitline.selection import Candidate, gate

LIMITS = {"minimum_accuracy": 0.98, "margin": 0.001, "latency_ms": 5.0, "size_mb": 1.0}
GOOD = Candidate(val_accuracy=0.99, latency_ms=1.0, size_mb=0.5)


def test_a_good_model_passes_with_and_without_a_champion():
    assert gate(GOOD, None, **LIMITS) == (True, [])
    assert gate(GOOD, 0.9905, **LIMITS).passed


@pytest.mark.parametrize(
    ("challenger", "champion", "reason"),
    [
        (GOOD._replace(val_accuracy=0.97), None, "97.00% is below gate.minimum_accuracy, 98.00%"),
        (GOOD, 0.9920, "99.00% is more than 0.10% below the champion's 99.20%"),
        (GOOD._replace(latency_ms=6.0), None, "latency 6.00 ms is above gate.latency_ms, 5 ms"),
        (GOOD._replace(size_mb=2.0), None, "size 2.00 MB is above gate.size_mb, 1 MB"),
    ],
)
def test_each_limit_is_held_and_named(challenger, champion, reason):
    verdict = gate(challenger, champion, **LIMITS)
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]


def test_every_reason_is_given():
    assert len(gate(Candidate(0.5, 9.0, 9.0), 0.99, **LIMITS).reasons) == 4
