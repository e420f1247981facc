"""MLflow runs: one per variant with a child per seed, found by the content of their models."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gethostname
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, Run, ViewType
from psutil import pid_exists

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.dataset import Bytes, Part, Subset, chunks
from digitline.tracking import models as logged_models
from digitline.tracking.failures import answering
from digitline.tracking.store import Store, alone, optional, search

if TYPE_CHECKING:  # it imports PyTorch, which looking up a run does not need
    from digitline.model.training import Epoch

CLASSES = "per_class_metrics.csv"  # as MLflow's own evaluation of a classifier names it
EVALUATION = "evaluation"  # the tag of a variant's run whose evaluation was logged completely: its SHA-256
MEASURED_ON = {"val": "validation", "test": "test"}  # by the prefix of a metric's name


class Data(NamedTuple):
    context: str  # training, validation or test
    name: str
    part: Part | Subset
    source: str  # the file of the arrays


class Variant(NamedTuple):
    name: str
    params: Mapping[str, Any]  # keys may be nested
    data: Sequence[Data]


class Runs(NamedTuple):
    """The runs of a variant that is training."""

    store: Store
    ids: list[str]  # the variant's own run first, then those of the seeds
    children: dict[int, str]  # run ids by seed
    curves: dict[int, list[Epoch]]
    digests: dict[int, str]  # of the finished models
    what: str  # in warnings


@contextmanager
def train(store: Store, variant: Variant, *, seeds: Sequence[int]) -> Iterator[Runs]:
    """Opens a run for the variant and a child run for each seed, to be filled by `record` and `trained`.

    They end as FINISHED, after Ctrl-C as KILLED, after any other exception as FAILED. A training that gives the same
    models as an earlier one keeps that one's runs and deletes its own. A failure of MLflow does not end a training: it
    is a warning, nothing more is logged, and runs that are logged in part are deleted.
    """
    runs = opened(store, variant, seeds)
    try:
        with optional(store, runs.what):
            begin(runs, variant)
        yield runs
        with optional(store, runs.what):
            finish(runs)
    except BaseException as error:
        with suppress(InputError), answering():
            for run in runs.ids:
                store.client.set_terminated(run, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    if store.failed:
        withdraw(runs)


def opened(store: Store, variant: Variant, seeds: Iterable[int]) -> Runs:
    """The runs of a training before it begins."""
    return Runs(store, [], {}, {seed: [] for seed in seeds}, {}, f"the training of {variant.name}")


def withdraw(runs: Runs) -> None:
    """Deletes runs that are logged in part; if even that fails, `end_killed` ends them later."""
    with suppress(InputError), answering():
        for run in runs.ids:
            runs.store.opened.client.delete_run(run)


@answering()
def begin(runs: Runs, variant: Variant) -> None:
    """Creates the runs, the last seed's first, because MLflow lists the newest on top."""
    client, experiment = runs.store.client, runs.store.experiment
    end_killed(runs.store)
    inputs = [lineage(data) for data in variant.data]
    common = runs.store.tags | {
        "variant": variant.name,
        "process": f"{gethostname()}:{os.getpid()}",
    }

    def create(name: str, params: Mapping[str, Any], tags: dict[str, str]) -> str:
        run = client.create_run(experiment, run_name=name, tags=common | tags)
        runs.ids.append(run.info.run_id)
        client.log_batch(runs.ids[-1], params=[Param(key, str(value)) for key, value in flat(params).items()])
        client.log_inputs(runs.ids[-1], inputs)
        return runs.ids[-1]

    with alone(runs.store):
        parent = create(variant.name, {**variant.params, "seeds": list(runs.curves)}, {"level": "variant"})
        for seed in reversed(runs.curves):
            tags = {"level": "seed", "mlflow.parentRunId": parent}
            runs.children[seed] = create(f"{variant.name} · seed {seed}", {**variant.params, "seed": seed}, tags)


def end_killed(store: Store) -> None:
    """Ends the runs whose process on this machine was killed and could not end them itself."""
    for run in search(store, "attributes.status = 'RUNNING'"):
        host, _, process = run.data.tags.get("process", "").rpartition(":")
        if host == gethostname() and not pid_exists(int(process)):
            store.client.set_terminated(run.info.run_id, "KILLED")


def record(runs: Runs, seed: int, epoch: Epoch) -> None:
    """Logs an epoch of a seed's run, as a stage does."""
    with optional(runs.store, runs.what):
        reached(runs, seed, epoch)


@answering()
def reached(runs: Runs, seed: int, epoch: Epoch) -> None:
    """Logs an epoch of a seed's run."""
    runs.curves[seed].append(epoch)
    runs.store.client.log_batch(runs.children[seed], points(epoch))


def trained(runs: Runs, seed: int, model: Path) -> None:
    """Ends the run of a seed after its model is written, as a stage does."""
    with optional(runs.store, runs.what):
        ended(runs, seed, model)


