"""Figures of what a network has learned, with their numbers: filters, what excites them, maps, embedding."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from digitline.data.dataset import Bytes, Part
from digitline.draw import charts, explanations, mosaics
from digitline.explain import activations, embedding, filters
from digitline.explain.filters import Responses
from digitline.measure.rounding import decimals, each
from digitline.model.networks import shape

SHOWN = 20  # filters of a layer
PATCHES = 6  # test images per filter
COLUMNS = 10  # classes with feature maps
NEIGHBOURS = 800  # test images in the t-SNE projection

Table = Sequence[Sequence[Any]]


class Look(NamedTuple):
    """One network and its responses to the test set."""

    model: nn.Module
    test: Part
    classes: list[str]
    responses: Responses
    keep: Callable[[str, str, Sequence[str], Table], None]  # saves a figure: name, SVG, header and numbers


def excited(look: Look) -> list[dict[str, Any]]:
    """Draws each layer's weights, the image that excites each filter most, and the most exciting test patches."""
    numbers = []
    for place, layer in enumerate(filters.stages(look.model)):
        made = filters.exciting(look.model, layer, SHOWN)
        found = strongest(look, place, layer, len(made))
        rows = np.stack([np.stack([image, *patches]) for image, (patches, _) in zip(made, found, strict=True)])
        names = [str(number) for number in range(len(rows))]
        picture = mosaics.svg(pictures(look, rows), rows=names, breaks=[1], halves=True, alt="what excites each filter")
        lines = [[number, *line] for number, (_, lines) in enumerate(found) for line in lines]
        look.keep(
            f"exciting-{layer.number}",
            picture,
            ["filter", "rank", "test_image", "row", "column", "response"],
            lines,
        )
        draw_weights(look, layer)
        count, inputs, side, _ = layer.weights.shape
        numbers.append(
            {"filters": count, "inputs": inputs, "side": side, "shown": len(made), "field": layer.field.size}
        )
    return numbers


def strongest(look: Look, place: int, layer: filters.Stage, shown: int) -> list[tuple[list[Bytes], Table]]:
    """For each filter, the patches of the test images that excite it most, and their places."""
    peaks, places = look.responses.peaks[place], look.responses.places[place]
    order = np.argsort(-each(peaks[:, :shown]), 0, kind="stable")[:PATCHES]  # [patches, filters]
    found: list[tuple[list[Bytes], Table]] = []
    for number in range(shown):
        at = [(int(i), *divmod(int(places[i, number]), look.responses.widths[place])) for i in order[:, number]]
        patches = [filters.patch(look.test.images[index], layer.field, row, column) for index, row, column in at]
        lines = [[rank, *where, f"{peaks[where[0], number]:.4g}"] for rank, where in enumerate(at, 1)]
        found.append((patches, lines))
    return found


def draw_weights(look: Look, layer: filters.Stage) -> None:
    """Draws all weights of a layer: one picture per filter in the first layer, one column per filter in later ones."""
    count, inputs, side, _ = layer.weights.shape
    if layer.number == 1:
        tiles, cell = mosaics.wrapped(templates(layer.weights), 10), mosaics.CELL
    else:
        tiles = mosaics.signed(layer.weights, (1, 2, 3)).swapaxes(0, 1)  # one column per filter
        cell = max(2 * side, 300 // count)
    kernels = layer.weights.reshape(count * inputs, -1)
    lines = [[*divmod(place, inputs), *(f"{w:.3g}" for w in kernel)] for place, kernel in enumerate(kernels)]
    header = ["filter", "input", *(f"w{place}" for place in range(side * side))]
    look.keep(f"weights-{layer.number}", mosaics.svg(tiles, cell=cell, alt="weights"), header, lines)


def pictures(look: Look, images: Bytes) -> mosaics.Colours:
    """Images of the data set as tiles: grey ones as ink on white, colour as it is."""
    return mosaics.ink(images) if shape(look.model).channels == 1 else mosaics.photos(images)


def templates(weights: filters.Floats) -> mosaics.Colours:
    """The weights of a first layer [filters, channels, height, width]: signed, or for RGB as colours around grey."""
    if weights.shape[1] == 1:
        return mosaics.signed(weights[:, 0], (1, 2))
    most = np.abs(weights).max((1, 2, 3), keepdims=True)
    colours = decimals(255 * (0.5 + 0.5 * weights / np.maximum(most, 1e-12)), 0).astype(np.uint8)
    return mosaics.photos(colours.transpose(0, 2, 3, 1))


def mapped(look: Look) -> list[dict[str, Any]]:
    """Draws the layers' feature maps for one image of each class; of many classes, of some that are evenly spread."""
    shown = np.linspace(0, len(look.classes) - 1, min(len(look.classes), COLUMNS)).astype(int).tolist()
    chosen = [int(np.argmax(look.test.labels == label)) for label in shown]
    passed = [activations.layers(look.model, look.test.images[index]) for index in chosen]
    numbers = []
    for number, place in enumerate(ends(passed[0]), 1):
        maps = np.stack([layers[place].maps[:SHOWN] for layers in passed], 1)  # [channels, classes, height, width]
        picture = mosaics.svg(
            mosaics.heatmap(maps, (1, 2, 3)),
            columns=[look.classes[label] for label in shown],
            rows=[str(channel) for channel in range(len(maps))],
            alt=f"maps of {passed[0][place].name}",
        )
        lines = [
            [channel, look.classes[shown[at]], chosen[at], *(f"{value:.3g}" for value in maps[channel, at].flat)]
            for channel, at in np.ndindex(maps.shape[:2])
        ]
        header = ["channel", "class", "test_image", *(f"v{at}" for at in range(maps[0, 0].size))]
        look.keep(f"maps-{number}", picture, header, lines)
        numbers.append({"layer": passed[0][place].name, "channels": len(passed[0][place].maps), "shown": len(maps)})
    return numbers


def ends(layers: Sequence[activations.Layer]) -> list[int]:
    """The indices of the last layer before each further convolution, and of the last with maps of several units."""
    maps = [place for place, layer in enumerate(layers) if layer.maps.shape[1] > 1][1:]  # without the image itself
    found = [place - 1 for place in maps[1:] if layers[place].filters is not None]
    return found + maps[-1:]


def embedded(look: Look) -> dict[str, Any]:
    """Draws the test set as points: all of it by two principal components, part of it by t-SNE."""
    predicted, actual = look.responses.logits.argmax(1), look.test.labels
    wrong = predicted != actual
    every = max(1, len(actual) // NEIGHBOURS)
    part = np.flatnonzero(wrong | (np.arange(len(actual)) % every == 0))
    linear, held = embedding.linear(look.responses.features)
    near = embedding.neighbourly(look.responses.features[part])
    for name, places, points in (("components", np.arange(len(actual)), linear), ("neighbours", part, near)):
        figure = explanations.embedding(points, actual[places], predicted[places], look.classes)
        lines = [
            [index, look.classes[actual[index]], look.classes[predicted[index]], f"{x:.4g}", f"{y:.4g}"]
            for index, (x, y) in zip(places, points, strict=True)
        ]
        look.keep(name, charts.svg(figure), ["test_image", "actual", "predicted", "x", "y"], lines)
    return {
        "images": len(actual),
        "wrong": int(wrong.sum()),
        "held": round(100 * float(held.sum()), 1),
        "neighbours": len(part),
    }
