"""Shows what one variant has learned: its filters, what excites them, its maps, its evidence, its mistakes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file
from scipy.special import softmax
from torch import nn

from digitline import arithmetic, charts, checkpoint, data, embedding, files, filters, insight, mosaics
from digitline.data import Part
from digitline.doubt import entropy
from digitline.evaluation import nll, temperature
from digitline.filters import Responses
from digitline.params import choose
from pipeline import stage

SHOWN = 20  # filters of a layer
PATCHES = 6  # test images for each
EACH = 5  # right and wrong answers
PAIRS = 12  # of a mistake and what it was taken for
NEIGHBOURS = 1000  # test images in the projection that keeps neighbours
HEATS = [round(float(heat), 3) for heat in np.geomspace(0.2, 5, 41)]
COOLED = [0.5, 1.0, 2.0, 4.0]  # temperatures

Table = Sequence[Sequence[Any]]


class Look(NamedTuple):
    """One network and what it makes of test."""

    folder: Path
    model: nn.Module
    test: Part
    classes: list[str]
    responses: Responses


def learned(params: stage.Params, variant: str) -> None:
    """Draws what the first seed of a variant of params.yaml has learned."""
    choose("the variant", variant, params.variants)
    dataset, model = data.load(stage.DATASET), checkpoint.load(stage.model_path(variant, params.seeds[0]))
    folder = Path(f"reports/insight/{variant}")
    look = Look(folder, model, dataset.test, params.classes, filters.respond(model, dataset.test.images))
    told = {"seed": params.seeds[0], "layers": shared(model)}
    told |= {"filters": excited(look), "maps": mapped(look), "evidence": explained(look)}
    told |= {"embedding": embedded(look), "confusions": confused(look)}
    _, validation = data.split(dataset.train, **params.split)
    told["temperature"] = cooled(look, load_file(f"predictions/{variant}.safetensors")["val"][0], validation)
    stage.write_json(folder.with_suffix(".json"), told)

    from digitline import tracking  # takes a second

    paths = [stage.model_path(variant, seed) for seed in params.seeds]
    tracking.illustrate(stage.store(params), paths, folder, "insight")


def shared(model: nn.Module) -> list[dict[str, Any]]:
    """Each convolution's parameters, as it is and without shared weights, and the same of all layers."""
    return [
        {"layer": arithmetic.title(step.layer), "parameters": step.parameters, "unshared": step.unshared}
        for step in arithmetic.steps(model)
        if step.parameters
    ]


def excited(look: Look) -> list[dict[str, Any]]:
    """Draws each layer's weights, the image that excites each filter most and the test patches that do."""
    told = []
    for place, layer in enumerate(filters.stages(look.model)):
        made = filters.exciting(look.model, layer, SHOWN)
        found = strongest(look, place, layer, len(made))
        rows = np.stack([np.stack([image, *patches]) for image, (patches, _) in zip(made, found, strict=True)])
        names = [str(number) for number in range(len(rows))]
        picture = mosaics.svg(mosaics.ink(rows), rows=names, breaks=[1], halves=True, alt="what excites each filter")
        lines = [[number, *line] for number, (_, lines) in enumerate(found) for line in lines]
        write(
            look,
            f"exciting-{layer.number}",
            picture,
            ["filter", "rank", "test_image", "row", "column", "response"],
            lines,
        )
        draw_weights(look, layer)
        count, inputs, side, _ = layer.weights.shape
        told.append({"filters": count, "inputs": inputs, "side": side, "shown": len(made), "field": layer.field.size})
    return told


def strongest(look: Look, place: int, layer: filters.Stage, shown: int) -> list[tuple[list[data.Bytes], Table]]:
    """For each filter the patches of the test images that excite it most, and where they are."""
    peaks, places = look.responses.peaks[place], look.responses.places[place]
    order = np.argsort(-peaks[:, :shown], 0, kind="stable")[:PATCHES]  # [patches, filters]
    found: list[tuple[list[data.Bytes], Table]] = []
    for number in range(shown):
        at = [(int(i), *divmod(int(places[i, number]), look.responses.widths[place])) for i in order[:, number]]
        patches = [filters.patch(look.test.images[index], layer.field, row, column) for index, row, column in at]
        lines = [[rank, *where, f"{peaks[where[0], number]:.4g}"] for rank, where in enumerate(at, 1)]
        found.append((patches, lines))
    return found


