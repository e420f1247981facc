"""The networks. Each takes pixels 0-255, [N, H, W] grey or [N, H, W, 3] colour, and returns logits [N, classes]."""

import math
from itertools import pairwise
from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from digitline.data.dataset import blank
from digitline.data.entry import MNIST, Shape
from digitline.model.recipe import Activation, Four, Probability, Several, sizes

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


def standardise(images: Tensor) -> Tensor:
    """Scales each image, all channels alike, to mean 0 and standard deviation 1, as [N, C, H, W]; a blank one to 0."""
    all_pixels = tuple(range(1, images.ndim))
    centred = images.float() - images.float().mean(all_pixels, keepdim=True)
    standard = centred / centred.square().mean(all_pixels, keepdim=True).sqrt().clamp_min(1e-3)
    # Convolutions are fastest in channels-last memory, on CPUs in bfloat16 and on CUDA.
    return planes(standard).contiguous(memory_format=torch.channels_last)


def planes(images: Tensor) -> Tensor:
    """Images [N, H, W] or [N, H, W, 3] as [N, C, H, W]."""
    return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)


def pictures(planes: Tensor) -> Tensor:
    """The reverse: [N, C, H, W] as images [N, H, W] or [N, H, W, 3]."""
    return planes.squeeze(1) if planes.shape[1] == 1 else planes.permute(0, 2, 3, 1)


def sequence(model: Any) -> nn.Sequential:
    """The layers of one of the study's networks, in order."""
    layers: nn.Sequential = model.layers
    return layers


class Flatten(nn.Module):
    """Features [N, C, H, W] as [N, H * W * C], the order of channels-last memory, so nothing is copied."""

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 2, 3, 1).flatten(1)


class Plain(nn.Module):
    """Convolution, pooling, one fully connected layer, softmax: the networks of Nielsen (2015), chapter 6."""

    def __init__(
        self,
        *,
        classes: PositiveInt,
        image: Shape = MNIST,
        filters: list[PositiveInt],
        kernel: PositiveInt = 5,
        hidden: PositiveInt = 100,
        activation: Activation = "sigmoid",
        dropout: Probability = 0.0,
        pooling: bool = True,
    ) -> None:
        super().__init__()
        self.image = image
        layers: list[nn.Module] = []
        channels = int(image.channels)
        for width in filters:
            # Pooling before the monotonic activation gives the same result at a quarter of the cost.
            pool = [nn.MaxPool2d(2)] if pooling else []
            layers += [nn.Conv2d(channels, width, kernel), *pool, ACTIVATIONS[activation]()]
            channels = width
        *_, left = sizes("plain", image, {"filters": filters, "kernel": kernel, "pooling": pooling})
        layers += [Flatten(), nn.Linear(channels * math.prod(left), hidden), ACTIVATIONS[activation]()]
        layers += [nn.Dropout(dropout), nn.Linear(hidden, classes)]
        self.layers = nn.Sequential(*layers)
        initialise(self, activation)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(standardise(images))
        return logits


class Modern(nn.Module):
    """Batch-normalised 3x3 convolutions after a 5x5 one, with a global maximum in place of a hidden layer."""

    def __init__(
        self,
        *,
        classes: PositiveInt,
        image: Shape = MNIST,
        widths: Four,
        padded: bool = False,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.image = image
        a, b, c, d = widths
        edge = int(padded)
        sizes("modern", image, {"widths": widths, "padded": padded})
        self.layers = nn.Sequential(
            *block(image.channels, a, kernel=5, padding=2 * edge, pool=True),  # 28 -> 24 -> 12; padded: 28 -> 14
            *block(a, b, padding=edge),  # 12 -> 10; padded: 14
            *block(b, b, padding=edge, pool=True),  # 10 -> 8 -> 4; padded: 14 -> 7
            *block(b, c, padding=1),
            *block(c, d, padding=1),
            nn.AdaptiveMaxPool2d(1),
            Flatten(),
            nn.Dropout(dropout),
            nn.Linear(d, classes),
        )
        initialise(self, "relu")

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(standardise(images))
        return logits


class Residual(nn.Module):
    """Stages of a 3x3 convolution, pooling and a residual block, after He et al. (2016) and Page (2018)."""

    def __init__(
        self, *, classes: PositiveInt, image: Shape = MNIST, widths: Several, dropout: Probability = 0.0
    ) -> None:
        super().__init__()
        self.image = image
        sizes("residual", image, {"widths": widths})
        layers = block(image.channels, widths[0], padding=1)
        for before, width in pairwise(widths):
            layers += [*block(before, width, padding=1, pool=True), Shortcut(width)]
        self.layers = nn.Sequential(
            *layers, nn.AdaptiveMaxPool2d(1), Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1], classes)
        )
        initialise(self, "relu")

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(standardise(images))
        return logits


class Shortcut(nn.Module):
    """A residual block: two 3x3 convolutions, whose output is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*block(width, width, padding=1), *block(width, width, padding=1)[:-1])
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = self.activation(features + self.body(features))
        return added


class Vote(nn.Module):
    """Several trained networks as one; its logits are the logarithm of their mean probabilities."""

    def __init__(self, *, members: list[dict[str, Any]]) -> None:
        super().__init__()
        self.members = nn.ModuleList(build(**member) for member in members)
        self.image = shape(self.members[0])

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.stack(
            [member(images).float().log_softmax(1) for member in self.members]
        )  # [members, N, classes]
        mean: Tensor = logits.logsumexp(0) - math.log(len(self.members))
        return mean


def shape(model: nn.Module) -> Shape:
    """The shape of the images that a network takes."""
    image: Any = model.image
    return Shape(*image)


def blanks(model: nn.Module, count: int = 1) -> Tensor:
    """Black images of the shape that a network takes, in float32."""
    return torch.from_numpy(blank(count, shape(model))).float()


def of_shape(image: Shape) -> dict[str, Any]:
    """The arguments of build for images of that shape; none for MNIST's, whose models' files do not name it."""
    return {} if image == MNIST else {"image": image._asdict()}


NETWORKS: dict[str, type[nn.Module]] = {
    "plain": Plain,
    "modern": Modern,
    "residual": Residual,
}  # the values of model.network


def build(network: str, **options: Any) -> nn.Module:
    """Builds the network of that name, with weights drawn from torch's global generator."""
    if "image" in options:
        options["image"] = Shape(**options["image"])
    model: nn.Module = {**NETWORKS, "vote": Vote}[network](**options)
    nn.utils.convert_conv2d_weight_memory_format(model, torch.channels_last)
    return model


def block(inputs: int, outputs: int, *, kernel: int = 3, padding: int = 0, pool: bool = False) -> list[nn.Module]:
    """A convolution, optional pooling, batch normalisation (which makes a bias redundant), ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
    pooling = [nn.MaxPool2d(2)] if pool else []
    return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def initialise(network: nn.Module, activation: Activation) -> None:
    """Draws the weights, for rectifiers by He et al. (2015), otherwise by Glorot & Bengio (2010); biases are 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if activation in ("relu", "gelu"):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
