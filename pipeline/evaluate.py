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
    members = params.seeds if name in params.votes else []
    paths = {seed: stage.model_path(name.removesuffix(stage.VOTE), seed) for seed in params.seeds}
    if members:
        checkpoint.vote(list(paths.values()), stage.vote_path(name))
        paths = {0: stage.vote_path(name)}

    runs = [Run(seed, path, params.split, params.robustness) for seed, path in paths.items()]
    records = side_by_side(one, runs, imports=["pipeline.stage"])

    from digitline import tracking  # takes a second: while the processes, which have no use for it, begin

    outcomes = {run.seed: outcome for run, outcome in records}
    logits = {part: np.stack([getattr(outcomes[seed], part) for seed in paths]) for part in ("val", "test")}
    files.write(Path(f"predictions/{name}.safetensors"), save(logits))

    dataset = data.load(stage.DATASET)
    labels = data.split(dataset.train, **params.split)[1].labels
    model = checkpoint.load(runs[0].path)
    scores: list[dict[str, Any]] = [
        {"seed": seed, "sha256": checkpoint.digest(path)}
        | ({"members": list(members)} if members else {})
        | leaderboard.measures(outcomes[seed].val, labels, outcomes[seed].test, dataset.test.labels)
        for seed, path in paths.items()
    ]
    row = leaderboard.row(
        name,
        scores,
        images=len(dataset.test.labels),
        parameters=models.parameters(model),
        macs=models.macs(model),
        bytes=runs[0].path.stat().st_size,
    )
    stage.write_json(Path(f"reports/variants/{name}.json"), row)
    stage.write_json(Path(f"reports/metrics/{name}.json"), leaderboard.metrics(row))
    robust = robustness.means([outcomes[seed].robustness for seed in paths])
    stage.write_csv(stage.robustness_path(name), [["family", "level", "accuracy"], *robust])
    pages = draw(name, params.classes, dataset.test, logits["test"])
    stage.note_timings(name, latency_ms=round(latency(model), 3))
    tracking.evaluate(
        stage.store(params),
        stage.tracked(params, name, members),
        models=paths,
        curves={0: []} if members else curves(name),
        metrics={run["seed"]: {key: run[key] for key in leaderboard.MEASURED} for run in scores},
        robustness=robust,
        examples=dataset.test.images[:4],
        figures=pages,
    )


def one(run: Run) -> Iterator[Outcome]:
    """Predicts validation and test with one model, then test images changed."""
    dataset = data.load(stage.DATASET)
    _, validation = data.split(dataset.train, **run.split)
    model = checkpoint.load(run.path)
    robust = robustness.accuracies(model, dataset.test, **run.robustness)
    yield Outcome(predict(model, validation.images), predict(model, dataset.test.images), robust)


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
