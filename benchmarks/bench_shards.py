"""Measures a step of one training in two shards on two processes against an unsharded step on one, by turns."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import torch

from digitline.base import files
from digitline.base.slots import cores
from digitline.compute import ranks
from digitline.compute.machine import processor
from digitline.compute.processes import side_by_side
from digitline.config import params, paths
from digitline.data import dataset
from digitline.model import networks, training

SHARDS = 2
BATCHES = (128, 256, 512)
IMAGES = 6_400  # of an epoch, which is one measurement
FILE = paths.REPORTS / "bench/shards.json"


class Job(NamedTuple):
    place: ranks.Rank
    batch: int
    turns: int


def measure(job: Job) -> Iterator[tuple[float, float]]:
    """The milliseconds of a step without shards and with them; of the first process. A first turn is not counted."""
    read = params.read()
    recipe = {**read.variants["modern"].recipe, "epochs": 1, "batch_size": job.batch}
    kept, held, _ = dataset.divide(paths.DATASET, **read.split)
    few, validation = (dataset.Part(part.images[:n], part.labels[:n]) for part, n in ((kept, IMAGES), (held, 100)))
    training.POOL = training.POOL * IMAGES // len(kept.labels)  # the share that each step has of an epoch's drawing

    def seconds(**shared: Any) -> float:
        torch.manual_seed(1)
        model = networks.build(classes=len(read.classes), **read.variants["modern"].model)
        epochs = list(training.fit(model, few, validation, seed=1, **recipe, **shared))
        return epochs[-1].seconds if epochs else 0.0

    with ranks.joined(job.place, {}) as group:
        for turn in range(job.turns + 1):
            alone = 0.0 if job.place.rank else seconds()
            together = seconds(shards=SHARDS, group=group)
            if turn and not job.place.rank:
                yield alone * 1000 / (IMAGES // job.batch), together * 1000 / (IMAGES // job.batch)


def compare(batch: int, turns: int) -> dict[str, Any]:
    """The medians of a batch size, and the range of the ratio of each turn."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(ranks.Rank(rank, SHARDS, f"file://{folder}/meeting"), batch, turns) for rank in range(SHARDS)]
        found = [record for _, record in side_by_side(measure, jobs, team=SHARDS, imports=["torch._dynamo"])]
    ratios = sorted(together / alone for alone, together in found)
    alone, together = (median(each) for each in zip(*found, strict=True))
    return {
        "batch": batch,
        "turns": turns,
        "alone_ms": round(alone, 2),
        "together_ms": round(together, 2),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    """Compares each batch size and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    turns = parser.parse_args().turns
    report: dict[str, Any] = {
        "machine": f"{processor()}, {cores()} cores, torch {torch.__version__}",
        "shards": SHARDS,
        "images": IMAGES,
        "batches": [],
    }
    for batch in BATCHES:
        report["batches"].append(compare(batch, turns))
        print(*(f"{name} {value}" for name, value in report["batches"][-1].items()), flush=True)
    files.write_json(FILE, report)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")
