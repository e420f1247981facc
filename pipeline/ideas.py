"""Measures the ideas behind the variants in short trainings: pooling, ReLU, dropout."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from digitline.base import files
from digitline.base.slots import core
from digitline.cli import entry
from digitline.compute.jobs import side_by_side
from digitline.config import paths
from digitline.config.params import Params, variant
from digitline.data import dataset
from digitline.data.dataset import Part, Subset
from digitline.data.entry import Shape
from digitline.draw import charts, explanations
from digitline.explain import probes
from digitline.measure.rounding import DIGITS, each
from digitline.model import networks
from digitline.model.training import fit

PIXELS = [0, 1, 2, 3, 4]
SILENT = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9]  # shares of the hidden units
DRAWS = 10
STEPS = 8  # of an epoch at least, with smaller batches where there are few images
CHOSEN = 1000  # images of validation and of test, evenly spread

Measure = Callable[[nn.Module, Part, Part], Any]  # measures a trained network on validation and test images


class Trial(NamedTuple):
    """A small network that differs from the next one in one thing."""

    name: str  # in figures
    model: dict[str, Any]  # besides the common keys
    recipe: dict[str, Any]  # besides params.yaml's
    measure: Measure


class Run(NamedTuple):
    idea: str
    trial: Trial
    seed: int
    network: dict[str, Any]  # keyword arguments of networks.build
    recipe: dict[str, Any]  # keyword arguments of training.fit, without seed
    split: dict[str, Any]
    images: int  # training images


class Outcome(NamedTuple):
    accuracy: float  # on validation, after training
    gradients: list[list[float]]  # before training and after each epoch, by layer
    measured: Any


Found = dict[str, dict[str, dict[int, Outcome]]]  # by idea, trial and seed


def shifts(model: nn.Module, validation: Part, test: Part) -> list[float]:
    """Accuracy in percent by the shift of the test images in pixels."""
    return [100 * probes.shifted(model, test, distance) for distance in PIXELS]


def silences(model: nn.Module, validation: Part, test: Part) -> list[float]:
    """Accuracy in percent by the share of hidden units that are silent."""
    return [100 * probes.silenced(model, test, share, draws=DRAWS) for share in SILENT]


def nothing(model: nn.Module, validation: Part, test: Part) -> None:
    """Measures nothing; only the training matters."""


SIGMOID = {"learning_rate": 0.01, "weight_decay": 0.1}  # as in the variants with a sigmoid
DEEP = {"filters": [4] * 6, "kernel": 3, "hidden": 30, "pooling": False}
TRIALS = {
    "pooling": [
        Trial("fully connected", {"filters": []}, SIGMOID, shifts),
        Trial("convolution", {"filters": [8], "pooling": False}, SIGMOID, shifts),
        Trial("convolution and pooling", {"filters": [8]}, SIGMOID, shifts),
    ],
    "dropout": [
        Trial("without dropout", {"filters": [], "activation": "relu"}, {}, silences),
        Trial("with dropout", {"filters": [], "activation": "relu", "dropout": 0.5}, {}, silences),
    ],
    "gradients": [
        Trial("sigmoid", {**DEEP, "activation": "sigmoid"}, {}, nothing),
        Trial("ReLU", {**DEEP, "activation": "relu"}, {}, nothing),
    ],
}
ONCE = "gradients"  # only with the first seed, because it has many weights


def ideas(params: Params) -> None:
    """Trains all trials in parallel; writes the figures, their numbers as CSV, and the numbers in the report's text."""
    runs = [
        planned(params, idea, trial, seed)
        for idea, trials in TRIALS.items()
        for trial in trials
        for seed in (params.seeds[:1] if idea == ONCE else params.seeds)
    ]
    found: Found = {idea: {trial.name: {} for trial in trials} for idea, trials in TRIALS.items()}
    # The optimiser imports torch._dynamo, which takes two seconds: once for all processes is enough.
    imports = ["digitline.explain.probes", "digitline.draw.explanations", "torch._dynamo"]
    for run, outcome in side_by_side(one, runs, imports=imports, shared=[paths.DATASET]):
        found[run.idea][run.trial.name][run.seed] = outcome
    with core():
        files.write_json(paths.IDEAS / "ideas.json", drawn(params, found))


