import math

import numpy as np
import pytest

from digitline.model.scores import accuracy, nll

# Two classes; the probabilities of class 0 are 0.9, 0.8, 0.6 and 0.3.
LOGITS = np.log([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]).astype(np.float32)
LABELS = np.array([0, 1, 0, 1], np.uint8)


def test_scores_are_those_computed_by_hand():
    assert accuracy(LOGITS, LABELS) == 0.75
    assert nll(LOGITS, LABELS) == pytest.approx(-math.log(0.9 * 0.2 * 0.6 * 0.7) / 4, rel=1e-6)
