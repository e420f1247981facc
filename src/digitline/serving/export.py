"""Exports a model as the ONNX file that is served: images of bytes in, probabilities [N, classes] out.

The graph computes every layer's maps on its way. They are no outputs, which would cost time at every request; the
file's metadata says what makes them outputs, see inspection.py. The same model gives the same bytes in every folder.
"""

import base64
import json
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import softmax
from torch import Tensor, nn

from digitline.base import files
from digitline.base.errors import InputError
from digitline.data.dataset import Images, blank, chunks
from digitline.explain import activations
from digitline.model import checkpoint, networks
from digitline.model.networks import Flatten, Vote, sequence
from digitline.serving import runtime

TOLERANCE = 1e-5  # of a probability, against PyTorch's
OF_THE_EXPORTER = ("metadata_props", "doc_string", "producer_name", "producer_version")  # paths and versions


class Shown(nn.Module):
    """A model that also returns its logits, the first member's layers, and every other convolution.

    The latter because the exporter would merge a convolution with its normalisation, whose weights were then not those
    of the model; ONNX Runtime does that itself.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        member = first(self.model)
        shown = [layer for _, layer in layers(member)]
        others = [each for each in self.model.modules() if isinstance(each, nn.Conv2d) and each not in shown]
        maps: dict[nn.Module | None, Tensor] = {}

        def keep_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            maps[None] = inputs[0].clone()

        def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            maps[layer] = output.clone()  # because the next layer may change it

        hooks = [sequence(member)[0].register_forward_pre_hook(keep_input)]
        hooks += [layer.register_forward_hook(keep) for layer in [*shown, *others]]
        logits = self.model(images)
        for hook in hooks:
            hook.remove()
        return logits.softmax(1), logits, *(maps[layer] for layer in [None, *shown, *others])


class Graph(NamedTuple):
    """A network's graph and, separately, the outputs that its layers would add."""

    model: onnx.ModelProto
    inside: list[onnx.ValueInfoProto]


def write(source: Path, target: Path) -> None:
    """Exports a model's safetensors file."""
    found, inside = graph(json.dumps(checkpoint.described(source), sort_keys=True))
    exported, weights = onnx.ModelProto(), load_file(source)
    exported.CopyFrom(found)
    for each in exported.graph.initializer:
        if (name := each.name.removeprefix("model.")) in weights:
            each.raw_data = weights[name].tobytes()
    described = description(checkpoint.load(source))
    outputs = onnx.ModelProto()
    outputs.graph.output.extend(inside)
    values = {each.name: each for each in exported.graph.initializer}
    for name in filter(None, (layer["filters"] for layer in described)):
        outputs.graph.output.append(onnx.helper.make_tensor_value_info(name, values[name].data_type, values[name].dims))
    kept = {"layers": json.dumps(described), "inside": base64.b64encode(outputs.SerializeToString()).decode()}
    onnx.helper.set_model_props(exported, kept)
    files.write(target, exported.SerializeToString())


def check(exported: Path, images: Images, logits: NDArray[np.float32]) -> None:
    """InputError if the file's probabilities for the images differ from those of the model's logits [N, classes]."""
    run = runtime.Exported(exported.read_bytes())
    found = np.concatenate([run(chunk) for chunk in chunks(images)])
    apart = float(np.abs(found - softmax(logits.astype(np.float64), 1)).max())
    if not apart <= TOLERANCE:
        raise InputError(f"{exported} differs from the model by {apart:.1g} in a probability, expected {TOLERANCE:g}")


@cache
def graph(network: str) -> Graph:
    """The graph of a network, given as JSON, with any weights: a variant's runs differ in nothing else.

    PyTorch's exporter takes a second for it, and two to import.
    """
    with torch.random.fork_rng(devices=[]):
        model = Shown(networks.build(**json.loads(network))).eval()
        for values in (value for value in model.state_dict().values() if value.is_floating_point()):
            values.uniform_(1, 2)  # the exporter would make one of equal ones, as normalisations begin
    black = networks.blanks(model.model, 2).byte()
    names = ["probabilities", "logits", *(f"layer {number}" for number in range(len(model(black)) - 2))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about its own code
        program: Any = torch.onnx.export(
            model,
            (black,),
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("count")},),
            dynamo=True,
            verbose=False,
        )
    found: onnx.ModelProto = program.model_proto
    for message in messages(found):
        for field in set(OF_THE_EXPORTER) & set(message.DESCRIPTOR.fields_by_name):
            message.ClearField(field)
    found.graph.ClearField("value_info")
    inside = list(found.graph.output)[1 : 3 + len(list(layers(first(model.model))))]
    del found.graph.output[1:]
    return Graph(found, inside)


def messages(model: onnx.ModelProto) -> Iterator[Any]:
    """All parts of an ONNX model that may have metadata."""
    graph = model.graph
    yield from (model, graph, *graph.input, *graph.output, *graph.initializer)
    for node in graph.node:
        yield from (node, *node.attribute)


def first(model: nn.Module) -> nn.Module:
    """The first network of a vote, or the model itself."""
    return model.get_submodule("members.0") if isinstance(model, Vote) else model


def layers(member: nn.Module) -> Iterator[tuple[int, nn.Module]]:
    """The layers that are shown, by their place."""
    for place, layer in enumerate(sequence(member)):
        if not isinstance(layer, Flatten | nn.Dropout):  # whose output has the same numbers
            yield place, layer


def description(model: nn.Module) -> list[dict[str, Any]]:
    """The layers as activations.layers describes them; the filters are those of an initializer of that name."""
    found = activations.layers(model, blank(1, networks.shape(model))[0])
    prefix = "model.members.0.layers" if isinstance(model, Vote) else "model.layers"
    places = [None, *(place for place, _ in layers(first(model)))]
    return [
        {
            "name": layer.name,
            **layer.field._asdict(),
            "window": layer.window,
            "filters": None if layer.filters is None else f"{prefix}.{place}.weight",
            "bias": None if layer.bias is None else layer.bias.tolist(),
            "scale": None if layer.scale is None else layer.scale.tolist(),
        }
        for place, layer in zip(places, found, strict=True)
    ]
