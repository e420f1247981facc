"""Evaluates one row: every run's logits on validation and test, and their measures; exports its models as ONNX."""

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from safetensors.numpy import save
from scipy.special import softmax
from torch import nn

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.slots import Pool, core
from digitline.cli import entry
from digitline.config import paths, times
from digitline.config.keys import choose
from digitline.config.params import Params
from digitline.data import dataset
from digitline.data.dataset import Bytes
from digitline.measure import classes, leaderboard, novelties, robustness, uncertainty
from digitline.measure.calibration import confusion
from digitline.measure.rows import Row, Run
from digitline.model import arithmetic, checkpoint
from digitline.model.evaluation import latency, predict
from digitline.model.scores import exact
from digitline.serving import export


class Outcome(NamedTuple):
    """A run's model and its outputs."""

    seed: int
    path: Path
    model: nn.Module
    val: np.ndarray  # logits [validation images, classes]
    test: np.ndarray  # logits [test images, classes]
    robustness: list[tuple[str, float, float]]  # family, level, accuracy
    unseen: dict[str, np.ndarray]  # logits of images of no class, by kind


def evaluate(params: Params, name: str) -> None:
    """Evaluates every seed of a variant of params.yaml, or their vote as one model."""
    choose("the variant", name, dict.fromkeys(params.rows))
    files_of = paths.model_paths(params, name)
    if name in params.votes:
        checkpoint.vote(list(paths.model_paths(params, params.votes[name]).values()), files_of[0])
    _, validation, test_part = dataset.divide(paths.DATASET, **params.split)
    with core():
        networks = [checkpoint.load(path) for path in files_of.values()]
        others = novelties.drawn(params.image) if params.outliers == "drawn" else {}
    with Pool() as pool:  # torch releases the interpreter's lock
        changes = pool.submit(robustness.changes, test_part, **params.robustness)
        val = [pool.submit(predict, each, validation.images) for each in networks]
        test = [pool.submit(predict, each, test_part.images) for each in networks]
        strange = [{kind: pool.submit(predict, each, others[kind]) for kind in others} for each in networks]

        from digitline.cli import runs  # MLflow takes a second to import: meanwhile the models predict

        changed = [pool.submit(robustness.accuracies, each, changes.result()) for each in networks]
    outcomes = [
        Outcome(seed, path, network, v.result(), t.result(), c.result(), {kind: u.result() for kind, u in of.items()})
        for (seed, path), network, v, t, c, of in zip(
            files_of.items(), networks, val, test, changed, strange, strict=True
        )
    ]

    write_exported(outcomes, test_part.images)
    with core():
        row = rate(params, name, outcomes, validation.labels, test_part.labels)
        logits = {part: np.stack([getattr(outcome, part) for outcome in outcomes]) for part in ("val", "test")}
        robust = robustness.means([outcome.robustness for outcome in outcomes])
        files.write(paths.predictions_path(name), save(logits))
        files.write_json(paths.row_path(name), row)
        files.write_json(Path(f"reports/metrics/{name}.json"), leaderboard.metrics(row))
        files.write_csv(paths.robustness_path(name), [["family", "level", "accuracy"], *robust])
        times.note(name, latency_ms=round(latency(networks[0]), 3))
        runs.log(params, runs.store(params), name)


def write_exported(outcomes: list[Outcome], images: Bytes) -> None:
    """Writes each run's model as ONNX; InputError if it does not answer the test images as the model did."""
    with core():
        for each in outcomes:
            export.write(each.path, paths.exported_path(each.path))
    with Pool() as pool:
        list(pool.map(lambda each: export.check(paths.exported_path(each.path), images, each.test), outcomes))


def rate(params: Params, name: str, outcomes: list[Outcome], labels: Bytes, test_labels: Bytes) -> Row:
    """The row of the leaderboard: each run's model and measures, and the cost of one model."""
    vote = name in params.votes
    counts = {
        "val": np.stack([confusion(outcome.val, labels) for outcome in outcomes]),
        "test": np.stack([confusion(outcome.test, test_labels) for outcome in outcomes]),
    }
    runs = [
        {"seed": seed, "sha256": digest(path), "onnx_sha256": digest(paths.exported_path(path))}
        | ({"members": params.seeds} if vote else {})
        | leaderboard.measures(val, labels, test, test_labels)
        | {"test_corrupted": robustness.corrupted(changed)}
        | uncertainty.measures(
            softmax(exact(val), 1),
            softmax(exact(test), 1),
            {kind: softmax(exact(logits), 1) for kind, logits in strange.items()},
        )
        | classes.of_run("val", counts["val"][place])
        | classes.of_run("test", counts["test"][place])
        for place, (seed, path, _, val, test, changed, strange) in enumerate(outcomes)
    ]
    _, path, model, *_ = outcomes[0]
    row = leaderboard.row(
        name,
        cast("list[Run]", runs),
        images=len(test_labels),
        parameters=arithmetic.parameters(model),
        macs=arithmetic.macs(model),
        bytes=path.stat().st_size,
    )
    per_class = [classes.of_row(split, matrices, params.classes) for split, matrices in counts.items()]
    return cast("Row", {**row, **per_class[0], **per_class[1]})


if __name__ == "__main__":
    entry.run(evaluate, "name", parallel=True)
