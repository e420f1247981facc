"""Measures how long the preparation of a picture takes, on one thread and without the model."""

import os
import time
from statistics import mean, median

import numpy as np
import torch

from benchmarks.bench_train import FOLDER
from digitline.base import files
from digitline.compute.machine import processor
from digitline.config import paths
from digitline.data import dataset, prepare
from digitline.data.entry import MNIST
from digitline.measure import photographs, scenes, sheets, trials

EACH = 20  # pictures of a kind
KINDS = {**sheets.makers(), **{name: photographs.without(make) for name, make in scenes.SCENES.items()}}
CAMERA = (4000, 3000)  # pixels of a telephone's photograph


def main() -> None:
    """Prepares pictures of each kind, as PNG, and a photograph, as JPEG; writes the milliseconds."""
    torch.set_num_threads(1)
    digits = dataset.load(paths.DATASET).test.images[:EACH].copy()
    found = {}
    for name, make in KINDS.items():
        sent = [trials.encoded(make(digit, np.random.default_rng(seed)), "PNG") for seed, digit in enumerate(digits)]
        spent = [took(data) for data in sent]
        found[name] = {"mean_ms": mean(spent), "slowest_ms": max(spent)}
        print(f"{name}: {found[name]['mean_ms']:.0f} ms", flush=True)
    sheet = sheets.makers()["pencil, squared"](digits[0], np.random.default_rng(0))
    photograph = trials.encoded(sheet.convert("RGB").resize(CAMERA), "JPEG")
    machine = f"{processor()}, {os.cpu_count()} cores"
    report = {"machine": machine, "each": EACH, "kinds": found, "paper": list(sheets.makers())}
    report["photograph_ms"] = median(took(photograph) for _ in range(EACH))
    files.write_json(FOLDER / "pictures.json", report)


def took(data: bytes) -> float:
    """Milliseconds to decode and prepare a picture's file."""
    began = time.perf_counter()
    prepare.seen(data, MNIST, "mnist")
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
