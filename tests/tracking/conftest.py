import shutil
from pathlib import Path

import pytest
import torch

from digitline.data.dataset import Dataset
from digitline.model import checkpoint, networks
from digitline.model.training import fit
from digitline.serving import export
from digitline.tracking.runs import Data, Variant
from digitline.tracking.store import Store, connect
from tests.tracked import NETWORK, RECIPE, Study


@pytest.fixture(scope="session")
def study(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A variant with two trained seeds."""
    folder, curves = tmp_path_factory.mktemp("models"), {}
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = networks.build(**NETWORK)
        curves[seed] = list(fit(model, digits.train, digits.test, seed=seed, **RECIPE))
        checkpoint.save(model, folder / f"seed-{seed}.safetensors", **NETWORK)
        export.write(folder / f"seed-{seed}.safetensors", folder / f"seed-{seed}.onnx")
    data = [Data("training", "mnist", digits.train, "data"), Data("validation", "mnist", digits.test, "data")]
    variant = Variant("small", {"model": NETWORK, **RECIPE}, data)
    paths = {seed: folder / f"seed-{seed}.safetensors" for seed in (1, 2)}
    return Study(variant, paths, curves, digits.test.images[:2])


@pytest.fixture
def folder(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a database without experiments."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_STAGE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "a clone"
    root.mkdir()
    shutil.copy(tables, root / "mlflow.db")
    return root


@pytest.fixture
def store(folder: Path) -> Store:
    return connect(folder, dataset="mnist")
