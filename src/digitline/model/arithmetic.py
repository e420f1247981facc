"""The arithmetic of a network: each layer's output shape and cost, computed from the real layers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from digitline.model.networks import blanks
from digitline.model.networks import shape as taken

Shape = tuple[int, ...]  # for one image: [channels, height, width] or [units]


class Step(NamedTuple):
    layer: nn.Module
    inputs: Shape
    outputs: Shape
    parameters: int
    unshared: int  # parameters if each unit of a convolution had its own weights and bias
    macs: int  # multiply-adds per image


def steps(model: nn.Module) -> list[Step]:
    """The layers in the order of the forward pass, without those that do nothing in eval mode."""
    found: list[Step] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts = (sum(p.numel() for p in layer.parameters()), 0, 0)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            counts = counted(layer, output)
        found.append(Step(layer, tuple(inputs[0].shape[1:]), tuple(output.shape[1:]), *counts))

    leaves = [one for one in model.modules() if not any(one.children()) and not isinstance(one, nn.Dropout)]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    training = model.training
    with torch.inference_mode():
        model.eval()(blanks(model))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return [step._replace(unshared=step.unshared or step.parameters) for step in found]


def counted(layer: nn.Conv2d | nn.Linear, output: Tensor) -> tuple[int, int, int]:
    """Parameters, parameters without weight sharing, and multiply-adds of a layer with weights."""
    weights, biases = layer.weight.numel(), layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    biases = biases if layer.bias is not None else 0
    each = layer.weight[0].numel()
    return weights + biases, output.numel() * (each + bool(biases)), output.numel() * each


def parameters(model: nn.Module) -> int:
    """Counts the trained parameters."""
    return sum(p.numel() for p in model.parameters())


def macs(model: nn.Module) -> int:
    """Counts the multiply-adds of one image's forward pass in convolutions and linear layers."""
    return sum(step.macs for step in steps(model))


def text(name: str, model: nn.Module) -> str:
    """The whole account as text: one line per layer, the sums, and how sides and units shrink."""
    passed = steps(model)
    lines = [["layer", "output", "each side", "parameters", "", "multiply-adds"]]
    image = taken(model)
    lines += [["image", shape((image.channels, image.height, image.width)), "", "", "", ""]]
    lines += [row(step) for step in passed if not isinstance(step.layer, nn.Sigmoid | nn.Tanh | nn.ReLU | nn.GELU)]
    sums = [f"{sum(getattr(step, key) for step in passed):,}" for key in ("parameters", "macs")]
    lines.append(["in all", "", "", "", *sums])
    return "\n".join([name, *columns(lines), *chains(image.height, passed)])


def row(step: Step) -> list[str]:
    """One layer: its output shape, and how its side and its number of parameters are computed."""
    side, count = sums(step)
    numbers = [f"{n:,}" if n else "" for n in (step.parameters, step.macs)]
    return [title(step.layer), shape(step.outputs), side, count, *numbers]


def sums(step: Step) -> tuple[str, str]:
    """The formulas of a layer's side and its parameters."""
    layer, before, after = step.layer, step.inputs, step.outputs
    if isinstance(layer, nn.Conv2d):
        kernel, padding, bias = layer.kernel_size[0], int(layer.padding[0]), " + 1" if layer.bias is not None else ""
        padded = f" + 2·{padding}" if padding else ""
        weights = f"{before[0]}·{kernel}·{kernel}"
        count = f"{after[0]} · ({weights}{bias})" if bias else f"{after[0]} · {weights}"
        return f"{before[1]}{padded} - {kernel} + 1 = {after[1]}", count
    if isinstance(layer, nn.MaxPool2d):
        return f"⌊{before[1]} / 2⌋ = {after[1]}" if before[1] % 2 else f"{before[1]} / 2 = {after[1]}", ""
    if isinstance(layer, nn.Linear):
        return "", f"{after[0]} · ({before[0]} + 1)"
    if isinstance(layer, nn.BatchNorm2d):
        return "", f"{after[0]} · 2"
    return "", ""


def title(layer: nn.Module) -> str:
    """A layer's kind and size as text."""
    if isinstance(layer, nn.Conv2d):
        return "convolution {}x{}, {} filters".format(*layer.kernel_size, layer.out_channels)
    if isinstance(layer, nn.Linear):
        return f"fully connected, {layer.out_features} units"
    names = {"MaxPool2d": "max-pooling 2x2", "AdaptiveMaxPool2d": "maximum of each map", "BatchNorm2d": "normalisation"}
    names["Flatten"] = "all maps as one row"
    return names.get(type(layer).__name__, type(layer).__name__)


def shape(sizes: Shape) -> str:
    """A shape as text: 20 x 24 x 24."""
    return " x ".join(map(str, sizes))


def columns(lines: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns: text left-aligned, the last two columns, of numbers, right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def laid(place: int, cell: str) -> str:
        return cell.rjust(widths[place]) if place >= len(widths) - 2 else cell.ljust(widths[place])

    return ["  " + "  ".join(laid(place, cell) for place, cell in enumerate(line)).rstrip() for line in lines]


def chains(side: int, passed: Sequence[Step]) -> list[str]:
    """The sides of the maps, then the numbers of units, listed where they change."""
    sides: list[Any] = [side] + [step.outputs[1] for step in passed if len(step.outputs) == 3]
    units: list[Any] = [step.outputs[0] for step in passed if len(step.outputs) == 1]
    kept = [[size for size, before in zip(of, [None, *of], strict=False) if size != before] for of in (sides, units)]
    return [f"  {name:<6} {' → '.join(map(str, of))}" for name, of in zip(("sides", "units"), kept, strict=True)]