@answering()
def ended(runs: Runs, seed: int, model: Path) -> None:
    """Ends the run of a seed after its model is written."""
    runs.digests[seed] = digest(model)
    runs.store.client.set_tag(runs.children[seed], "sha256", runs.digests[seed])
    runs.store.client.set_terminated(runs.children[seed])


@answering()
def finish(runs: Runs) -> None:
    """Ends the variant's run with its seeds' mean curve, or deletes all runs if the store already has these models."""
    client, content = runs.store.client, family(runs.digests.values())
    with alone(runs.store):
        if find(runs.store, content):
            for run in runs.ids:
                client.delete_run(run)
            return
        for epochs in zip(*runs.curves.values(), strict=True):
            number, *measures = zip(*epochs, strict=True)
            client.log_batch(runs.ids[0], points(epochs[0]._make([number[0], *map(fmean, measures)])))
        client.set_tag(runs.ids[0], "sha256", content)
        client.set_terminated(runs.ids[0])


@answering()
def evaluate(
    store: Store,
    variant: Variant,
    *,
    models: Mapping[int, Path],
    exported: Mapping[int, Path],
    curves: Mapping[int, Sequence[Epoch]],
    metrics: Mapping[int, Mapping[str, float]],
    robustness: Sequence[tuple[str, float, float]] = (),
    classes: Mapping[int | None, str] | None = None,
    examples: Bytes,
    content: str = "",
) -> None:
    """Logs each seed's metrics and model, and their means, to the runs that trained these models.

    `classes` are the measures per class as CSV, by seed, and those of the variant under None.
    Runs that the store does not have are made from `curves`. `examples`, a few images, are the models'
    input example. `content`, the SHA-256 of the evaluation, is logged last, for `knows`.
    """
    with alone(store):
        parent = find(store, family(map(digest, models.values()))) or train_again(store, variant, models, curves)
        rate(
            store,
            parent,
            variant,
            models=models,
            exported=exported,
            metrics=metrics,
            classes=classes or {},
            examples=examples,
        )
        carry(store, parent, robustness)
        store.client.set_tag(parent.info.run_id, "mlflow.note.content", note(metrics))
        store.client.set_tag(parent.info.run_id, EVALUATION, content)


