"""Ranks the variants of params.yaml by validation, and gathers their curves and errors into one table each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from digitline import data, leaderboard
from digitline.evaluation import joint_calibration, mean_confusion
from digitline.training import Epoch
from pipeline import stage

PLOTS = Path("reports/plots")


def compare(params: stage.Params) -> None:
    """Writes the leaderboard and the tables behind DVC's plots."""
    rows = leaderboard.best_first([stage.read_json(Path(f"reports/variants/{name}.json")) for name in params.variants])
    stage.write_json(stage.LEADERBOARD, rows)

    stage.write_csv(PLOTS / "curves.csv", [["variant", "seed", *Epoch._fields], *curves(params.variants)])
    labels = data.load(stage.DATASET).test.labels
    logits = {row["variant"]: load_file(f"predictions/{row['variant']}.safetensors")["test"] for row in rows}
    lines = confusions(logits, labels, params.classes)
    stage.write_csv(PLOTS / "confusion.csv", [["variant", "actual", "predicted", "count"], *lines])
    lines = calibrations(logits, labels)
    stage.write_csv(PLOTS / "calibration.csv", [["variant", "count", "confidence", "accuracy"], *lines])


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
