"""What the tests of tracking share: a trained variant with two seeds, and its log in MLflow."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mlflow.entities import Run

from digitline.base.digest import digest
from digitline.model.training import Epoch
from digitline.tracking import models, runs
from digitline.tracking.runs import Variant
from digitline.tracking.store import Store, search

NETWORK: dict[str, Any] = {"network": "plain", "classes": 10, "filters": [], "hidden": 10}
RECIPE: dict[str, Any] = {
    "epochs": 2,
    "optimizer": "SGD",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "batch_size": 100,
    "warmup": 0.2,
    "label_smoothing": 0.0,
    "augmentation": {},
    "bfloat16": False,
}
METRICS = {seed: {"val_accuracy": 0.9 + seed / 100, "test_accuracy": 0.8, "test_nll": 0.5} for seed in (1, 2)}
CARD = {"variant": "small", "classes": ["null", "één"]}


class Study(NamedTuple):
    variant: Variant
    models: dict[int, Path]
    curves: dict[int, list[Epoch]]
    examples: np.ndarray

    @property
    def exported(self) -> dict[int, Path]:
        return {seed: path.with_suffix(".onnx") for seed, path in self.models.items()}


def train(store: Store, study: Study) -> None:
    with runs.train(store, study.variant, seeds=list(study.models)) as begun:
        for seed, path in study.models.items():
            for epoch in study.curves[seed]:
                runs.record(begun, seed, epoch)
            runs.trained(begun, seed, path)


def evaluate(store: Store, study: Study, metrics: dict[int, dict[str, float]] = METRICS, **options: Any) -> None:
    runs.evaluate(
        store,
        study.variant,
        models=study.models,
        exported=study.exported,
        curves=study.curves,
        metrics=metrics,
        examples=study.examples,
        **options,
    )


def promote(store: Store, study: Study, seed: int) -> str:
    """The number of the version."""
    path, exported = study.models[seed], study.exported[seed]
    card, examples = CARD | {"seed": seed, "onnx_sha256": digest(exported)}, lambda: study.examples
    found = models.register(store, path, card, exported=exported, description="good", examples=examples)
    models.promote(store, digest(path))
    return found["mlflow_version"]


def runs_of(store: Store) -> dict[str, Run]:
    found = search(store, "")
    named = {str(run.info.run_name): run for run in found}
    assert len(named) == len(found)
    return named
