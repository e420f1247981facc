"""What a network of convolutions sees in one image: the maps of its layers, and where the evidence lies."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digitline.models import SIDE, Vote, standardise

Floats = NDArray[np.float32]

COVER, STRIDE = 6, 2  # pixels: of the square that covers a part of the image, and between two of its places


class Field(NamedTuple):
    """The square of the image that a unit of a map sees; unit (r, c) sees it from (start + r * step, ...) on."""

    size: int = 1  # pixels
    step: int = 1  # pixels
    start: int = 0  # pixels; below zero where the convolution pads


class Layer(NamedTuple):
    name: str
    field: Field
    maps: Floats  # [channels, height, width]
    filters: Floats | None  # [channels, inputs, kernel, kernel] of a convolution


def layers(model: nn.Module, image: NDArray[Any]) -> list[Layer]:
    """Convolutions, poolings and activations on one image [28, 28]; of a vote, its first member's."""
    member: Any = model.get_submodule("members.0") if isinstance(model, Vote) else model
    field, number, found = Field(), 0, []
    with torch.inference_mode():
        features: Tensor = standardise(torch.from_numpy(image)[None].to(next(model.parameters()).device))
        for layer in member.layers:
            features = layer(features)
            if features.ndim < 4 or isinstance(layer, nn.AdaptiveMaxPool2d):
                break  # what follows is no map
            field, number = seen(field, layer), number + isinstance(layer, nn.Conv2d)
            if number and not isinstance(layer, nn.BatchNorm2d):
                filters = layer.weight.float().cpu().numpy() if isinstance(layer, nn.Conv2d) else None
                found.append(Layer(f"{title(layer)} {number}", field, features[0].float().cpu().numpy(), filters))
    return found


def seen(field: Field, layer: nn.Module) -> Field:
    """The receptive field after one layer more (Araujo et al., 2019)."""
    if isinstance(layer, nn.Conv2d):
        reach, padding = layer.kernel_size[0] - 1, int(layer.padding[0])
        return Field(field.size + reach * field.step, field.step, field.start - padding * field.step)
    if isinstance(layer, nn.MaxPool2d):
        return Field(field.size + field.step, 2 * field.step, field.start)
    return field


def title(layer: nn.Module) -> str:
    """A layer's kind, for people."""
    return {"Conv2d": "convolution", "MaxPool2d": "pooling"}.get(type(layer).__name__, type(layer).__name__)


def evidence(model: nn.Module, image: NDArray[Any], answer: int) -> Floats:
    """How much of the answer's log-odds each part of an image [28, 28] carries: [14, 14].

    It is what covering that part takes away (Zeiler & Fergus, 2014); below zero, the part speaks against the answer.
    """
    pixels = torch.from_numpy(image).float().to(next(model.parameters()).device)
    places = [(row, column) for row in range(0, SIDE, STRIDE) for column in range(0, SIDE, STRIDE)]
    covered = pixels.repeat(len(places) + 1, 1, 1)  # the last one stays whole
    margin = (COVER - STRIDE) // 2
    for each, (row, column) in zip(covered[:-1], places, strict=True):
        each[max(row - margin, 0) : row - margin + COVER, max(column - margin, 0) : column - margin + COVER] = 0
    touched = [*(covered[:-1] != pixels).flatten(1).any(1).tolist(), True]
    with torch.inference_mode():
        logits = model(covered[touched]).float()
        others = torch.cat([logits[:, :answer], logits[:, answer + 1 :]], 1)
        scores = (logits[:, answer] - others.logsumexp(1)).cpu().numpy()
    found = np.zeros(len(places), np.float32)
    found[np.array(touched[:-1])] = scores[-1] - scores[:-1]
    return found.reshape(SIDE // STRIDE, SIDE // STRIDE)
