"""A pipeline that has run once, shared by all tests and pytest workers; a test that changes it uses a copy."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from digitline.data.dataset import Dataset
from tests.checkout import Checkout

Copy = Callable[[], Checkout]


@pytest.fixture(scope="session")
def origin(run_folder: Path, mnist: Dataset) -> Checkout:
    """The committed checkout in which the pipeline has run; read-only."""
    folder = run_folder / "pipeline"
    checkout = Checkout(folder / "origin")
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            checkout.make(mnist)
            checkout.digitline("run")
            checkout.commit()
            (folder / "made").touch()
    return checkout


@pytest.fixture(scope="module")
def copied(origin: Checkout, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Makes copies of it, without MLflow's runs, whose files have absolute paths."""
    made: list[Path] = []

    def copy() -> Checkout:
        folder = tmp_path_factory.mktemp("copy") / "clone"
        leave = shutil.ignore_patterns("mlflow.db*", "mlruns")
        shutil.copytree(origin.folder, folder, symlinks=True, ignore=leave)
        shutil.copytree(origin.home, folder.with_suffix(".bentoml"), ignore=shutil.ignore_patterns("bentos"))
        made.append(folder)
        return Checkout(folder).store(tables)

    yield copy
    for folder in made:
        shutil.rmtree(folder.parent)
