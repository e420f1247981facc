"""Tests the champion with pictures like those of users; writes reports/trials.json."""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from digitline.base import files
from digitline.config import paths
from digitline.data import dataset
from digitline.data.dataset import Part
from digitline.measure import trials
from digitline.model import checkpoint, evaluation, scores
from digitline.registry import bento

STRANGERS = 2000  # letters, and as many scribbles


def main() -> None:
    """Tests the champion and prints the results."""
    torch.set_num_threads(1)
    card = bento.verified(paths.CHAMPION)
    model, test = checkpoint.load(paths.CHAMPION / bento.MODEL), dataset.load(paths.DATASET).test
    raw, sheets = trials.parity(model, test)
    small = scikit()
    strangers = {"letters": trials.letter, "scribbles": trials.scribble}
    found = {
        "model": card["sha256"],
        "mnist": {"images": len(test.labels), "raw": raw, "sheets": sheets},
        "corrupted": trials.corrupted(model, test),
        "scikit_learn": {
            "images": len(small.labels),
            "sheets": scores.accuracy(evaluation.predict(model, trials.from_sheets(small.images)), small.labels),
        },
        "doubted": {
            "digits": trials.doubted(model, test.images, card["doubt_above"]),
            **{
                name: trials.doubted(model, trials.made(make, STRANGERS), card["doubt_above"])
                for name, make in strangers.items()
            },
        },
    }
    text = json.dumps(found, indent=2)
    files.write(Path("reports/trials.json"), f"{text}\n".encode())
    print(text)


def scikit() -> Part:
    """scikit-learn's 1,797 digits of 8x8 pixels."""
    bunch = load_digits()
    images: dataset.Bytes = np.minimum(16 * bunch.images, 255).astype(np.uint8)
    return Part(images, bunch.target.astype(np.uint8))


if __name__ == "__main__":
    main()
