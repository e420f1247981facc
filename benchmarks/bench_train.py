"""Measures the time to 99% on test: this pipeline's training, a usual PyTorch script, and the processor's limit.

Both train in turn on the same cores; evaluation on test between epochs is not timed.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from digitline.base import files
from digitline.compute.machine import processor
from digitline.config import paths
from digitline.data import dataset
from digitline.measure.vision import transforms
from digitline.model import arithmetic, networks
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy
from digitline.model.training import fit

REPEATS, GOAL = 3, 0.99
FOLDER = Path("reports/bench")
NETWORK: dict[str, Any] = {"network": "modern", "widths": [16, 32, 32, 64]}
RECIPE: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 128,
    "optimizer": "SGD",
    "learning_rate": 0.2,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warmup": 0.2,
    "label_smoothing": 0.05,
    "augmentation": {},
    "bfloat16": True,
}
MOST = 10  # epochs of the usual script


class Outcome(NamedTuple):
    seconds: float  # of training, up to the epoch that reaches the goal
    epochs: int
    accuracy: float  # on test, after it


def ours(data: dataset.Dataset, seed: int) -> Outcome:
    """Trains a small network on all training images except 5,000."""
    training, validation = dataset.split(data.train, validation=5000, seed=0)
    torch.manual_seed(seed)
    model = networks.build(classes=10, **NETWORK)
    *_, last = fit(model, training, few(validation), seed=seed, **RECIPE)
    return Outcome(last.seconds, RECIPE["epochs"], accuracy(predict(model, data.test.images), data.test.labels))


def few(part: dataset.Subset) -> dataset.Part:
    """A hundred images, because the evaluation within an epoch should not be timed."""
    return dataset.Part(part.images[:100], part.labels[:100])


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as in torchvision's MNIST: one by one, through PIL."""

    def __init__(self, part: dataset.Part) -> None:
        self.part = part
        change = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        self.transform: Callable[[Image.Image], Tensor] = transforms.Compose(change)

    def __len__(self) -> int:
        return len(self.part.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.part.images[place])), int(self.part.labels[place])


class Usual(nn.Module):
    """Two 3x3 convolutions, one pooling, two fully connected layers: 1.2 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
            *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


def usual(data: dataset.Dataset, seed: int) -> Outcome:
    """Trains like PyTorch's MNIST example: DataLoader, Adadelta, batches of 64; stops at the goal."""
    torch.manual_seed(seed)
    model, seconds = Usual(), 0.0
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
    epochs, reached = 0, 0.0
    training = DataLoader(Pictures(data.train), batch_size=64, shuffle=True)
    test = DataLoader(Pictures(data.test), batch_size=1000)
    while reached < GOAL and epochs < MOST:
        epochs += 1
        began = time.perf_counter()
        model.train()
        for images, labels in training:
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(model(images), labels))
            optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - began
        model.eval()
        with torch.inference_mode():
            right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test)
        reached = right / len(data.test.labels)
    return Outcome(seconds, epochs, reached)


def floor(threads: int, *, side: int = 2048) -> tuple[float, float]:
    """Multiply-adds per second of a matrix product in bfloat16, and the seconds of one run at that speed."""
    times = []
    a, b = torch.randn(side, side).bfloat16(), torch.randn(side, side).bfloat16()
    torch.set_num_threads(threads)
    for _ in range(20):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    rate = side**3 / median(times)
    # A backward pass costs two products per product of the forward pass; the first layer needs no input gradient.
    model = networks.build(classes=10, **NETWORK)
    first = 24 * 24 * 25 * NETWORK["widths"][0]
    needed = 55_000 * RECIPE["epochs"] * (3 * arithmetic.macs(model) - first)
    return rate, needed / rate


def main() -> None:
    """Runs both in turn and writes the results."""
    data = dataset.load(paths.DATASET)
    threads = torch.get_num_threads()
    runs: dict[str, list[Outcome]] = {"usual": [], "ours": []}
    rates = []
    for seed in range(1, REPEATS + 1):
        rates.append(floor(threads))
        for name, train in (("ours", ours), ("usual", usual)):
            runs[name].append(train(data, seed))
            print(f"{name}, seed {seed}: {runs[name][-1].seconds:.1f} s, {runs[name][-1].accuracy:.2%}", flush=True)
    seconds = {name: median(run.seconds for run in found) for name, found in runs.items()}
    reached = {name: fmean(run.accuracy for run in found) for name, found in runs.items()}
    least = median(seconds for _, seconds in rates)
    report = {
        "machine": f"{processor()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}",
        "repeats": REPEATS,
        "runs": {name: [run._asdict() for run in found] for name, found in runs.items()},
        "test_accuracy": reached,
        "seconds": seconds,
        "times_faster": seconds["usual"] / seconds["ours"],
        "multiply_adds_a_second": median(rate for rate, _ in rates),
        "floor_seconds": least,
        "times_the_floor": seconds["ours"] / least,
    }
    files.write_json(FOLDER / "training.json", report)
    faster, above = report["times_faster"], report["times_the_floor"]
    print(f"{seconds['usual']:.1f} s the usual way, {seconds['ours']:.1f} s here: {faster:.1f} times as fast")
    print(f"{above:.1f} times the {least:.1f} s that the multiply-adds alone would take")
    if reached["ours"] < GOAL:
        raise SystemExit(f"error: the mean accuracy is {reached['ours']:.2%}, expected {GOAL:.0%}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")
