"""What a convolutional network sees in one image: the feature maps of its layers, and where the evidence lies."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digitline.data.dataset import Bytes
from digitline.explain.evidence import evidence as located
from digitline.model.evaluation import predict
from digitline.model.networks import Flatten, Shortcut, Vote, sequence, shape, standardise

Floats = NDArray[np.float32]

NAMES = {
    "Conv2d": "convolution",
    "MaxPool2d": "pooling",
    "BatchNorm2d": "normalisation",
    "AdaptiveMaxPool2d": "maximum",
    "Shortcut": "residual block",
    "Linear": "neurons",
}


class Field(NamedTuple):
    """A unit's receptive field, a square; that of unit (r, c) begins at pixel (start + r * step, ...)."""

    size: int = 1  # pixels
    step: int = 1  # pixels; 0 if each map has one unit, which sees everything
    start: int = 0  # pixels; negative if the convolution pads


class Layer(NamedTuple):
    """A layer's output on one image, and what its units compute it from."""

    name: str
    field: Field
    window: int  # the side of a unit's window in each map of the layer before
    maps: Floats  # [channels, height, width]
    filters: Floats | None = None  # [channels, inputs, window, window], the unit's weights
    bias: Floats | None = None  # [channels], added to it
    scale: Floats | None = None  # [channels], the factor of a normalisation


def layers(model: nn.Module, image: NDArray[Any]) -> list[Layer]:
    """The layers from one image to logits, with their outputs on that image; for a vote, its first member's."""
    whole, member = (
        max(shape(model)[:2]),
        sequence(model.get_submodule("members.0") if isinstance(model, Vote) else model),
    )
    field, number = Field(), 0
    with torch.inference_mode():
        features: Tensor = standardise(torch.from_numpy(np.array(image))[None].to(next(model.parameters()).device))
        found = [Layer("image", field, 1, output(features))]
        for layer in member:
            features = layer(features)
            if isinstance(layer, Flatten | nn.Dropout):
                continue  # its output has the same numbers
            number += isinstance(layer, nn.Conv2d | nn.Linear)
            field, before = seen(field, layer, whole), found[-1].maps
            name = "output" if layer is member[-1] else f"{title(layer)} {number}"
            found.append(Layer(name, field, window(layer, before), output(features), **numbers(layer, before)))
    return found


def output(features: Tensor) -> Floats:
    """A copy of one image's maps [channels, height, width]; a neuron is a map of one unit."""
    maps: Floats = features[0].float().cpu().numpy().copy()
    return maps if maps.ndim == 3 else maps[:, None, None]


def numbers(layer: nn.Module, before: Floats) -> dict[str, Floats]:
    """A layer's filters, bias and scale. A neuron's weights are a filter as large as the maps."""
    channels, height, width = before.shape
    match layer:
        case nn.Conv2d():
            found = {"filters": layer.weight}
        case nn.Linear():  # Flatten orders the channels last
            found = {"filters": layer.weight.reshape(-1, height, width, channels).permute(0, 3, 1, 2)}
        case nn.BatchNorm2d():
            scale = layer.weight / (layer.get_buffer("running_var") + layer.eps).sqrt()
            return arrays(scale=scale, bias=layer.bias - layer.get_buffer("running_mean") * scale)
        case _:
            return {}
    return arrays(**found, **({} if layer.bias is None else {"bias": layer.bias}))


def arrays(**tensors: Tensor) -> dict[str, Floats]:
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()}


def window(layer: nn.Module, before: Floats) -> int:
    """The side of a unit's window in each map of the layer before."""
    match layer:
        case nn.Conv2d():
            return int(layer.kernel_size[0])
        case nn.MaxPool2d():
            return 2
        case Shortcut():
            return 5  # of two 3x3 convolutions
        case nn.Linear() | nn.AdaptiveMaxPool2d():
            return int(before.shape[1])
        case _:
            return 1


def seen(field: Field, layer: nn.Module, whole: int) -> Field:
    """The receptive field after one more layer (Araujo et al., 2019); `whole` is the image's longer side."""
    match layer:
        case nn.Conv2d():
            reach, padding = layer.kernel_size[0] - 1, int(layer.padding[0])
            return Field(field.size + reach * field.step, field.step, field.start - padding * field.step)
        case Shortcut():
            return Field(field.size + 4 * field.step, field.step, field.start - 2 * field.step)
        case nn.MaxPool2d():
            return Field(field.size + field.step, 2 * field.step, field.start)
        case nn.Linear() | nn.AdaptiveMaxPool2d():
            return Field(whole, 0, 0)
        case _:
            return field


def title(layer: nn.Module) -> str:
    """A readable name of a layer's kind."""
    return NAMES.get(type(layer).__name__, type(layer).__name__)


def evidence(model: nn.Module, image: Bytes, answer: int) -> Floats:
    """How much each part of an image contributes to the answer's log-odds: [14, 14] for an image [28, 28]."""
    return located(partial(predict, model), image, answer)
