import numpy as np
import pytest

from digitline.base.errors import InputError
from digitline.data import holdout


def test_each_class_gives_its_share_and_at_least_one():
    labels = np.repeat([0, 1, 2], [1000, 100, 2])
    held = holdout.chosen(labels, np.arange(len(labels)), ["a", "b", "c"], 0.2)
    assert np.bincount(labels[held]).tolist() == [200, 20, 1]


def test_clusters_stay_together_and_the_share_is_nearly_met():
    random = np.random.default_rng(0)
    clusters = np.sort(random.integers(0, 60, 900))
    labels = random.integers(0, 3, 900)
    held = holdout.chosen(labels, clusters, ["a", "b", "c"], 0.2)
    for cluster in range(60):
        assert len(set(held[clusters == cluster].tolist())) <= 1
    assert np.bincount(labels[held]) == pytest.approx(0.2 * np.bincount(labels), abs=15)


def test_two_large_groups_are_divided_one_for_each_side():
    held = holdout.chosen(np.array([0, 1] * 50), np.repeat([0, 1], 50), ["a", "b"], 0.2)
    assert held.sum() == 50


def test_a_class_of_one_group_cannot_be_on_both_sides():
    with pytest.raises(InputError, match="the pictures of the class b are all of one group"):
        holdout.chosen(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2]), ["a", "b"], 0.2)
