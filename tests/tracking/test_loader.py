"""A logged model loads with only its requirements, from the code that was logged with it."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import numpy as np
import pytest
from mlflow import pyfunc
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from digitline.tracking import loader, models
from digitline.tracking.store import Store
from tests.served import ROOT
from tests.tracked import Study

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own types, when pyfunc is imported

ALONE = """
import json, sys

blocked = set(json.loads(sys.argv[1]))

class Elsewhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Elsewhere())
"""
PREDICT = """
import numpy as np
from mlflow import pyfunc

model = pyfunc.load_model(sys.argv[2])
print(json.dumps([sys.modules["digitline"].__file__, model.predict(np.load(sys.argv[3])).tolist()]))
"""
IMPORT = """
sys.path.insert(0, sys.argv[2])
import digitline.tracking.loader
"""


@pytest.fixture
def logged(store: Store, study: Study, tmp_path: Path) -> Path:
    """The folder of a logged model."""
    made = models.log(store, study.models[1], "small-seed-1", study.examples, exported=study.exported[1])
    return Path(made.artifact_location)


def closure(names: list[str]) -> set[str]:
    """The distributions that pip installs for these, on this machine."""
    waiting, found = [Requirement(name) for name in names], set[tuple[str, str]]()
    while waiting:
        wanted = waiting.pop()
        for extra in ["", *wanted.extras]:
            one = canonicalize_name(wanted.name), extra
            if one in found:
                continue
            found.add(one)
            try:
                needs = map(Requirement, requires(wanted.name) or [])
            except PackageNotFoundError:  # required only on another platform
                continue
            waiting += [each for each in needs if not each.marker or each.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


@cache
def blocked() -> list[str]:
    """The modules installed here that a logged model's requirements would not install."""
    there = closure(models.NEEDED) | {"digitline"}  # which the model contains itself
    providers = packages_distributions().items()
    return sorted(name for name, of in providers if not {canonicalize_name(one) for one in of} & there)


def alone(code: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in a process that can import only the requirements, and no code of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", "-W", "ignore", "-c", ALONE + code, json.dumps(blocked()), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_requirements_are_pinned_as_the_lock_pins_them(logged: Path) -> None:
    lines = (logged / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in lines] == models.NEEDED
    assert set(lines) <= set((ROOT / "requirements.lock").read_text().splitlines())


def test_modules_outside_the_requirements_are_blocked() -> None:
    assert {"bentoml", "dvc", "onnxruntime", "great_expectations", "torchvision"} <= set(blocked())
    assert not {"mlflow", "numpy", "pandas", "safetensors", "scipy", "sqlalchemy", "torch"} & set(blocked())


@pytest.mark.slow
def test_a_logged_model_needs_only_its_requirements_and_its_own_code(
    logged: Path, study: Study, tmp_path: Path
) -> None:
    """MLflow loads and calls the model in a process that can import neither this checkout nor another package."""
    np.save(tmp_path / "images.npy", study.examples)
    done = alone(PREDICT, str(logged), str(tmp_path / "images.npy"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    file, probabilities = json.loads(done.stdout)
    assert Path(file).is_relative_to(logged / "code")
    np.testing.assert_allclose(probabilities, loader.load(study.models[1]).predict(study.examples), atol=1e-6)


@pytest.mark.slow
def test_an_import_of_another_package_is_detected(logged: Path, tmp_path: Path) -> None:
    """The test above can fail: `import bentoml`, planted in a module that is loaded, raises an error."""
    planted = logged / "code/digitline/base/files.py"
    planted.write_text(f"{planted.read_text()}\nimport bentoml\n")
    done = alone(IMPORT, str(logged / "code"), folder=tmp_path)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'bentoml'" in done.stderr


def test_a_model_that_names_the_former_loader_still_loads(logged: Path, study: Study, tmp_path: Path) -> None:
    former = shutil.copytree(logged, tmp_path / "former")
    text = (former / "MLmodel").read_text()
    assert "loader_module: digitline.tracking.loader\n" in text
    (former / "MLmodel").write_text(text.replace("digitline.tracking.loader\n", "digitline.tracking\n"))
    expected = loader.load(study.models[1]).predict(study.examples)
    np.testing.assert_array_equal(pyfunc.load_model(str(former)).predict(study.examples), expected)
