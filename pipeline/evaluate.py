"""Scores one variant: the logits of every run on validation and test, the measures of them, the mistakes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from digitline import checkpoint, data, figures, files, leaderboard, models
from digitline.evaluation import joint_calibration, latency, mean_confusion, predict
from digitline.params import choose
from digitline.processes import cores, side_by_side
from digitline.training import Epoch
from pipeline import stage


class Run(NamedTuple):
    seed: int
    path: Path
    split: dict[str, Any]


class Outcome(NamedTuple):
    val: np.ndarray  # logits [validation images, classes]
    test: np.ndarray  # logits [test images, classes]


def evaluate(params: stage.Params, variant: str) -> None:
    """Evaluates every seed of a variant of params.yaml."""
    choose("the variant", variant, params.variants)
    dataset = data.load(stage.DATASET)
    _, validation = data.split(dataset.train, **params.split)
    parts = {"val": validation, "test": dataset.test}

    runs = [Run(seed, stage.model_path(variant, seed), params.split) for seed in params.seeds]
    records = side_by_side(one, runs, processes=cores(), imports=["pipeline.stage"])

    from digitline import tracking  # takes a second: while the processes, which have no use for it, begin

    outcomes = {run.seed: outcome for run, outcome in records}
    logits = {name: np.stack([getattr(outcomes[run.seed], name) for run in runs]) for name in parts}
    files.write(Path(f"predictions/{variant}.safetensors"), save(logits))

    model = checkpoint.load(runs[0].path)
    row = leaderboard.row(
        variant,
        [scores(run, outcomes[run.seed], parts) for run in runs],
        parameters=models.parameters(model),
        macs=models.macs(model),
    )
    stage.write_json(Path(f"reports/variants/{variant}.json"), row)
    stage.write_json(Path(f"reports/metrics/{variant}.json"), leaderboard.metrics(row))
    pages = draw(variant, params.classes, dataset.test, logits["test"])
    stage.note_timings(variant, latency_ms=round(latency(model), 3))
    tracking.evaluate(
        stage.store(params),
        stage.tracked(params, variant),
        models={run.seed: run.path for run in runs},
        curves=curves(variant),
        metrics={run["seed"]: {key: run[key] for key in leaderboard.MEASURED} for run in row["runs"]},
        examples=dataset.test.images[:4],
        figures=pages,
    )


def one(run: Run) -> Iterator[Outcome]:
    """Predicts validation and test with one seed's model."""
    dataset = data.load(stage.DATASET)
    _, validation = data.split(dataset.train, **run.split)
    model = checkpoint.load(run.path)
    yield Outcome(predict(model, validation.images), predict(model, dataset.test.images))


def scores(run: Run, outcome: Outcome, parts: dict[str, data.Part]) -> dict[str, Any]:
    """One run: its seed, its model's identity and every measure."""
    measures = [leaderboard.measure(name, getattr(outcome, name), part.labels) for name, part in parts.items()]
    return {"seed": run.seed, "sha256": checkpoint.digest(run.path)} | measures[0] | measures[1]


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
        epochs.setdefault(int(seed), []).append(Epoch(int(number), *map(float, measures)))
    return epochs


if __name__ == "__main__":
    stage.run(evaluate, "variant")