def rate(
    store: Store,
    parent: Run,
    variant: Variant,
    *,
    models: Mapping[int, Path],
    exported: Mapping[int, Path],
    metrics: Mapping[int, Mapping[str, float]],
    classes: Mapping[int | None, str],
    examples: Bytes,
) -> None:
    """Logs each seed's metrics and model to its run, and the means to the variant's."""
    digests = {seed: digest(path) for seed, path in models.items()}
    children = search(store, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    runs = {run.data.tags["sha256"]: run for run in children}
    inputs = {data.context: lineage(data) for data in variant.data}
    for seed, path in models.items():
        if digests[seed] not in runs:
            continue  # the user deleted it in MLflow, so it stays deleted
        run = runs[digests[seed]]
        model = logged_models.log(store, path, f"{variant.name}-seed-{seed}", examples, run, exported=exported[seed])
        if model.model_id not in outputs(run):
            store.client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
        score(store, run, metrics[seed], inputs, model.model_id)
        if classes:
            store.client.log_text(run.info.run_id, classes[seed], CLASSES)
    score(store, parent, means(metrics.values()), inputs)
    if classes:
        store.client.log_text(parent.info.run_id, classes[None], CLASSES)


def illustrate(store: Store, models: Iterable[Path], folder: Path, name: str) -> None:
    """Logs the folder's files to the run that trained these models, as a stage does."""
    with optional(store, f"the figures in {folder.parent}"):
        attach(store, models, folder, name)


@answering()
def attach(store: Store, models: Iterable[Path], folder: Path, name: str) -> None:
    """Logs the folder's files to the run that trained these models, unless it was deleted in MLflow."""
    if parent := find(store, family(map(digest, models))):
        store.client.log_artifacts(parent.info.run_id, str(folder), name)


@answering()
def draw(store: Store, models: Iterable[Path], figures: Sequence[Path], colour: str) -> None:
    """Logs the figures to the run that trained these models; sets the colour of that run and its seeds' runs."""
    if parent := find(store, family(map(digest, models))):
        for figure in figures:
            store.client.log_artifact(parent.info.run_id, str(figure), f"figures/{figure.parent.name}")
        for run in (parent, *search(store, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")):
            store.client.set_tag(run.info.run_id, "mlflow.runColor", colour)  # MLflow has no public call for this


def train_again(
    store: Store, variant: Variant, models: Mapping[int, Path], curves: Mapping[int, Sequence[Epoch]]
) -> Run:
    """Logs a training after the fact; returns the variant's run."""
    runs = opened(store, variant, models)
    try:
        begin(runs, variant)
        for seed, path in models.items():
            for epoch in curves[seed]:
                reached(runs, seed, epoch)
            ended(runs, seed, path)
        finish(runs)
    except BaseException:
        withdraw(runs)
        raise
    return store.client.get_run(runs.ids[0])


def score(
    store: Store,
    run: Run,
    metrics: Mapping[str, float],
    inputs: Mapping[str, DatasetInput],
    model_id: str | None = None,
) -> None:
    """Logs new or changed metrics, each with its data set and model."""
    now = int(time.time() * 1000)

    def point(key: str, value: float) -> Metric:
        measured = inputs.get(MEASURED_ON.get(key.partition("_")[0], ""))
        on = {"dataset_name": measured.dataset.name, "dataset_digest": measured.dataset.digest} if measured else {}
        return Metric(key, value, now, 0, model_id, **on)

    # Bars of accuracies all look alike; bars of errors show the differences.
    errors = {
        f"{key.removesuffix('accuracy')}error_percent": 100 - 100 * metrics[key]
        for key in metrics
        if key.endswith("_accuracy")
    }
    rounded = {key: round(value, 6) for key, value in {**metrics, **errors}.items()}
    changed = [point(key, value) for key, value in rounded.items() if run.data.metrics.get(key) != value]
    store.client.log_batch(run.info.run_id, changed)
    store.client.log_inputs(run.info.run_id, list(inputs.values()))


def carry(store: Store, run: Run, robustness: Sequence[tuple[str, float, float]]) -> None:
    """Logs accuracies by (family, level) as curves unless they exist; MLflow's steps are hundredths of a level."""
    now = int(time.time() * 1000)
    points = [Metric(f"robustness/{family}", value, now, round(100 * level)) for family, level, value in robustness]
    last = {point.key: point.value for point in points}
    store.client.log_batch(run.info.run_id, [p for p in points if run.data.metrics.get(p.key) != last[p.key]])


def find(store: Store, content: str) -> Run | None:
    """The newest finished run with that SHA-256."""
    return next(iter(search(store, f"tags.sha256 = '{content}' and attributes.status = 'FINISHED'")), None)


@answering()
def knows(store: Store, digests: Iterable[str], content: str = "") -> bool:
    """Whether the store has that evaluation of a variant with these models, and its models with their files.

    It also knows one that a user deleted.
    """
    variant = family(digests)
    if not (parent := find(store, variant)):
        condition = f"tags.sha256 = '{variant}' and tags.level = 'variant'"
        return any("val_accuracy" in run.data.metrics for run in search(store, condition, ViewType.DELETED_ONLY))
    children = search(store, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    models = [run.data.tags["sha256"] for run in children]
    return parent.data.tags.get(EVALUATION) == content and all(logged_models.logged(store, one) for one in models)


@answering()
def shows(store: Store, models: Iterable[Path], figures: Mapping[str, Iterable[Path]]) -> bool:
    """Whether the run of these models has these figures, by their folders in MLflow, or was deleted there."""
    if not (parent := find(store, family(map(digest, models)))):
        return True
    for folder, paths in figures.items():
        there = {file.path: file.file_size for file in store.client.list_artifacts(parent.info.run_id, folder)}
        if any(there.get(f"{folder}/{path.name}") != path.stat().st_size for path in paths):
            return False
    return True


def outputs(run: Run) -> list[str]:
    """The ids of the models that the run logged."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def family(digests: Iterable[str]) -> str:
    """The identity of a variant's run: one SHA-256 of its seeds' models."""
    return hashlib.sha256(" ".join(sorted(digests)).encode()).hexdigest()


def lineage(data: Data) -> DatasetInput:
    """A part of the data set, identified by the first half of its SHA-256, the most that MLflow stores."""
    hashed = hashlib.sha256()
    for images in chunks(data.part.images):
        hashed.update(images.tobytes())
    hashed.update(data.part.labels.tobytes())
    content = hashed.hexdigest()
    profile = json.dumps({"images": len(data.part.labels), "sha256": content})
    dataset = Dataset(data.name, content[:32], "local", json.dumps({"uri": data.source}), profile=profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])


def points(epoch: Epoch) -> list[Metric]:
    """An epoch as metrics of the learning curves; their prefix makes them a section in MLflow's charts."""
    now = int(time.time() * 1000)
    values = {key: value for key, value in epoch._asdict().items() if key not in ("epoch", "seconds")}
    return [Metric(f"epoch/{key}", value, now, epoch.epoch) for key, value in values.items()]


def means(metrics: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over the seeds."""
    rows = list(metrics)
    return {key: fmean(row[key] for row in rows) for key in rows[0]}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested keys, joined by dots."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return leaves


def note(metrics: Mapping[int, Mapping[str, float]]) -> str:
    """The seeds' metrics as a Markdown table, followed by their means."""
    mean = means(metrics.values())
    columns = list(mean)
    rows = [*metrics.items(), ("mean", mean)]
    lines = [f"| seed | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {seed} | {' | '.join(f'{row[key]:.4f}' for key in columns)} |" for seed, row in rows]
    return "\n".join(lines)
