from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from digitline.base.errors import InputError
from digitline.measure.leaderboard import ablation, best_first, best_run, front, measured, measures, metrics, row, text


def run(seed, val, test, loss=0.1) -> Any:
    measures = {"val_accuracy": val, "val_nll": loss, "val_ece": 0.01, "temperature": 0.8}
    measures |= {"test_nll_scaled": 0.05, "test_ece_scaled": 0.01, "test_corrupted": 0.9}
    return {"seed": seed, "sha256": str(seed), **measures, "test_accuracy": test, "test_nll": 0.1, "test_ece": 0.02}


def board(*variants):
    return [row(name, runs, images=10_000, parameters=10, macs=20) for name, runs in variants]


def test_rank_follows_validation_and_ignores_test():
    rows = board(("a", [run(1, 0.98, 0.99)]), ("b", [run(1, 0.99, 0.10)]), ("c", [run(1, 0.98, 0.9, loss=0.05)]))
    assert [r["variant"] for r in best_first(rows)] == ["b", "c", "a"]
    worse = board(("a", [run(1, 0.98, 0.0)]), ("b", [run(1, 0.99, 0.0)]), ("c", [run(1, 0.98, 1.0, loss=0.05)]))
    assert [r["variant"] for r in best_first(worse)] == ["b", "c", "a"]


def test_the_doubt_about_images_of_no_class_is_a_column_where_any_row_has_it():
    doubts = {"outliers_doubted": 0.75, "doubted_by_kind": {"stars": 0.5, "letters": 1.0}}
    rows = board(("a", [run(1, 0.98, 0.99) | doubts]), ("b", [run(1, 0.99, 0.1)]))
    assert (rows[0]["outliers_doubted"], metrics(rows[0])["outliers_doubted"]) == (0.75, 0.75)
    assert measured(rows[0]["runs"][0])["outliers_doubted"] == 0.75
    assert "outliers_doubted" not in metrics(rows[1])
    for each in rows:
        each["group"] = "a"
    titles, _, first, second = (line.split(" | ") for line in text(rows, {}).splitlines())
    place = titles.index("no class, doubted %")
    assert (first[place], second[place]) == ("75.0", "")
    assert "doubted" not in text(rows[1:], {})


def test_select_by_names_the_measure_that_ranks():
    def made(name, accuracy, balanced, nll) -> Any:
        of = {"variant": name, "macs": nll * 100, "val_accuracy": {"mean": accuracy}, "val_nll": nll}
        runs = [
            {**run(seed, accuracy, 0.9, nll), "val_balanced_accuracy": balanced + gain}
            for seed, gain in ((1, 0), (2, 0.01))
        ]
        return of | {"val_balanced_accuracy": {"mean": balanced}, "runs": runs}

    rows = [made("a", 0.99, 0.7, 0.3), made("b", 0.98, 0.9, 0.2), made("c", 0.97, 0.8, 0.1)]
    leaders: dict[Any, str] = {"accuracy": "a", "balanced_accuracy": "b", "nll": "c"}
    for by, name in leaders.items():
        assert best_first(rows, by)[0]["variant"] == name
        assert name in front(rows, by)
    assert front(rows, "nll") == {"c"}
    assert front(rows, "balanced_accuracy") == {"b", "c"}
    assert [best_run(rows[0], by)["seed"] for by in leaders] == [1, 2, 1]
    with pytest.raises(InputError, match="select_by is macro_f1, which an earlier version did not measure; run dvc re"):
        best_first(rows, "macro_f1")


def test_the_table_has_a_column_more_where_another_measure_ranks():
    (only,) = board(("a", [run(1, 0.98, 0.97)]))
    more: Any = {**only, "group": "a", "val_macro_f1": {"mean": 0.5, "sd": None, "ci95": None}}
    title, _, cells = text([more], {}, "macro_f1").splitlines()
    assert title.startswith("| variant | validation macro F1 % | validation % |")
    assert cells.startswith("| a | 50.00 | 98.00 |")
    assert "| a | 0.1000 | 98.00 |" in text([more], {}, "nll")


def test_the_run_to_serve_is_the_best_on_validation():
    (only,) = board(("a", [run(1, 0.98, 0.99), run(2, 0.99, 0.1), run(3, 0.99, 0.1, loss=0.01)]))
    assert best_run(only)["seed"] == 3


def test_the_table_shows_means_and_half_intervals():
    (only,) = board(("a", [run(1, 0.98, 0.97), run(2, 0.99, 0.98), run(3, 1.0, 0.99)]))
    only["group"] = "a"
    table = text([only], {"a": {"train_seconds": {"1": 2.0, "2": 4.0}, "latency_ms": 0.5}})
    cells = ["a", "99.00 ± 2.48", "98.00 ± 2.48", "97.71 to 98.26", "a", "90.0", "10", "0.00 M", "3", "0.5"]
    assert table.splitlines()[-1] == f"| {' | '.join(cells)} |"
    assert metrics(only)["test_accuracy"] == pytest.approx(0.98)


def test_an_ablation_is_below_its_parent_and_compared_with_it():
    parents = {"c": None, "d": "a", "a": None, "e": "a", "b": "c"}
    rows = board(*((name, [run(1, 0.98, 0.97)]) for name in parents))
    for each in rows:
        each["parent"] = parents[each["variant"]]
    pair = {"difference": 0.0125, "ci95": [-0.005, 0.03], "p_holm": 0.04321}
    pairs = [{"first": "a", "second": "d", **pair}, {"first": "b", "second": "c", **pair}]
    assert ablation(rows, pairs).splitlines()[2:] == [
        "| a | 97.00 |  |  |  | 90.0 |",
        "| d | 97.00 | -1.25 | -3.00 to +0.50 | 0.043 | 90.0 |",
        "| e | 97.00 |  |  |  | 90.0 |",
        "| c | 97.00 |  |  |  | 90.0 |",
        "| b | 97.00 | +1.25 | -0.50 to +3.00 | 0.043 | 90.0 |",
    ]


def test_the_front_has_the_rows_that_none_beats_at_the_same_cost():
    rows: Any = [
        {"variant": name, "macs": macs, "val_accuracy": {"mean": accuracy}}
        for name, macs, accuracy in [("a", 1, 0.98), ("b", 2, 0.99), ("c", 3, 0.985), ("d", 2, 0.97), ("e", 4, 0.99)]
    ]
    assert front(rows) == {"a", "b"}


def test_test_labels_do_not_affect_the_rank(digits):
    generator = np.random.default_rng(0)
    labels, permuted = digits.test.labels, generator.permutation(digits.test.labels)
    logits = {
        name: generator.normal(size=(200, 10)) + skill * np.eye(10)[labels]
        for name, skill in {"a": 1, "b": 3, "c": 2}.items()
    }

    def board_of(test_labels):
        runs: dict[str, Any] = {
            name: {"seed": 1, "test_corrupted": 0, **measures(given, labels, given, test_labels)}
            for name, given in logits.items()
        }
        rows = [row(name, [one], images=200) for name, one in runs.items()]
        return [each["variant"] for each in best_first(rows)]

    assert board_of(labels) == board_of(permuted) == ["b", "c", "a"]


def test_a_temperature_improves_an_overconfident_model_and_keeps_its_accuracy():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 10)) * 2
    labels = (softmax(logits, 1).cumsum(1) > generator.random((20_000, 1))).argmax(1)
    found = measures(logits * 3, labels, logits * 3, labels)
    assert found["test_nll_scaled"] < found["test_nll"]
    assert found["test_ece_scaled"] < 0.01 < found["test_ece"]
    assert found["test_accuracy"] == found["val_accuracy"]
