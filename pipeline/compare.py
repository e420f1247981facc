"""Ranks the rows by validation, tells them apart on test, and gathers their curves and errors into one table each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from digitline import charts, data, figures, files, leaderboard, machine, statistics
from digitline.evaluation import joint_calibration, mean_confusion
from digitline.palette import colours
from digitline.robustness import FAMILIES
from digitline.statistics import LEVEL
from digitline.training import Epoch
from pipeline import stage

PLOTS = Path("reports/plots")


def compare(params: stage.Params) -> None:
    """Writes the leaderboard, its comparisons and the tables behind DVC's plots."""
    names = [*params.variants, *params.votes]
    rows = leaderboard.best_first([stage.read_json(Path(f"reports/variants/{name}.json")) for name in names])
    labels = data.load(stage.DATASET).test.labels
    logits = {row["variant"]: load_file(f"predictions/{row['variant']}.safetensors")["test"] for row in rows}

    pairs = statistics.compare({name: runs.argmax(2) == labels for name, runs in logits.items()})
    apart = {frozenset((pair.first, pair.second)) for pair in pairs if pair.p_holm < LEVEL}
    letters, front = statistics.groups(list(logits), apart), leaderboard.front(rows)
    board = [row | {"group": letters[row["variant"]], "front": row["variant"] in front} for row in rows]
    stage.write_json(stage.LEADERBOARD, board)
    stage.write_json(Path("reports/comparisons.json"), [pair._asdict() for pair in pairs])
    stage.write_json(stage.MACHINE, machine.describe())
    of = colours(params.variants, params.votes)
    files.write(Path("reports/front.png"), charts.png(charts.front(board, of)))

    stage.write_csv(PLOTS / "curves.csv", [["variant", "seed", *Epoch._fields[:-1]], *curves(params.variants)])
    lines = confusions(logits, labels, params.classes)
    stage.write_csv(PLOTS / "confusion.csv", [["variant", "actual", "predicted", "count"], *lines])
    lines = calibrations(logits, labels)
    stage.write_csv(PLOTS / "calibration.csv", [["variant", "count", "confidence", "accuracy"], *lines])
    lines = [[name, *line] for name in logits for line in stage.read_csv(stage.robustness_path(name))]
    stage.write_csv(PLOTS / "robustness.csv", [["variant", "family", "level", "accuracy"], *lines])
    files.write(
        Path("reports/robustness.png"),
        figures.robustness(lines, {name: family.unit for name, family in FAMILIES.items()}, of),
    )


def curves(variants: Iterable[str]) -> Iterable[list[Any]]:
    """Every variant's learning curves."""
    for variant in variants:
        yield from ([variant, *line] for line in stage.read_csv(stage.curves_path(variant)))


def confusions(logits: dict[str, np.ndarray], labels: np.ndarray, classes: list[str]) -> Iterable[list[Any]]:
    """How often each class was taken for each, on test: the mean over seeds."""
    for variant, runs in logits.items():
        mean = mean_confusion(runs, labels)
        for actual, name in enumerate(classes):
            yield from ([variant, name, classes[guess], f"{mean[actual, guess]:g}"] for guess in range(len(classes)))


def calibrations(logits: dict[str, np.ndarray], labels: np.ndarray) -> Iterable[list[Any]]:
    """Accuracy by confidence on test, all seeds' answers together."""
    for variant, runs in logits.items():
        for count, confidence, accuracy in joint_calibration(runs, labels):
            yield [variant, count, f"{confidence:.6f}", f"{accuracy:.6f}"]


if __name__ == "__main__":
    stage.run(compare)
