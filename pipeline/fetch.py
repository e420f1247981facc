"""fetch: the four IDX files from the nearest source, as one file of arrays."""

import os
from pathlib import Path

from digitline import data, retraining, sources
from pipeline.stage import DATASET, FEEDBACK, Params, run


def fetch(params: Params) -> None:
    """Gets the data set, from the folder in DIGITLINE_DATA, data/NAME or a mirror, and corrections where wanted."""
    folders = [Path("data") / params.dataset]
    if chosen := os.environ.get("DIGITLINE_DATA"):
        folders.insert(0, Path(chosen))
    dataset = sources.fetch(folders, len(params.classes), name=params.dataset, **params.source)
    corrections = retraining.load(FEEDBACK, params.feedback) if params.feedback else None
    data.save(dataset, DATASET, corrections=corrections)


if __name__ == "__main__":
    run(fetch)
