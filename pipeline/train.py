"""Trains one variant: one run per seed, each on one thread or one per shard, on all cores or on a cluster."""

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import entry
from digitline.compute import machine, ranks
from digitline.compute.jobs import side_by_side
from digitline.compute.processes import alone
from digitline.compute.progress import Progress
from digitline.config import code, paths, times
from digitline.config.keys import choose
from digitline.config.params import Params
from digitline.data import dataset
from digitline.model import checkpoint, networks
from digitline.model.training import Epoch, fit


class Run(NamedTuple):
    seed: int
    model: dict[str, Any]
    recipe: dict[str, Any]
    split: dict[str, Any]
    path: Path
    keep: Path  # the folder of its snapshot
    code: str  # the SHA-256 of the training code
    start: dict[str, Any] | None  # the file of weights to begin with, and its SHA-256
    place: ranks.Rank | None = None  # among the processes that share the training, if several do


def train(params: Params, name: str) -> None:
    """Trains every seed of a variant of params.yaml; resumes an interrupted training."""
    variant = choose("the variant", name, params.variants)
    network = {**variant.model, "classes": len(params.classes), **networks.of_shape(params.image)}
    recipe, keep = fitting(params, name), paths.UNFINISHED / name
    of = code.identity("train")
    runs_of = [
        Run(seed, network, recipe, params.split, paths.model_path(name, seed), keep, of, variant.start)
        for seed in params.seeds
    ]
    if variant.start:
        fresh = begin(networks.build(**network), variant.start)
        print(f"{name} starts from {variant.start['file']}, except {', '.join(fresh) or 'nothing'}")
    if place := ranks.started():
        records = in_turn(runs_of, place)
        if place.rank:
            deque(records, maxlen=0)
            return
    else:
        records = parallel(runs_of)

    from digitline.cli import runs  # MLflow takes a second to import: meanwhile the processes start
    from digitline.tracking import runs as tracking

    curves: dict[int, list[Epoch]] = {seed: [] for seed in params.seeds}
    progress = Progress(name, len(runs_of) * recipe["epochs"], "epoch")
    with progress, tracking.train(runs.store(params), runs.tracked(params, name), seeds=params.seeds) as tracked:
        for run, epoch in records:
            if epoch is None:
                tracking.trained(tracked, run.seed, run.path)
                continue
            curves[run.seed].append(epoch)
            tracking.record(tracked, run.seed, epoch)
            progress.step(f"seed {run.seed}: {epoch.val_accuracy:.2%} of validation")
    lines = [
        [seed, epoch.epoch, *(f"{value:.6f}" for value in epoch[1:-1])]  # without the seconds, which always differ
        for seed, epochs in sorted(curves.items())
        for epoch in epochs
    ]
    files.write_csv(paths.curves_path(name), [["seed", *Epoch._fields[:-1]], *lines])
    times.note(name, train_seconds={seed: round(epochs[-1].seconds, 1) for seed, epochs in curves.items()})
    shutil.rmtree(keep, ignore_errors=True)


def parallel(runs_of: list[Run]) -> Iterator[tuple[Run, Epoch | None]]:
    """The records of all runs; if their batches have shards, several processes share each where there are cores."""
    # The optimiser imports torch._dynamo, which takes a second: once for all processes is enough.
    imports = ["digitline.model.training", "digitline.data.dataset", "torch._dynamo"]
    start = runs_of[0].start
    return side_by_side(
        one,
        runs_of,
        imports=imports,
        shared=[paths.DATASET, *([Path(start["file"])] if start else [])],
        own=lambda run: [snapshot(run)],
        shards=runs_of[0].recipe.get("shards", 1),
        place=lambda run, rank: run._replace(place=rank),
    )


def in_turn(runs_of: list[Run], place: ranks.Rank) -> Iterator[tuple[Run, Epoch | None]]:
    """The records of one run after the other, each of which all processes of torchrun share; of the first one alone."""
    shards = runs_of[0].recipe.get("shards", 1)
    if place.workers > shards:
        raise InputError(
            f"torchrun started {place.workers} processes, expected at most one for each of shards: {shards}"
        )
    alone()
    with ranks.joined(place, {f"the identity of seed {run.seed}": snapshot(run).stem for run in runs_of}) as group:
        for run in runs_of:
            for record in trained(run, group):
                yield run, record


def fitting(params: Params, name: str) -> dict[str, Any]:
    """The recipe of a variant, without outliers where the data set has none, which it prints."""
    recipe = params.variants[name].recipe
    if not recipe.get("outliers") or params.outliers != "none":
        return recipe
    print(f"{name} trains without outliers: datasets.{params.dataset}.outliers is none")
    return {key: value for key, value in recipe.items() if key != "outliers"}


def one(run: Run) -> Iterator[Epoch | None]:
    """Trains one seed; if several processes share it, each calls this with its own place."""
    with ranks.joined(run.place, {"the identity of the training": snapshot(run).stem}) as group:
        yield from trained(run, group)


def trained(run: Run, group: ranks.Group | None) -> Iterator[Epoch | None]:
    """Trains one seed and yields its epochs, then writes its model and yields None; of a group, the first one does."""
    parts = dataset.divide(paths.DATASET, **run.split)
    torch.manual_seed(run.seed)
    model = networks.build(**run.model)
    if run.start:
        begin(model, run.start)
    yield from fit(
        model, parts.training, parts.validation, seed=run.seed, group=group, keep=snapshot(run), **run.recipe
    )
    if not group or not group.rank():
        checkpoint.save(model, run.path, **run.model)
        yield None


def begin(model: nn.Module, start: dict[str, Any]) -> list[str]:
    """Loads the weights to begin with; returns the names of those that stay as drawn."""
    return checkpoint.start(model, Path(start["file"]), start["sha256"])


def snapshot(run: Run) -> Path:
    """The snapshot's path, named by all that the run's bits depend on, so that it is reused only if nothing changed."""
    means = [torch.__version__, machine.kind(), digest(paths.DATASET)]
    content = json.dumps([run.seed, run.model, run.recipe, run.split, run.code, run.start, means])
    return run.keep / f"{hashlib.sha256(content.encode()).hexdigest()}.safetensors"


if __name__ == "__main__":
    entry.run(train, "name", parallel=True)
