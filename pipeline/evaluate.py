"""Scores one variant: the logits of every run on validation and test, the measures of them, the mistakes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save
from torch import nn

from digitline import checkpoint, data, doubt, figures, files, leaderboard, models, robustness
from digitline.evaluation import joint_calibration, latency, mean_confusion, predict
from digitline.params import choose
from digitline.processes import cores
from digitline.training import Epoch
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
    paths = unite(params, name) if votes else {seed: stage.model_path(name, seed) for seed in params.seeds}
    dataset = data.load(stage.DATASET)
    _, validation = data.split(dataset.train, **params.split)
    networks = [checkpoint.load(path) for path in paths.values()]
    with ThreadPoolExecutor(cores()) as pool:  # torch computes without the interpreter's lock
        changed = [pool.submit(robustness.accuracies, each, dataset.test, **params.robustness) for each in networks]
        val = [pool.submit(predict, each, validation.images) for each in networks]
        test = [pool.submit(predict, each, dataset.test.images) for each in networks]

        from digitline import tracking  # takes a second: while the models predict
    outcomes = [
        Outcome(seed, path, network, v.result(), t.result(), c.result())
        for (seed, path), network, v, t, c in zip(paths.items(), networks, val, test, changed, strict=True)
    ]

    row = rate(name, outcomes, validation.labels, dataset.test.labels, members=params.seeds if votes else [])
    logits = {part: np.stack([getattr(outcome, part) for outcome in outcomes]) for part in ("val", "test")}
    robust = robustness.means([outcome.robustness for outcome in outcomes])
    files.write(Path(f"predictions/{name}.safetensors"), save(logits))
    stage.write_json(Path(f"reports/variants/{name}.json"), row)
    stage.write_json(Path(f"reports/metrics/{name}.json"), leaderboard.metrics(row))
    stage.write_csv(stage.robustness_path(name), [["family", "level", "accuracy"], *robust])
    stage.note_timings(name, latency_ms=round(latency(networks[0]), 3))
    tracking.evaluate(
        stage.store(params),
        stage.tracked(params, name, params.seeds if votes else []),
        models=paths,
        curves={0: []} if votes else curves(name),
        metrics={run["seed"]: {key: run[key] for key in leaderboard.MEASURED} for run in row["runs"]},
        robustness=robust,
        examples=dataset.test.images[:4],
        figures=draw(name, params.classes, dataset.test, logits["test"]),
    )


def unite(params: stage.Params, name: str) -> dict[int, Path]:
    """Writes the model in which the seeds of a variant vote; returns where, as of a seed 0."""
    variant = name.removesuffix(stage.VOTE)
    path = stage.vote_path(name)
    checkpoint.vote([stage.model_path(variant, seed) for seed in params.seeds], path)
    return {0: path}


def rate(
    name: str, outcomes: list[Outcome], labels: np.ndarray, test_labels: np.ndarray, *, members: list[int]
) -> leaderboard.Row:
    """The row of the leaderboard: the identity of each run's model, every measure, and the cost of one."""
    runs = [
        {"seed": seed, "sha256": checkpoint.digest(path), **({"members": members} if members else {})}
        | leaderboard.measures(val, labels, test, test_labels)
        | {"test_corrupted": robustness.corrupted(changed)}
        | doubt.measures(val, test)
        for seed, path, _, val, test, changed in outcomes
    ]
    _, path, model, *_ = outcomes[0]
    cost = {"parameters": models.parameters(model), "macs": models.macs(model), "bytes": path.stat().st_size}
    return leaderboard.row(name, runs, images=len(test_labels), **cost)


def draw(variant: str, classes: list[str], test: data.Part, runs: np.ndarray) -> list[Path]:
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
    for name, page in pages.items():
        files.write(Path(f"reports/{name}/{variant}.png"), page)
    return [Path(f"reports/{name}/{variant}.png") for name in pages]


def curves(variant: str) -> dict[int, list[Epoch]]:
    """The epochs of each seed, as train wrote them."""
    epochs: dict[int, list[Epoch]] = {}
    for seed, number, *measures in stage.read_csv(stage.curves_path(variant)):
        train_loss, val_loss, val_accuracy = map(float, measures)
        epochs.setdefault(int(seed), []).append(Epoch(int(number), train_loss, val_loss, val_accuracy, seconds=0))
    return epochs


if __name__ == "__main__":
    stage.run(evaluate, "name")
