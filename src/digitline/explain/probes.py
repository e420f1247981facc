"""Measurements of the ideas behind the variants: gradients by depth, silent units, shifted images."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from digitline.data.dataset import Bytes, Part
from digitline.measure.robustness import affine
from digitline.model.evaluation import predict
from digitline.model.networks import pictures, planes, sequence, standardise
from digitline.model.scores import accuracy

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # right, left, down, up


def gradients(model: nn.Module, part: Part) -> list[float]:
    """The root mean square of the loss's gradient over each layer's weights, first layer first."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    logits = model(torch.from_numpy(part.images))
    loss = functional.cross_entropy(logits, torch.from_numpy(part.labels).long())
    return [float(slope.square().mean().sqrt()) for slope in torch.autograd.grad(loss, weights)]


def hidden(model: nn.Module, images: Bytes) -> Tensor:
    """The inputs of the last layer [N, units]."""
    with torch.inference_mode():
        features: Tensor = sequence(model)[:-1](standardise(torch.from_numpy(images)))
    return features


def silenced(model: nn.Module, part: Part, share: float, *, draws: int) -> float:
    """The accuracy with that share of the hidden units set to 0 and the others scaled up; a mean over draws."""
    units, generator = hidden(model, part.images), torch.Generator().manual_seed(0)
    count = units.shape[1]
    found = []
    for _ in range(draws):
        kept = torch.randperm(count, generator=generator)[: round(count * (1 - share))]
        loud = torch.zeros(count).index_fill_(0, kept, count / len(kept))
        with torch.inference_mode():
            found.append(accuracy(sequence(model)[-1](units * loud).numpy(), part.labels))
    return float(np.mean(found))


def shifted(model: nn.Module, part: Part, distance: int) -> float:
    """The accuracy on images shifted by that many pixels: the mean of right, left, down and up."""
    pixels = planes(torch.from_numpy(part.images))
    moved = [pictures(affine(pixels, right=x * distance, down=y * distance)).numpy() for x, y in DIRECTIONS]
    return float(np.mean([accuracy(predict(model, images), part.labels) for images in moved]))
