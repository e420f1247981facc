import numpy as np
import pytest

from digitline.measure import uncertainty


def test_entropy_is_as_computed_by_hand():
    halves = -2 * 0.5 * np.log(0.5)
    assert uncertainty.entropy(np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx([0, halves])


def test_images_of_no_class_are_counted_by_kind_and_over_all_kinds_alike():
    answers = np.random.default_rng(0).dirichlet(np.full(10, 0.1), 5000)
    flat, sure = np.full((30, 10), 0.1), np.eye(10)
    found = uncertainty.measures(answers, answers, {"stars": np.concatenate([flat, sure]), "letters": sure})
    assert found["doubted_by_kind"] == {"stars": 0.75, "letters": 0}
    assert found["outliers_doubted"] == 0.375
    assert "outliers_doubted" not in uncertainty.measures(answers, answers)
    mean = uncertainty.over_kinds([{"stars": 0.5, "letters": 1.0}, {"stars": 1.0, "letters": 1.0}])
    assert mean == {"outliers_doubted": 0.875, "doubted_by_kind": {"stars": 0.75, "letters": 1.0}}


def test_the_threshold_doubts_a_hundredth_of_what_it_was_set_on():
    answers = np.random.default_rng(0).dirichlet(np.full(10, 0.1), 5000)
    found = uncertainty.measures(answers, answers)
    assert found["test_doubted"] == pytest.approx(0.01, abs=1e-3)
    assert uncertainty.measures(answers, np.eye(10))["test_doubted"] == 0
    assert uncertainty.measures(answers, np.full((50, 10), 0.1))["test_doubted"] == 1
