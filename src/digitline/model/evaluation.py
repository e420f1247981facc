"""A model's answers to images, and its latency."""

import math
import time
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from digitline.data.dataset import Images, chunks
from digitline.data.entry import MNIST
from digitline.model.networks import blanks

CHUNK = 500 * math.prod(MNIST)  # values of the images in one forward pass


def predict(model: nn.Module, images: Images) -> NDArray[np.float32]:
    """The logits [N, classes] of images [N, H, W] or [N, H, W, 3], in float32; keeps the model's mode."""
    training, place = model.training, next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        read = (torch.from_numpy(np.array(chunk)).to(place) for chunk in chunks(images, CHUNK))
        logits = torch.cat([model(chunk).float().cpu() for chunk in read])
    model.train(training)
    return logits.numpy()


def latency(model: nn.Module, *, repeats: int = 200) -> float:
    """The median time of one image's forward pass on one thread, in milliseconds."""
    image, seconds, threads = blanks(model).byte(), [], torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for _ in range(repeats):
            began = time.perf_counter()
            model(image)
            seconds.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return 1000 * median(seconds)
