from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score

from digitline.measure import classes
from digitline.measure.calibration import confusion
from digitline.measure.classes import Answers, averages, confusions, lines, losses_of, of_model, of_row, of_run, tally

# Ten images of a, four of b, one of c, which is never predicted, and none of d.
COUNTS = np.array([[8, 2, 0, 0], [1, 3, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
NAMES = ["a", "b", "c", "d"]


def test_the_measures_of_each_class_are_those_computed_by_hand():
    a, b, c, d = lines(tally(COUNTS), NAMES)
    assert (a["images"], a["recall"], a["precision"], a["f1"]) == (10, 0.8, 0.888889, 0.842105)  # 8/9, 16/19
    assert (b["images"], b["recall"], b["precision"], b["f1"]) == (4, 0.75, 0.5, 0.6)  # 3/4, 3/6, 6/10
    assert (c["images"], c["recall"], c["precision"], c["f1"]) == (1, 0, None, 0)
    assert d == {**dict.fromkeys(d), "name": "d", "images": 0}


def test_the_intervals_of_a_class_are_wilsons():
    a, _, c, _ = lines(tally(COUNTS), NAMES)
    assert a["recall95"] == [0.490162, 0.943318]  # the published ones of 8 in 10
    assert c["recall95"] == [0, 0.793451]  # 1.96² / (1 + 1.96²)
    assert c["precision95"] is None


def test_the_means_count_each_class_that_has_images_alike():
    found = averages(tally(COUNTS))
    assert found["balanced_accuracy"] == pytest.approx((0.8 + 0.75 + 0) / 3, rel=1e-6)
    assert found["macro_precision"] == pytest.approx((8 / 9 + 1 / 2 + 0) / 3, rel=1e-6)
    assert found["macro_f1"] == pytest.approx((16 / 19 + 0.6 + 0) / 3, rel=1e-6)


def drawn(generator, images, recalls):
    """Labels of so many images of each class, and answers right with those probabilities, else any other class."""
    labels = np.repeat(np.arange(len(images)), images)
    wrong = (labels + generator.integers(1, len(images), len(labels))) % len(images)
    return labels, np.where(generator.random(len(labels)) < np.asarray(recalls)[labels], labels, wrong)


def test_the_means_are_scikit_learns_for_a_hundred_classes_of_a_thousandth_to_all(monkeypatch):
    monkeypatch.setattr(classes, "RESAMPLES", 400)
    images = np.geomspace(2, 2000, 100).astype(int)
    labels, predicted = drawn(np.random.default_rng(0), images, np.full(100, 0.9))
    counts = classes.matrix(Answers(predicted, np.zeros(len(labels))), labels, 100)
    expected = {
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "macro_precision": precision_score(labels, predicted, average="macro", zero_division=0),
        "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
    }
    assert averages(tally(counts)) == pytest.approx(expected, rel=1e-5)
    row = of_row("test", counts[None], [str(name) for name in range(100)])
    assert len(row["test_classes"]) == 100
    assert len(row["test_confusions"]) == 10
    low, high = row["test_macro_f1"]["images95"]
    assert low < expected["macro_f1"] < high


def test_a_row_has_the_mean_of_its_runs_and_a_run_its_exact_counts():
    other = np.array([[6, 4, 0, 0], [1, 3, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    row = of_row("val", np.stack([COUNTS, other]), NAMES)
    runs = [of_run("val", each) for each in (COUNTS, other)]
    assert runs[1]["val_right"] == [6, 3, 0, 0]
    assert runs[1]["val_predicted"] == [7, 8, 0, 0]
    assert row["val_classes"][0]["recall"] == 0.7
    means = [run["val_balanced_accuracy"] for run in runs]
    assert row["val_balanced_accuracy"]["mean"] == pytest.approx(sum(means) / 2)
    assert row["val_balanced_accuracy"]["ci95"] is not None
    low, high = row["val_macro_f1"]["images95"]
    assert low < row["val_macro_f1"]["mean"] < high
    whole, run = cast("Any", (row, runs[1]))
    assert of_model(whole, run, "val") == lines(tally(other), NAMES)


def test_the_confusions_are_ranked_and_stand_beside_their_share_of_the_class():
    assert confusions(COUNTS.astype(float), NAMES, most=2) == [
        {"actual": "a", "predicted": "b", "count": 2, "share": 0.2},
        {"actual": "b", "predicted": "a", "count": 1, "share": 0.25},
    ]
    assert confusions(np.diag([3.0, 4.0]), ["a", "b"]) == []


def test_an_interval_by_resampling_has_the_true_value_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(classes, "RESAMPLES", 400)
    generator, recalls, held = np.random.default_rng(0), (0.95, 0.8, 0.6), []
    for _ in range(200):
        labels, predicted = drawn(generator, (200, 60, 30), recalls)
        counts = confusion(np.eye(3)[predicted], labels)
        low, high = classes.resampled(counts)["balanced_accuracy"]
        held.append(low <= np.mean(recalls) <= high)
    assert 0.9 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("images", "gap", "least", "most"),
    [
        ((200, 60, 30), 0.1, 0, 0.09),
        ((200, 60, 30), 0, 0.5, 1),
        ((2000, 600, 7), 0.1, 0, 0.09),  # where the models often agree on all seven
    ],
)
def test_paired_resampling_passes_a_model_worse_by_the_margin_about_once_in_twenty(
    monkeypatch, images, gap, least, most
):
    monkeypatch.setattr(classes, "RESAMPLES", 300)
    generator, passed = np.random.default_rng(1), 0
    for _ in range(100):
        labels, champion = drawn(generator, images, (0.9, 0.9, 0.9))
        lost = generator.random(len(labels)) < (gap + 0.1) / 0.9  # of what the champion has; it gains what that lacks
        challenger = np.where((champion == labels) & lost, (labels + 1) % 3, labels)
        one, other = (Answers(answers, np.zeros(len(labels))) for answers in (challenger, champion))
        passed += (losses_of("balanced_accuracy", one, other, labels, 3) >= 0.1).mean() < 0.05
    assert least <= passed / 100 <= most


def test_equal_answers_show_as_much_as_there_are_images():
    spread = []
    for images in (7, 70, 700):
        labels = np.repeat([0, 1], images)
        own = Answers(labels, np.zeros(len(labels)))
        losses = losses_of("balanced_accuracy", own, own, labels, 2)
        assert abs(losses.mean()) < 0.01
        spread.append((losses >= 0.02).mean())
    assert spread[0] > 0.3 > spread[1] > 0.005 > spread[2]


def test_resampling_is_paired_and_the_same_each_time():
    labels, predicted = drawn(np.random.default_rng(0), (300, 100, 100), (0.9, 0.8, 0.7))
    own = Answers(predicted, np.random.default_rng(1).random(len(labels)))
    other = own._replace(predicted=np.roll(predicted, 1), losses=own.losses[::-1])
    measures: list[Any] = ["balanced_accuracy", "macro_f1", "nll"]
    for by in measures:
        assert losses_of(by, own, own, labels, 3).std() < 0.01  # unpaired 0.03
        found = losses_of(by, other, own, labels, 3)
        assert np.array_equal(found, losses_of(by, other, own, labels, 3))
        worse = classes.measured(by, other, labels, 3) - classes.measured(by, own, labels, 3)
        assert found.mean() == pytest.approx(worse if by == "nll" else -worse, abs=0.01)


def test_a_loss_is_resampled_within_classes(monkeypatch):
    labels = np.repeat([0, 1], [400, 100])
    gaps = np.where(labels == 0, 1.0, 3.0) + np.tile([-0.5, 0.5], 250)
    monkeypatch.setattr(classes, "DRAWN", 2000)  # so that it takes several draws
    found = classes.of_losses(gaps, labels, np.random.default_rng(0))
    assert found.mean() == pytest.approx(1.4, abs=0.01)
    assert found.std() == pytest.approx(0.5 / np.sqrt(500), rel=0.1)  # not 0.94 / sqrt(500), the spread of all
