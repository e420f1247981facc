"""What each filter of a network looks for: its weights, and the image and the test patches that excite it most.

A filter is a channel of a convolution; in a network without convolutions, a unit of its first layer.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digitline.data.dataset import Bytes, Images, chunks
from digitline.explain.activations import Field, seen
from digitline.model.evaluation import CHUNK
from digitline.model.networks import ACTIVATIONS, blanks, sequence, shape, standardise

Floats = NDArray[np.float32]

STEPS, RATE = 40, 0.3  # of the gradient ascent, over the logits of the pixels


class Stage(NamedTuple):
    """The layers before the activation after a convolution; the activation's input is the filter's excitation."""

    number: int  # of the convolution, from 1
    depth: int  # number of the network's layers
    field: Field  # of one unit
    weights: Floats  # [filters, inputs, kernel, kernel]


class Responses(NamedTuple):
    """For each image: each filter's strongest excitation and its place, the last layer's inputs, and the logits."""

    peaks: list[Floats]  # per stage: [N, filters]
    places: list[NDArray[np.int64]]  # per stage: [N, filters], row * width + column
    widths: list[int]  # of each stage's maps, in units
    features: Floats  # [N, units]
    logits: Floats  # [N, classes]


def stages(model: nn.Module) -> list[Stage]:
    """The convolutions of a network, or its first layer if it has none."""
    found, field, number, image = [], Field(), 0, shape(model)
    whole = max(image.height, image.width)
    weights: Tensor | None = None
    for depth, layer in enumerate(sequence(model)):
        if weights is not None and isinstance(layer, tuple(ACTIVATIONS.values())):
            number += 1
            found.append(Stage(number, depth, field, weights.detach().float().numpy()))
            weights = None
        if isinstance(layer, nn.Linear) and not found:
            field, weights = Field(whole), layer.weight.view(-1, *image).permute(0, 3, 1, 2)  # Flatten's order
        if isinstance(layer, nn.Conv2d):
            weights = layer.weight
        field = seen(field, layer, whole)
    return found


def respond(model: nn.Module, images: Images) -> Responses:
    """Passes the images through the network once, in chunks; keeps each filter's strongest excitation."""
    found = zip(*(passed(model, torch.from_numpy(np.array(chunk))) for chunk in chunks(images, CHUNK)), strict=True)
    peaks, places, widths, features, logits = found
    return Responses(
        peaks=[torch.cat(of).numpy() for of in zip(*peaks, strict=True)],
        places=[torch.cat(of).numpy() for of in zip(*places, strict=True)],
        widths=widths[0],
        features=torch.cat(features).numpy(),
        logits=torch.cat(logits).numpy(),
    )


def passed(model: nn.Module, images: Tensor) -> tuple[Any, ...]:
    """The responses to one chunk of images, as tensors."""
    depths, peaks, places, widths = {stage.depth for stage in stages(model)}, [], [], []
    with torch.inference_mode():
        features = standardise(images)
        for depth, layer in enumerate(sequence(model)):
            if depth in depths:
                most = features.flatten(2).max(2) if features.ndim == 4 else features.unsqueeze(2).max(2)
                peaks.append(most.values)
                places.append(most.indices)
                widths.append(features.shape[-1] if features.ndim == 4 else 1)
            before, features = features, layer(features)
    return peaks, places, widths, before, features


def exciting(model: nn.Module, stage: Stage, shown: int) -> Bytes:
    """For each of the first filters, the image that excites its middle unit most, cut to its field [shown, size, size].

    Gradient ascent over pixels 0-255 from faint noise, smoothed to exclude patterns that no pen draws
    (Erhan et al., 2009; Yosinski et al., 2015).
    """
    count = min(shown, len(stage.weights))
    generator = torch.Generator().manual_seed(0)
    drawn = 0.1 * torch.randn(blanks(model, count).shape, generator=generator)
    pixels = tuple(range(1, drawn.ndim))
    for _ in range(STEPS):
        features = standardise(255 * drawn.requires_grad_().sigmoid())
        features = sequence(model)[: stage.depth](features)
        middle = features.flatten(2)[:, :, centre(features)] if features.ndim == 4 else features
        roughness = drawn.diff(dim=1).square().mean(pixels) + drawn.diff(dim=2).square().mean(pixels)
        aim = (middle[range(count), range(count)] - 0.1 * roughness).sum()
        (slope,) = torch.autograd.grad(aim, drawn)
        drawn = drawn.detach() + RATE * slope / slope.square().mean(pixels, keepdim=True).sqrt().clamp_min(1e-12)
    images = (255 * drawn.sigmoid()).round().byte().numpy()
    row, column = divmod(centre(features), features.shape[-1]) if features.ndim == 4 else (0, 0)
    return np.stack([patch(image, stage.field, row, column) for image in images])


def centre(features: Tensor) -> int:
    """The index of the middle unit of maps [N, C, H, W]: row * W + column."""
    height, width = features.shape[-2:]
    return height // 2 * width + width // 2


def patch(image: Bytes, field: Field, row: int, column: int) -> Bytes:
    """The receptive field of unit (row, column) in an image, black beyond the edge; at most as large as the image."""
    size = field.size
    if size > min(image.shape[:2]):
        return image
    top, left = (field.start + at * field.step for at in (row, column))
    margin = size
    padded = np.pad(image, [(margin, margin)] * 2 + [(0, 0)] * (image.ndim - 2))
    return padded[top + margin : top + margin + size, left + margin : left + margin + size]


def saliency(model: nn.Module, image: Bytes, answer: int) -> Floats:
    """The absolute gradient of the answer's log-odds by each pixel of an image (Simonyan et al., 2014)."""
    pixels = torch.from_numpy(image).float()[None].requires_grad_()
    logits = model(pixels).float()[0]
    others = torch.cat([logits[:answer], logits[answer + 1 :]])
    (slope,) = torch.autograd.grad(logits[answer] - others.logsumexp(0), pixels)
    steep: Floats = slope[0].abs().reshape(*image.shape[:2], -1).amax(2).numpy()  # over the colours
    return steep