def draw_weights(look: Look, layer: filters.Stage) -> None:
    """Draws all weights of a layer: of the first, a picture a filter; of those behind it, a column a filter."""
    count, inputs, side, _ = layer.weights.shape
    if inputs == 1:
        across = 10
        padded = np.zeros((-(-count // across) * across, side, side), np.float32)
        padded[:count] = layer.weights[:, 0]
        tiles, cell = mosaics.signed(padded.reshape(-1, across, side, side), (2, 3)), mosaics.CELL
    else:
        tiles = mosaics.signed(layer.weights, (1, 2, 3)).swapaxes(0, 1)  # a column a filter
        cell = max(2 * side, 300 // count)
    kernels = layer.weights.reshape(count * inputs, -1)
    lines = [[*divmod(place, inputs), *(f"{w:.3g}" for w in kernel)] for place, kernel in enumerate(kernels)]
    header = ["filter", "input", *(f"w{place}" for place in range(side * side))]
    write(look, f"weights-{layer.number}", mosaics.svg(tiles, cell=cell, alt="weights"), header, lines)


def mapped(look: Look) -> list[dict[str, Any]]:
    """Draws the maps that the layers make of a digit of each class."""
    chosen = [int(np.argmax(look.test.labels == label)) for label in range(len(look.classes))]
    passed = [insight.layers(look.model, look.test.images[index]) for index in chosen]
    told = []
    for number, place in enumerate(activations(passed[0]), 1):
        maps = np.stack([layers[place].maps[:SHOWN] for layers in passed], 1)  # [channels, classes, height, width]
        picture = mosaics.svg(
            mosaics.heat(maps, (1, 2, 3)),
            columns=look.classes,
            rows=[str(channel) for channel in range(len(maps))],
            alt=f"maps of {passed[0][place].name}",
        )
        lines = [
            [channel, look.classes[label], chosen[label], *(f"{value:.3g}" for value in maps[channel, label].flat)]
            for channel, label in np.ndindex(maps.shape[:2])
        ]
        header = ["channel", "class", "test_image", *(f"v{at}" for at in range(maps[0, 0].size))]
        write(look, f"maps-{number}", picture, header, lines)
        told.append({"layer": passed[0][place].name, "channels": len(passed[0][place].maps), "shown": len(maps)})
    return told


def activations(layers: Sequence[insight.Layer]) -> list[int]:
    """The places of the last layer before each next convolution, and of the last of all."""
    convolutions = [place for place, layer in enumerate(layers) if layer.filters is not None]
    return [place - 1 for place in convolutions[1:]] + [len(layers) - 1] if layers else []


def explained(look: Look) -> list[dict[str, Any]]:
    """Draws where the evidence lies in answers that are right and in the surest that are wrong."""
    shares = softmax(look.responses.logits, 1)
    predicted, sure = shares.argmax(1), shares.max(1)
    (wrong,) = np.nonzero(predicted != look.test.labels)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:EACH]
    right = [np.flatnonzero((look.test.labels == label) & (predicted == label)) for label in look.test.labels[wrong]]
    chosen = [*(int(places[0]) for places in right if len(places)), *map(int, wrong)]
    if not chosen:
        return []
    answers = [int(predicted[index]) for index in chosen]
    images = look.test.images[chosen]
    steep = [filters.saliency(look.model, image, answer) for image, answer in zip(images, answers, strict=True)]
    carried = [insight.evidence(look.model, image, answer) for image, answer in zip(images, answers, strict=True)]
    large = np.stack(carried).repeat(2, 1).repeat(2, 2)
    tiles = np.stack([mosaics.ink(images), mosaics.heat(np.stack(steep), (1, 2)), mosaics.signed(large, (1, 2))])
    heads = [told_apart(look, index, answer) for index, answer in zip(chosen, answers, strict=True)]
    rows = ["image", "slope", "cover"]
    picture = mosaics.svg(
        tiles, columns=heads, rows=rows, breaks=[len(chosen) - len(wrong)], alt="where the evidence lies"
    )
    lines = [
        [index, look.classes[look.test.labels[index]], look.classes[answer], row, *(f"{v:.3g}" for v in values.flat)]
        for index, answer, *both in zip(chosen, answers, steep, large, strict=True)
        for row, values in zip(rows[1:], both, strict=True)
    ]
    header = ["test_image", "actual", "predicted", "map", *(f"v{place}" for place in range(28 * 28))]
    write(look, "evidence", picture, header, lines)
    return [{"test_image": index, "head": head} for index, head in zip(chosen, heads, strict=True)]


def told_apart(look: Look, index: int, answer: int) -> str:
    """What an image is, and what it was taken for if for something else."""
    actual = int(look.test.labels[index])
    return look.classes[actual] + (f"→{look.classes[answer]}" if answer != actual else "")


def embedded(look: Look) -> dict[str, Any]:
    """Draws test as points of a plane: all of it by two components, part of it by neighbourhood."""
    predicted, actual = look.responses.logits.argmax(1), look.test.labels
    wrong = predicted != actual
    every = max(1, len(actual) // NEIGHBOURS)
    part = np.flatnonzero(wrong | (np.arange(len(actual)) % every == 0))
    linear, held = embedding.linear(look.responses.features)
    near = embedding.neighbourly(look.responses.features[part])
    for name, places, points in (("components", np.arange(len(actual)), linear), ("neighbours", part, near)):
        figure = charts.embedding(points, actual[places], predicted[places], look.classes)
        lines = [
            [index, look.classes[actual[index]], look.classes[predicted[index]], f"{x:.4g}", f"{y:.4g}"]
            for index, (x, y) in zip(places, points, strict=True)
        ]
        write(look, name, charts.svg(figure), ["test_image", "actual", "predicted", "x", "y"], lines)
    return {
        "images": len(actual),
        "wrong": int(wrong.sum()),
        "held": round(100 * float(held.sum()), 1),
        "neighbours": len(part),
    }


def confused(look: Look) -> list[dict[str, Any]]:
    """Draws a mistake of each common confusion beside the digit, most like it, of the class that it was taken for."""
    predicted, actual, features = look.responses.logits.argmax(1), look.test.labels, look.responses.features
    (wrong,) = np.nonzero(predicted != actual)
    counts = np.zeros((len(look.classes),) * 2, int)
    np.add.at(counts, (actual[wrong], predicted[wrong]), 1)
    often = sorted(
        ((int(n), a, p) for (a, p), n in np.ndenumerate(counts) if n), key=lambda each: (-each[0], *each[1:])
    )
    told, tiles = [], []
    for number, is_class, taken in often[:PAIRS]:
        [index, *_] = wrong[(actual[wrong] == is_class) & (predicted[wrong] == taken)]
        (alike,) = np.nonzero((actual == taken) & (predicted == taken))
        if not len(alike):
            continue
        nearest = int(alike[np.square(features[alike] - features[index]).sum(1).argmin()])
        tiles.append(np.stack([look.test.images[index], look.test.images[nearest]]))
        told.append(
            {"actual": look.classes[is_class], "predicted": look.classes[taken], "count": -number}
            | {"test_image": int(index), "like": nearest}
        )
    if told:
        heads = [f"{each['actual']}→{each['predicted']} x{each['count']}" for each in told]
        picture = mosaics.pairs(mosaics.ink(np.stack(tiles)), heads, alt="mistakes beside what they were taken for")
        write(look, "confusions", picture, list(told[0]), [list(each.values()) for each in told])
    return told


def cooled(look: Look, on_validation: np.ndarray, validation: Part) -> dict[str, Any]:
    """Draws the most torn answer at several temperatures; tells the loss on validation at many."""
    logits = look.responses.logits
    torn = int(entropy(softmax(logits, 1)).argmax())
    answers = {heat: softmax(logits[torn] / heat) for heat in COOLED}
    figure = charts.answers(look.test.images[torn], answers, look.classes)
    lines = [[heat, *(f"{share:.4f}" for share in shares)] for heat, shares in answers.items()]
    write(look, "answers", charts.svg(figure), ["temperature", *look.classes], lines)
    losses = [nll(on_validation / heat, validation.labels) for heat in HEATS]
    lines = [[heat, f"{loss:.5f}"] for heat, loss in zip(HEATS, losses, strict=True)]
    stage.write_csv(look.folder / "temperature.csv", [["temperature", "loss"], *lines])
    return {
        "best": round(temperature(on_validation, validation.labels), 3),
        "test_image": torn,
        "actual": look.classes[look.test.labels[torn]],
        "surest": {f"{heat:g}": round(100 * float(shares.max()), 1) for heat, shares in answers.items()},
    }


def write(look: Look, name: str, picture: str, header: Sequence[str], lines: Table) -> None:
    """Writes a figure and the numbers behind it."""
    files.write(look.folder / f"{name}.svg", picture.encode())
    stage.write_csv(look.folder / f"{name}.csv", [header, *lines])


if __name__ == "__main__":
    stage.run(learned, "variant")
