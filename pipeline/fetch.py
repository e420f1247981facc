"""Gets the data set from the first source that has it and saves it as one file of arrays."""

import os
from collections.abc import Callable
from pathlib import Path

from digitline.cli import entry
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import archives, dataset, retraining, sources

# The kinds of source, each by a key that only it has.
KINDS: dict[str, Callable[..., dataset.Dataset]] = {"files": sources.fetch, "archive": archives.fetch}


def fetch(params: Params) -> None:
    """Gets the data set from the folder DIGITLINE_DATA, data/NAME or a mirror, and the corrections if requested."""
    folders = [Path("data") / params.dataset]
    if chosen := os.environ.get("DIGITLINE_DATA"):
        folders.insert(0, Path(chosen))
    [take] = [take for kind, take in KINDS.items() if kind in params.source]
    data = take(folders, len(params.classes), params.image, name=params.dataset, **params.source)
    corrections = retraining.load(paths.FEEDBACK, params.feedback) if params.feedback else None
    dataset.save(data, paths.DATASET, corrections=corrections)


if __name__ == "__main__":
    entry.run(fetch)
