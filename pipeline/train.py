"""Trains one variant: a run a seed, each on one thread, side by side on all cores."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from digitline import checkpoint, data, models
from digitline.params import choose
from digitline.processes import cores, side_by_side
from digitline.training import Epoch, fit
from pipeline import stage


class Run(NamedTuple):
    seed: int
    model: dict[str, Any]
    recipe: dict[str, Any]
    split: dict[str, Any]
    path: Path


class Record(NamedTuple):
    epoch: Epoch
    seconds: float  # of training so far


def train(params: stage.Params, variant: str) -> None:
    """Trains every seed of a variant of params.yaml."""
    model, recipe = choose("the variant", variant, params.variants)
    network = {**model, "classes": len(params.classes)}
    runs = [Run(seed, network, recipe, params.split, stage.model_path(variant, seed)) for seed in params.seeds]
    records = side_by_side(one, runs, processes=cores(), imports=["pipeline.stage"])

    from digitline import tracking  # takes a second: while the processes, which have no use for it, begin

    curves: list[tuple[int, Epoch]] = []
    seconds: dict[int, float] = {}
    progress = tqdm(total=len(runs) * recipe["epochs"], desc=variant, unit="epoch", mininterval=1)
    with progress, tracking.train(stage.store(params), stage.tracked(params, variant), seeds=params.seeds) as tracked:
        for run, record in records:
            if record is None:
                tracking.trained(tracked, run.seed, run.path)
                continue
            epoch, seconds[run.seed] = record
            curves.append((run.seed, epoch))
            tracking.record(tracked, run.seed, epoch)
            progress.set_postfix_str(f"seed {run.seed}: {epoch.val_accuracy:.2%} of validation", refresh=False)
            progress.update()
    lines = [[seed, epoch.epoch, *(f"{value:.6f}" for value in epoch[1:])] for seed, epoch in sorted(curves)]
    stage.write_csv(stage.curves_path(variant), [["seed", *Epoch._fields], *lines])
    stage.note_timings(variant, train_seconds={seed: round(seconds[seed], 1) for seed in params.seeds})


def one(run: Run) -> Iterator[Record | None]:
    """Trains one seed, yielding its epochs; then writes its model and yields None."""
    training, validation = data.split(data.load(stage.DATASET).train, **run.split)
    torch.manual_seed(run.seed)
    model = models.build(**run.model)
    began = time.perf_counter()
    for epoch in fit(model, training, validation, seed=run.seed, **run.recipe):
        yield Record(epoch, time.perf_counter() - began)
    checkpoint.save(model, run.path, **run.model)
    yield None


if __name__ == "__main__":
    stage.run(train, "variant")
