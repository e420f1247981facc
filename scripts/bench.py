"""Training against the field's standard recipe and against the processor: reports/bench/training.json and .md.

Each repeat trains both, one after the other, on the same cores; a test set is scored between epochs, off the clock.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from digitline import data, models
from digitline.evaluation import accuracy, predict
from digitline.processes import ALLOCATOR, cores
from digitline.training import fit
from digitline.vision import v2
from pipeline import stage

REPEATS, GOAL = 3, 0.99
FOLDER = Path("reports/bench")
OURS: dict[str, Any] = {
    "model": {"network": "modern", "widths": [32, 32, 64, 64]},
    "images": 55_000,
    "epochs": 1,
    "recipe": {
        "batch_size": 128,
        "optimizer": "SGD",
        "learning_rate": 0.2,
        "momentum": 0.9,
        "weight_decay": 0.0005,
        "warmup": 0.2,
        "label_smoothing": 0.05,
        "augmentation": {},
        "bfloat16": True,
    },
}
