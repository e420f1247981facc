"""Scores one variant: the logits of every run on validation and test, the measures of them, the mistakes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from digitline import checkpoint, data, figures, files, leaderboard, models, robustness
from digitline.evaluation import joint_calibration, latency, mean_confusion, predict
from digitline.params import choose
from digitline.processes import side_by_side
from digitline.training import Epoch
from pipeline import stage


class Run(NamedTuple):
    seed: int
    path: Path
    split: dict[str, Any]
    robustness: dict[str, Any]


class Outcome(NamedTuple):
    val: np.ndarray  # logits [validation images, classes]
    test: np.ndarray  # logits [test images, classes]
    robustness: list[tuple[str, float, float]]  # family, level, accuracy


def evaluate(params: stage.Params, name: str) -> None:
    """Evaluates every seed of a variant of params.yaml, or the vote of them as one model."""
    choose("the variant", name, dict.fromkeys([*params.variants, *params.votes]))
    votes = name in params.votes
    paths = unite(params, name) if votes else {seed: stage.model_path(name, seed) for seed in params.seeds}
    runs = [Run(seed, path, params.split, params.robustness) for seed, path in paths.items()]
    jobs = [(task, run) for task in reversed(Outcome._fields) for run in runs]  # the longest first
    records = side_by_side(work, jobs, imports=["pipeline.evaluate"])

    from digitline import tracking  # takes a second: while the processes, which have no use for it, begin

    dataset = data.load(stage.DATASET)
    found = {(task, run.seed): result for (task, run), result in records}
    outcomes = {seed: Outcome(*(found[task, seed] for task in Outcome._fields)) for seed in paths}
    logits = {part: np.stack([getattr(outcome, part) for outcome in outcomes.values()]) for part in ("val", "test")}
    files.write(Path(f"predictions/{name}.safetensors"), save(logits))

    row = rate(params, name, paths, outcomes, dataset)
    robust = robustness.means([outcome.robustness for outcome in outcomes.values()])
    stage.write_json(Path(f"reports/variants/{name}.json"), row)
    stage.write_json(Path(f"reports/metrics/{name}.json"), leaderboard.metrics(row))
    stage.write_csv(stage.robustness_path(name), [["family", "level", "accuracy"], *robust])
    stage.note_timings(name, latency_ms=round(latency(checkpoint.load(runs[0].path)), 3))
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
    params: stage.Params, name: str, paths: dict[int, Path], outcomes: dict[int, Outcome], dataset: data.Dataset
) -> leaderboard.Row:
    """The row of the leaderboard: the identity of each run's model, every measure, and the cost of one."""
    labels, test_labels = data.split(dataset.train, **params.split)[1].labels, dataset.test.labels
    members = {"members": params.seeds} if name in params.votes else {}
    runs = [
        {"seed": seed, "sha256": checkpoint.digest(path), **members}
        | leaderboard.measures(outcomes[seed].val, labels, outcomes[seed].test, test_labels)
        | {"test_corrupted": robustness.corrupted(outcomes[seed].robustness)}
        for seed, path in paths.items()
    ]
    first = next(iter(paths.values()))
    model = checkpoint.load(first)
    cost = {"parameters": models.parameters(model), "macs": models.macs(model), "bytes": first.stat().st_size}
    return leaderboard.row(name, runs, images=len(test_labels), **cost)


def work(job: tuple[str, Run]) -> Iterator[Any]:
    """One field of the outcome of one run."""
    task, run = job
    dataset, model = data.load(stage.DATASET), checkpoint.load(run.path)
    if task == "robustness":
        yield robustness.accuracies(model, dataset.test, **run.robustness)
    else:
        yield predict(model, {"val": data.split(dataset.train, **run.split)[1], "test": dataset.test}[task].images)


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
