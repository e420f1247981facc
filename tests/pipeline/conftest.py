"""A pipeline that has run once, shared by all tests and all of pytest's workers; a test takes a copy of its own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from digitline.data.dataset import Dataset
from tests.checkout import Checkout

Copy = Callable[[], Checkout]


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory, mnist: Dataset) -> Checkout:
    """The checkout that has run, committed; for looking only."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if shared.name.startswith("popen-") else shared  # pytest-xdist gives each worker a folder
    checkout = Checkout(shared / "pipeline" / "origin")
    with FileLock(shared / "pipeline.lock"):
        if not (shared / "pipeline" / "made").exists():
            shutil.rmtree(shared / "pipeline", ignore_errors=True)
            checkout.make(mnist)
            checkout.repro()
            checkout.commit()
            (shared / "pipeline" / "made").touch()
    return checkout


@pytest.fixture(scope="module")
def copied(origin: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Copies of it, without MLflow's runs, whose files are where they were made."""
    made: list[Path] = []

    def copy() -> Checkout:
        folder = tmp_path_factory.mktemp("copy") / "clone"
        leave = shutil.ignore_patterns("mlflow.db*", "mlruns")
        shutil.copytree(origin.folder, folder, symlinks=True, ignore=leave)
        shutil.copytree(origin.home, folder.with_suffix(".bentoml"), ignore=shutil.ignore_patterns("bentos"))
        made.append(folder)
        return Checkout(folder)

    yield copy
    for folder in made:
        shutil.rmtree(folder.parent)
