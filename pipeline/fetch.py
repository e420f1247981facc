"""fetch: the four IDX files from the nearest source, as one file of arrays."""

import os
from pathlib import Path

from digitline import data, sources
from pipeline.stage import DATASET, Params, run


def fetch(params: Params) -> None:
    """Gets the data set: from the folder in DIGITLINE_DATA, from data/NAME, or from a mirror."""
    folders = [Path("data") / params.dataset]
    if chosen := os.environ.get("DIGITLINE_DATA"):
        folders.insert(0, Path(chosen))
    data.save(sources.fetch(folders, len(params.classes), name=params.dataset, **params.source), DATASET)


if __name__ == "__main__":
    run(fetch)
