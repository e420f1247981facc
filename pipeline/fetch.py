"""Gets the four IDX files from the first source that has them and saves them as one file of arrays."""

import os
from pathlib import Path

from digitline.cli import entry
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset, retraining, sources


def fetch(params: Params) -> None:
    """Gets the data set from the folder DIGITLINE_DATA, data/NAME or a mirror, and the corrections if requested."""
    folders = [Path("data") / params.dataset]
    if chosen := os.environ.get("DIGITLINE_DATA"):
        folders.insert(0, Path(chosen))
    data = sources.fetch(folders, len(params.classes), params.image, name=params.dataset, **params.source)
    corrections = retraining.load(paths.FEEDBACK, params.feedback) if params.feedback else None
    dataset.save(data, paths.DATASET, corrections=corrections)


if __name__ == "__main__":
    entry.run(fetch)
