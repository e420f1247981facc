"""Trains one variant: a run a seed, each on one thread, side by side on all cores."""

import hashlib
import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from digitline import augmentation, checkpoint, data, evaluation, models, snapshot, training
from digitline.params import choose
from digitline.processes import side_by_side
from digitline.training import Epoch, fit
from pipeline import stage

UNFINISHED = Path("models/unfinished")  # DVC leaves it alone, where it clears a stage's outputs


class Run(NamedTuple):
    seed: int
    model: dict[str, Any]
    recipe: dict[str, Any]
    split: dict[str, Any]
    path: Path
    keep: Path  # the folder of where its training stands


def train(params: stage.Params, variant: str) -> None:
    """Trains every seed of a variant of params.yaml, from where a training that was cut short stood."""
    model, recipe = choose("the variant", variant, params.variants)
    network = {**model, "classes": len(params.classes)}
    keep = UNFINISHED / variant
    runs = [Run(seed, network, recipe, params.split, stage.model_path(variant, seed), keep) for seed in params.seeds]
    records = side_by_side(one, runs, imports=["pipeline.stage"])

    from digitline import tracking  # takes a second: while the processes, which have no use for it, begin

    curves: dict[int, list[Epoch]] = {seed: [] for seed in params.seeds}
    progress = tqdm(total=len(runs) * recipe["epochs"], desc=variant, unit="epoch", mininterval=1)
    with progress, tracking.train(stage.store(params), stage.tracked(params, variant), seeds=params.seeds) as tracked:
        for run, epoch in records:
            if epoch is None:
                tracking.trained(tracked, run.seed, run.path)
                continue
            curves[run.seed].append(epoch)
            tracking.record(tracked, run.seed, epoch)
            progress.set_postfix_str(f"seed {run.seed}: {epoch.val_accuracy:.2%} of validation", refresh=False)
            progress.update()
    lines = [
        [seed, epoch.epoch, *(f"{value:.6f}" for value in epoch[1:-1])]  # not the seconds: no two runs take the same
        for seed, epochs in sorted(curves.items())
        for epoch in epochs
    ]
    stage.write_csv(stage.curves_path(variant), [["seed", *Epoch._fields[:-1]], *lines])
    stage.note_timings(variant, train_seconds={seed: round(epochs[-1].seconds, 1) for seed, epochs in curves.items()})
    shutil.rmtree(keep, ignore_errors=True)


def one(run: Run) -> Iterator[Epoch | None]:
    """Trains one seed, yielding its epochs; then writes its model and yields None."""
    kept, held = data.split(data.load(stage.DATASET).train, **run.split)
    kept = data.joined(kept, data.corrections(stage.DATASET))
    torch.manual_seed(run.seed)
    model = models.build(**run.model)
    yield from fit(model, kept, held, seed=run.seed, keep=run.keep / identity(run), **run.recipe)
    checkpoint.save(model, run.path, **run.model)
    yield None


def identity(run: Run) -> str:
    """The name of a file for all that the run's bits depend on: it is taken up again just where nothing changed."""
    modules = data, models, training, augmentation, evaluation, snapshot
    code = [checkpoint.digest(Path(inspect.getfile(module))) for module in modules]
    means = [torch.__version__, str(training.device()), training.has_bfloat16(), checkpoint.digest(stage.DATASET)]
    content = json.dumps([run.seed, run.model, run.recipe, run.split, code, means])
    return f"{hashlib.sha256(content.encode()).hexdigest()}.safetensors"


if __name__ == "__main__":
    stage.run(train, "variant")
