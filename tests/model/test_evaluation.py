import numpy as np
import torch

from digitline.model import networks
from digitline.model.evaluation import latency, predict


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
