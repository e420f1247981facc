"""MLflow as a view of the study; the only wing that imports it."""

from typing import Any


def _load_pyfunc(path: str) -> Any:
    """Loads a model that was logged before the loader had a module of its own: MLflow calls it by this name."""
    from digitline.tracking import loader

    return loader._load_pyfunc(path)
