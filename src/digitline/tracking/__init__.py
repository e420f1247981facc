"""MLflow as a view of the study; the only wing that imports MLflow."""

from typing import Any


def _load_pyfunc(path: str) -> Any:
    """Loads models that were logged before the loader was a module; MLflow calls it by this name."""
    from digitline.tracking import loader

    return loader._load_pyfunc(path)
