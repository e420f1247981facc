"""A model's answers to images, and its latency."""

import time
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from digitline.data.dataset import SIDE

CHUNK = 500  # images per forward pass


def predict(model: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logits [N, classes] of images [N, 28, 28], in float32; keeps the model's mode."""
    training, place = model.training, next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [model(chunk.to(place)).float().cpu() for chunk in torch.split(torch.from_numpy(images), CHUNK)]
        )
    model.train(training)
    return logits.numpy()


def latency(model: nn.Module, *, repeats: int = 200) -> float:
    """The median time of one image's forward pass on one thread, in milliseconds."""
    image, seconds, threads = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8), [], torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for _ in range(repeats):
            began = time.perf_counter()
            model(image)
            seconds.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return 1000 * median(seconds)
