import numpy as np
import pytest
from scipy.special import softmax

from digitline.measure.calibration import calibration, confusion, ece, joint_calibration, mean_confusion, temperature

# Two classes; the probabilities of class 0 are 0.9, 0.8, 0.6 and 0.3.
LOGITS = np.log([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]).astype(np.float32)
LABELS = np.array([0, 1, 0, 1], np.uint8)


def test_measures_are_those_computed_by_hand():
    # Each image is alone in its bin: |1 - 0.9| + |0 - 0.8| + |1 - 0.6| + |1 - 0.7|, over 4.
    assert ece(LOGITS, LABELS) == pytest.approx((0.1 + 0.8 + 0.4 + 0.3) / 4, rel=1e-6)
    assert confusion(LOGITS, LABELS).tolist() == [[2, 0], [1, 1]]


def test_calibration_counts_every_image_once_including_full_confidence():
    bins = calibration(np.array([[1000.0, 0.0], [0.0, 0.0]]), np.array([0, 0]))
    assert [(b.images, b.confidence, b.accuracy) for b in bins] == [(1, 0.5, 1.0), (1, 1.0, 1.0)]


def test_over_runs_confusions_are_averaged_and_bins_combine_all_answers():
    runs = np.stack([LOGITS, LOGITS[:, ::-1]])
    assert mean_confusion(runs, LABELS).tolist() == [[1, 1], [1, 1]]
    assert sum(each.images for each in joint_calibration(runs, LABELS)) == 2 * len(LABELS)


def test_the_temperature_has_the_lowest_loss():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 10)) * 2
    labels = (softmax(logits, 1).cumsum(1) > generator.random((20_000, 1))).argmax(1)
    assert temperature(logits * 3, labels) == pytest.approx(3, rel=0.03)