def drawn(params: Params, found: Found) -> dict[str, Any]:
    """Draws the figures; returns the numbers in the report's text."""
    return {
        "settings": {**params.ideas._asdict(), "seeds": len(params.seeds), "measured_on": CHOSEN},
        "pooling": ranges("pooling", found, PIXELS, "pixels", "accuracy on test, %"),
        "dropout": ranges("dropout", found, [100 * share for share in SILENT], "silent hidden units, %", "accuracy, %"),
        "gradients": slopes(found["gradients"]),
    }


def planned(params: Params, idea: str, trial: Trial, seed: int) -> Run:
    """A run with the recipe of params.yaml and the trial's own keys."""
    model = {"network": "plain", "hidden": 100, **fitting(trial.model, params.image)}
    own = {"model": model, "epochs": params.ideas.epochs, "outliers": None, **trial.recipe}
    recipe = variant("ideas", params.recipe, own, params.image).recipe
    network = {**model, "classes": len(params.classes), **networks.of_shape(params.image)}
    return Run(idea, trial, seed, network, recipe, params.split, params.ideas.images)


def fitting(model: dict[str, Any], image: Shape) -> dict[str, Any]:
    """The trial's network, with as many layers and as large filters as small images have room for."""
    side = min(image.height, image.width)
    if model["filters"] == DEEP["filters"]:
        return {**model, "filters": model["filters"][: (side - 1) // 2]}
    return model if side > 5 else {**model, "kernel": 3}


def one(run: Run) -> Iterator[Outcome]:
    """Trains and measures one network, in its own process."""
    kept, held, tested = dataset.divide(paths.DATASET, **run.split)
    few, validation, test = spread(kept, run.images), spread(held, CHOSEN), spread(tested, CHOSEN)
    torch.manual_seed(run.seed)
    model = networks.build(**run.network)
    gradients = [probes.gradients(model, validation)]
    recipe = {**run.recipe, "batch_size": min(run.recipe["batch_size"], max(1, len(few.labels) // STEPS))}
    for epoch in fit(model, few, validation, seed=run.seed, **recipe):
        accuracy = epoch.val_accuracy
        gradients.append(probes.gradients(model, validation))
    yield Outcome(accuracy, gradients, run.trial.measure(model.eval(), validation, test))


def spread(part: Part | Subset, count: int) -> Part:
    """That many images, evenly spread."""
    places = np.linspace(0, len(part.labels) - 1, min(count, len(part.labels))).astype(int)
    return Part(part.images[places], part.labels[places])


def ranges(idea: str, found: Found, x: Sequence[float], x_label: str, y_label: str) -> dict[str, dict[str, float]]:
    """Draws the measure by x, its range over seeds as a band; returns the means."""
    measured = {name: np.array([runs[seed].measured for seed in sorted(runs)]) for name, runs in found[idea].items()}
    curves = {name: each(np.stack([x, v.min(0), v.mean(0), v.max(0)], 1), DIGITS) for name, v in measured.items()}
    lines = [[name, *(f"{value:.6g}" for value in point)] for name, points in curves.items() for point in points]
    draw(idea, explanations.lines(curves, x_label, y_label), [["network", "x", "lowest", "mean", "highest"], *lines])
    return {
        name: {f"{at:g}": round(float(mean), 2) for at, mean in zip(x, v.mean(0), strict=True)}
        for name, v in measured.items()
    }


def slopes(found: dict[str, dict[int, Outcome]]) -> dict[str, Any]:
    """Draws the gradients by layer over training; returns how much stronger the last layer's are than the first's."""
    runs = {name: next(iter(of.values())) for name, of in found.items()}
    norms = {name: each(np.array(run.gradients)) for name, run in runs.items()}
    lines = [
        [name, epoch, layer, f"{value:.4g}"]
        for name, values in norms.items()
        for (epoch, layer), value in np.ndenumerate(values)
    ]
    draw("gradients", explanations.gradients(norms), [["activation", "epoch", "layer", "gradient"], *lines])
    return {
        name: {
            "layers": values.shape[1],
            "last_to_first": float(f"{np.exp(np.log(values[:, -1] / values[:, 0]).mean()):.3g}"),
            "val_accuracy": round(100 * runs[name].accuracy, 1),
        }
        for name, values in norms.items()
    }


def draw(name: str, figure: Figure, table: Sequence[Sequence[Any]]) -> None:
    """Writes a figure and the numbers behind it."""
    files.write(paths.IDEAS / f"{name}.svg", charts.svg(figure).encode())
    files.write_csv(paths.IDEAS / f"{name}.csv", table)


if __name__ == "__main__":
    entry.run(ideas, parallel=True)
