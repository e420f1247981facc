"""Scores one variant: the logits of every run on validation and test, the measures of them, the mistakes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save
from scipy.special import softmax
from torch import nn

from digitline import checkpoint, data, doubt, figures, files, leaderboard, models, robustness
from digitline.evaluation import exact, joint_calibration, latency, mean_confusion, predict
from digitline.params import choose
from digitline.processes import cores
from pipeline import stage


class Outcome(NamedTuple):
    """A run's model and what it makes of the images."""

    seed: int
    path: Path
    model: nn.Module
    val: np.ndarray  # logits [validation images, classes]
    test: np.ndarray  # logits [test images, classes]
    robustness: list[tuple[str, float, float]]  # family, level, accuracy


def evaluate(params: stage.Params, name: str) -> None:
    """Evaluates every seed of a variant of params.yaml, or the vote of them as one model."""
    choose("the variant", name, dict.fromkeys([*params.variants, *params.votes]))
    votes = name in params.votes
    paths = stage.model_paths(params, name)
    if votes:
        checkpoint.vote(list(stage.model_paths(params, name.removesuffix(stage.VOTE)).values()), paths[0])
    dataset = data.load(stage.DATASET)
    _, validation = data.split(dataset.train, **params.split)
    networks = [checkpoint.load(path) for path in paths.values()]
    with ThreadPoolExecutor(cores()) as pool:  # torch computes without the interpreter's lock
        changed = [pool.submit(robustness.accuracies, each, dataset.test, **params.robustness) for each in networks]
        val = [pool.submit(predict, each, validation.images) for each in networks]
        test = [pool.submit(predict, each, dataset.test.images) for each in networks]

        from pipeline import runs  # imports MLflow, which takes a second: while the models predict
    outcomes = [
        Outcome(seed, path, network, v.result(), t.result(), c.result())
        for (seed, path), network, v, t, c in zip(paths.items(), networks, val, test, changed, strict=True)
    ]

    row = rate(name, outcomes, validation.labels, dataset.test.labels, members=params.seeds if votes else [])
    logits = {part: np.stack([getattr(outcome, part) for outcome in outcomes]) for part in ("val", "test")}
    robust = robustness.means([outcome.robustness for outcome in outcomes])
    files.write(Path(f"predictions/{name}.safetensors"), save(logits))
    stage.write_json(stage.row_path(name), row)
    stage.write_json(Path(f"reports/metrics/{name}.json"), leaderboard.metrics(row))
    stage.write_csv(stage.robustness_path(name), [["family", "level", "accuracy"], *robust])
    stage.note_timings(name, latency_ms=round(latency(networks[0]), 3))
    draw(name, params.classes, dataset.test, logits["test"])
    runs.log(params, stage.store(params), name)


def rate(
    name: str, outcomes: list[Outcome], labels: np.ndarray, test_labels: np.ndarray, *, members: list[int]
) -> leaderboard.Row:
    """The row of the leaderboard: the identity of each run's model, every measure, and the cost of one."""
    runs = [
        {"seed": seed, "sha256": checkpoint.digest(path), **({"members": members} if members else {})}
        | leaderboard.measures(val, labels, test, test_labels)
        | {"test_corrupted": robustness.corrupted(changed)}
        | doubt.measures(softmax(exact(val), 1), softmax(exact(test), 1))
        for seed, path, _, val, test, changed in outcomes
    ]
    _, path, model, *_ = outcomes[0]
    cost = {"parameters": models.parameters(model), "macs": models.macs(model), "bytes": path.stat().st_size}
    return leaderboard.row(name, runs, images=len(test_labels), **cost)


def draw(variant: str, classes: list[str], test: data.Part, runs: np.ndarray) -> None:
    """Draws what went wrong on test: the first seed's mistakes, all seeds' confusions and calibration."""
    predicted, names = runs[0].argmax(1), np.array(classes)
    (wrong,) = np.nonzero(predicted != test.labels)
    title = f"{variant}: {len(wrong)} of {len(test.labels)} test images misclassified (true → predicted)"
    pages = {
        "misclassified": figures.misclassified(
            test.images[wrong], names[test.labels[wrong]], names[predicted[wrong]], title
        ),
        "confusion": figures.confusion(
            mean_confusion(runs, test.labels), classes, f"{variant}: test images, mean of {len(runs)} seeds"
        ),
        "calibration": figures.calibration(
            joint_calibration(runs, test.labels), f"{variant}: test images, {len(runs)} seeds"
        ),
    }
    for kind, page in pages.items():
        files.write(stage.figure_path(kind, variant), page)


if __name__ == "__main__":
    stage.run(evaluate, "name")
