"""Ranks the rows by validation, compares them on test, and collects their curves and errors in one table each."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from digitline.base import files
from digitline.cli import entry
from digitline.compute import machine
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset
from digitline.measure import leaderboard, statistics
from digitline.measure.calibration import joint_calibration, mean_confusion
from digitline.measure.rows import Measure, Row
from digitline.measure.statistics import LEVEL

EPOCH = ["variant", "seed", "epoch", "train_loss", "val_loss", "val_accuracy"]


def compare(params: Params) -> None:
    """Writes the leaderboard, its comparisons, the tables behind DVC's plots, and the best runs for the service."""
    paths.set_aside(params)
    by = params.select_by
    rows = leaderboard.best_first([files.read_json(paths.row_path(name)) for name in params.rows], by)
    labels = dataset.load(paths.DATASET).test.labels
    logits = {row["variant"]: load_file(paths.predictions_path(row["variant"]))["test"] for row in rows}

    pairs = statistics.compare({name: runs.argmax(2) == labels for name, runs in logits.items()})
    apart = {frozenset((pair.first, pair.second)) for pair in pairs if pair.p_holm < LEVEL}
    letters, front = statistics.groups(list(logits), apart), leaderboard.front(rows, by)
    for row in rows:
        name = row["variant"]
        vote = params.votes.get(name)
        row["kind"], row["parent"] = ("vote", vote) if vote else ("variant", params.variants[name].parent)
        row["group"], row["front"] = letters[name], name in front
    files.write_json(paths.LEADERBOARD, rows)
    files.write_json(paths.COMPARISONS, [pair._asdict() for pair in pairs])
    files.write_json(paths.MADE_ON, machine.describe())  # not hashed by DVC, like timings
    lay_out(rows, by, dataset=params.dataset, classes=params.classes, image=params.image._asdict())

    files.write_csv(paths.PLOTS / "curves.csv", [EPOCH, *curves(params.variants)])
    lines = confusions(logits, labels, params.classes)
    files.write_csv(paths.PLOTS / "confusion.csv", [["variant", "actual", "predicted", "count"], *lines])
    lines = calibrations(logits, labels)
    files.write_csv(paths.PLOTS / "calibration.csv", [["variant", "count", "confidence", "accuracy"], *lines])
    lines = ([name, *line] for name in logits for line in files.read_csv(paths.robustness_path(name)))
    files.write_csv(paths.PLOTS / "robustness.csv", [["variant", "family", "level", "accuracy"], *lines])


def lay_out(rows: list[Row], by: Measure, **of: Any) -> None:
    """Copies each variant's best run, so that the service can show those of the champion's data set side by side."""
    runs = {row["variant"]: leaderboard.best_run(row, by) for row in rows if row["kind"] == "variant"}
    for name, run in runs.items():
        content = paths.exported_path(paths.model_path(name, run["seed"])).read_bytes()
        files.write(paths.STUDY / f"{name}.onnx", content)
    listed = [
        {"variant": name, "sha256": run["sha256"], "onnx_sha256": run["onnx_sha256"], **of}
        for name, run in runs.items()
    ]
    files.write_json(paths.LISTED, listed)


def curves(variants: Iterable[str]) -> Iterable[list[Any]]:
    """Every variant's learning curves."""
    for variant in variants:
        yield from ([variant, *line] for line in files.read_csv(paths.curves_path(variant)))


def confusions(logits: dict[str, np.ndarray], labels: np.ndarray, classes: list[str]) -> Iterable[list[Any]]:
    """The confusion matrix on test: the mean over seeds."""
    for variant, runs in logits.items():
        mean = mean_confusion(runs, labels)
        for actual, name in enumerate(classes):
            yield from ([variant, name, classes[guess], f"{mean[actual, guess]:g}"] for guess in range(len(classes)))


def calibrations(logits: dict[str, np.ndarray], labels: np.ndarray) -> Iterable[list[Any]]:
    """Accuracy by confidence on test, over all seeds' answers."""
    for variant, runs in logits.items():
        for count, confidence, accuracy in joint_calibration(runs, labels):
            yield [variant, count, f"{confidence:.6f}", f"{accuracy:.6f}"]


if __name__ == "__main__":
    entry.run(compare)
