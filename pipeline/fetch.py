"""Gets the data set from the first source that has it, or from its pictures, and saves it as one file of arrays."""

import os
from pathlib import Path

from digitline.cli import entry
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import archives, dataset, pictures, retraining, sources


def fetch(params: Params) -> None:
    """Gets the data set from the folder DIGITLINE_DATA, data/NAME or a mirror, and the corrections if requested."""
    corrections = retraining.load(paths.FEEDBACK, params.feedback) if params.feedback else None
    chosen = os.environ.get("DIGITLINE_DATA")
    if "manifest" in params.source:
        given = {"folder": chosen, "decoded": paths.ADOPTED, "name": params.dataset, **params.source}
        pictures.fetch(paths.DATASET, params.classes, params.image, params.preparation, **given)
        if corrections:
            pictures.with_corrections(paths.DATASET, corrections)
        return
    folders = [*([Path(chosen)] if chosen else []), Path("data") / params.dataset]
    take = archives.fetch if "archive" in params.source else sources.fetch
    data = take(folders, len(params.classes), params.image, name=params.dataset, **params.source)
    dataset.save(data, paths.DATASET, corrections=corrections)


if __name__ == "__main__":
    entry.run(fetch, parallel=True)
