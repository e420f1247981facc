import math

import numpy as np
import pytest
import torch

from digitline.measure.leaderboard import ablation, best_first, best_run, front, measures, metrics, row, text
from digitline.measure.statistics import summary
from digitline.model import networks
from digitline.model.evaluation import accuracy, calibration, confusion, ece, latency, nll, predict, temperature

# Two classes; the probabilities of class 0 are 0.9, 0.8, 0.6 and 0.3.
LOGITS = np.log([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]).astype(np.float32)
LABELS = np.array([0, 1, 0, 1], np.uint8)


def test_measures_are_those_computed_by_hand():
    assert accuracy(LOGITS, LABELS) == 0.75
    assert nll(LOGITS, LABELS) == pytest.approx(-math.log(0.9 * 0.2 * 0.6 * 0.7) / 4, rel=1e-6)
    # Each image is alone in its bin: |1 - 0.9| + |0 - 0.8| + |1 - 0.6| + |1 - 0.7|, over 4.
    assert ece(LOGITS, LABELS) == pytest.approx((0.1 + 0.8 + 0.4 + 0.3) / 4, rel=1e-6)
    assert confusion(LOGITS, LABELS).tolist() == [[2, 0], [1, 1]]


def test_calibration_counts_every_image_once_and_takes_certainty_in():
    bins = calibration(np.array([[1000.0, 0.0], [0.0, 0.0]]), np.array([0, 0]))
    assert [(b.images, b.confidence, b.accuracy) for b in bins] == [(1, 0.5, 1.0), (1, 1.0, 1.0)]


def test_prediction_does_not_depend_on_the_batch_and_leaves_the_mode(digits):
    model = networks.build(network="modern", widths=[8, 8, 8, 8], dropout=0.5, classes=10).train()
    logits = predict(model, digits.test.images)
    assert model.training
    assert logits.dtype == np.float32
    assert np.allclose(logits[:1], predict(model, digits.test.images[:1]), atol=1e-5)


def test_latency_is_measured_and_leaves_the_threads():
    threads = torch.get_num_threads()
    assert latency(networks.build(network="plain", filters=[], classes=10), repeats=3) > 0
    assert torch.get_num_threads() == threads


def test_an_interval_is_students():
    # Mean 2, sd 1, t(0.975, 2) = 4.30265: half width 4.30265 / sqrt(3).
    figures = summary([1.0, 2.0, 3.0])
    assert figures["mean"] == 2
    assert figures["sd"] == 1
    assert figures["ci95"] == pytest.approx([2 - 2.48414, 2 + 2.48414], abs=1e-4)


def test_one_seed_has_no_interval():
    assert summary([0.5]) == {"mean": 0.5, "sd": None, "ci95": None}


def run(seed, val, test, loss=0.1):
    measures = {"val_accuracy": val, "val_nll": loss, "val_ece": 0.01, "temperature": 0.8}
    measures |= {"test_nll_scaled": 0.05, "test_ece_scaled": 0.01, "test_corrupted": 0.9}
    return {"seed": seed, "sha256": str(seed), **measures, "test_accuracy": test, "test_nll": 0.1, "test_ece": 0.02}


def board(*variants):
    return [row(name, runs, images=10_000, parameters=10, macs=20) for name, runs in variants]


def test_rank_follows_validation_whatever_test_says():
    rows = board(("a", [run(1, 0.98, 0.99)]), ("b", [run(1, 0.99, 0.10)]), ("c", [run(1, 0.98, 0.9, loss=0.05)]))
    assert [r["variant"] for r in best_first(rows)] == ["b", "c", "a"]
    worse = board(("a", [run(1, 0.98, 0.0)]), ("b", [run(1, 0.99, 0.0)]), ("c", [run(1, 0.98, 1.0, loss=0.05)]))
    assert [r["variant"] for r in best_first(worse)] == ["b", "c", "a"]


def test_the_run_to_serve_is_the_best_on_validation():
    (only,) = board(("a", [run(1, 0.98, 0.99), run(2, 0.99, 0.1), run(3, 0.99, 0.1, loss=0.01)]))
    assert best_run(only)["seed"] == 3


def test_the_table_shows_means_and_half_intervals():
    (only,) = board(("a", [run(1, 0.98, 0.97), run(2, 0.99, 0.98), run(3, 1.0, 0.99)]))
    table = text([{**only, "group": "a"}], {"a": {"train_seconds": {"1": 2.0, "2": 4.0}, "latency_ms": 0.5}})
    cells = ["a", "99.00 ± 2.48", "98.00 ± 2.48", "97.71 to 98.26", "a", "90.0", "10", "0.00 M", "3", "0.5"]
    assert table.splitlines()[-1] == f"| {' | '.join(cells)} |"
    assert metrics(only)["test_accuracy"] == pytest.approx(0.98)


def test_an_ablation_stands_below_what_it_lacks_something_of_and_against_it():
    rows = board(*((name, [run(1, 0.98, 0.97)]) for name in ("b_c", "a_b", "a", "b", "a_b_c")))
    pair = {"difference": 0.0125, "ci95": [-0.005, 0.03], "p_holm": 0.04321}
    pairs = [{"first": "a", "second": "a_b", **pair}, {"first": "b_c", "second": "b", **pair}]
    assert ablation(rows, pairs).splitlines()[2:] == [
        "| a | 97.00 |  |  |  | 90.0 |",
        "| a_b | 97.00 | -1.25 | -3.00 to +0.50 | 0.043 | 90.0 |",
        "| a_b_c | 97.00 |  |  |  | 90.0 |",
        "| b | 97.00 |  |  |  | 90.0 |",
        "| b_c | 97.00 | +1.25 | -0.50 to +3.00 | 0.043 | 90.0 |",
    ]


def test_the_front_holds_what_nothing_beats_for_as_little():
    rows = [
        {"variant": name, "macs": macs, "val_accuracy": {"mean": accuracy}}
        for name, macs, accuracy in [("a", 1, 0.98), ("b", 2, 0.99), ("c", 3, 0.985), ("d", 2, 0.97), ("e", 4, 0.99)]
    ]
    assert front(rows) == {"a", "b"}


def test_the_temperature_is_the_one_that_fits():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 10)) * 2
    labels = np.array([generator.choice(10, p=p) for p in np.exp(logits) / np.exp(logits).sum(1, keepdims=True)])
    assert temperature(logits * 3, labels) == pytest.approx(3, rel=0.03)
    found = measures(logits * 3, labels, logits * 3, labels)
    assert found["test_nll_scaled"] < found["test_nll"]
    assert found["test_ece_scaled"] < 0.01 < found["test_ece"]
    assert found["test_accuracy"] == found["val_accuracy"]


def test_no_test_label_reaches_the_rank(digits):
    generator = np.random.default_rng(0)
    labels, permuted = digits.test.labels, generator.permutation(digits.test.labels)
    logits = {
        name: generator.normal(size=(200, 10)) + skill * np.eye(10)[labels]
        for name, skill in {"a": 1, "b": 3, "c": 2}.items()
    }

    def board_of(test_labels):
        rows = [
            row(name, [{"seed": 1, "test_corrupted": 0, **measures(given, labels, given, test_labels)}], images=200)
            for name, given in logits.items()
        ]
        return [each["variant"] for each in best_first(rows)]

    assert board_of(labels) == board_of(permuted) == ["b", "c", "a"]
