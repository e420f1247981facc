"""A checkout of its own with a small data set and two small variants, driven by the real dvc."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from digitline.data.dataset import Dataset, Part
from tests import example, warm

HERE = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
OF_THE_STUDY = ("data/mnist/", "reports/", "dvc.lock", "promotions.jsonl", "models/")
NEEDED = ("reports/record/", "reports/ablation/", "reports/bench/", "reports/timings.json")  # by commands and tests
NAMES = ["train-images", "train-labels", "t10k-images", "t10k-labels"]
SUBSET = {"train": 1000, "test": 300}
YAML_FILE = YAML()
# Of this process: a user has none of these, and lets Python compile beside the modules.
LEFT_OUT = ["MLFLOW_TRACKING_URI", "DIGITLINE_DATA", "DVC_EXP_NAME", "PYTHONPATH", "PYTHONWARNINGS"]
LEFT_OUT += ["PYTHONDONTWRITEBYTECODE"]
COMMIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qam", "as it is"]


def surroundings(**environment: str) -> dict[str, str]:
    """The environment of a user of the checkout."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for name in LEFT_OUT:
        env.pop(name, None)
    return env | environment


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = surroundings(**environment)
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def idx(array: Any) -> bytes:
    header = bytes([0, 0, 8 if array.itemsize == 1 else 12, array.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in array.shape
    )
    return header + bytes(array.tobytes())


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    tree = YAML_FILE.load(folder / "params.yaml")
    change(tree)
    YAML_FILE.dump(tree, folder / "params.yaml")


class Checkout:
    """The files of this one as they are, without what a run left, as a repository of its own."""

    def __init__(self, folder: Path, *, cold: bool = False) -> None:
        self.folder = folder
        self.home = folder.with_suffix(".bentoml")
        self.cold = cold  # each command starts as a user's does

    def make(self, mnist: Dataset) -> "Checkout":
        """Fills the folder and commits."""
        names = command("git", "ls-files", "-co", "--exclude-standard", cwd=HERE).stdout.split("\n")
        for name in names:
            wanted = not name.startswith(OF_THE_STUDY) or name.startswith(NEEDED)
            if name and wanted and (HERE / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(HERE / name, self.folder / name)
        (self.folder / "params.yaml").write_text(example.ALONE)  # DVC reads all of the file for each stage
        files = self.files(mnist)
        edit(self.folder, lambda tree: small(tree, files))
        for words in (["git", "init", "-q"], ["git", "add", "-A"], COMMIT):
            assert command(*words, cwd=self.folder).returncode == 0
        return self

    def files(self, mnist: Dataset) -> dict[str, str]:
        parts = [Part(part.images[:n], part.labels[:n]) for part, n in zip(mnist, SUBSET.values(), strict=True)]
        arrays = dict(zip(NAMES, (array for part in parts for array in part), strict=True))
        (self.folder / "data/few").mkdir(parents=True)
        for name, array in arrays.items():
            (self.folder / f"data/few/{name}.gz").write_bytes(gzip.compress(idx(array)))
        return {name: hashlib.sha256(idx(array)).hexdigest() for name, array in arrays.items()}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command in the checkout."""
        own = {} if self.cold else {"PATH": f"{warm.folder()}:{BIN}:{os.environ['PATH']}"}
        return command(*words, cwd=self.folder, BENTOML_HOME=str(self.home), **own, **environment)

    def repro(self, *words: str, **environment: str) -> list[str]:
        """Runs dvc repro, which must come to its end; returns the stages that ran."""
        done = self.run("dvc", "repro", *words, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return ran(done)

    def digitline(self, *words: str, status: int = 0, **environment: str) -> str:
        """What the command prints, errors included."""
        done = self.run("digitline", *words, **environment)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def commit(self) -> None:
        assert self.run("git", "add", "-A").returncode == 0
        done = self.run(*COMMIT, "--allow-empty")
        assert done.returncode == 0, done.stderr

    def store(self, tables: Path) -> "Checkout":
        """Gives it MLflow's database without runs, which takes seconds to create."""
        shutil.copy(tables, self.folder / "mlflow.db")
        return self

    def champion(self) -> str:
        return str(self.json("models/champion/model.json")["sha256"])

    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "promotions.jsonl").read_text().splitlines()]


def small(tree: Any, files: dict[str, str]) -> None:
    tree["dataset"] = "few"
    of = {key: tree["datasets"]["mnist"][key] for key in ("classes", "image", "preparation", "outliers")}
    bounds = {"images": SUBSET}
    tree["datasets"]["few"] = {**of, "source": {"files": files, "mirrors": []}, "bounds": bounds}
    tree["seeds"][:] = [1, 2]  # in place, as the file is written
    tree["split"]["validation"] = 200
    tree["variants"] = {name: tree["variants"][name] for name in ("fc", "conv1")}
    for variant in tree["variants"].values():
        variant["epochs"] = 2
    tree["search"] = {}
    tree["votes"][:] = ["conv1"]
    tree["robustness"]["images"] = 20
    tree["ideas"].update(images=300, epochs=1)
    tree["gate"].update(
        minimum_accuracy=0.01, margin=0.9, latency_ms=1000, minimum_doubted=0
    )  # which every model passes


def ran(outcome: subprocess.CompletedProcess[str]) -> list[str]:
    """The stages that a run of dvc ran."""
    return [line.split("'")[1] for line in outcome.stdout.splitlines() if line.startswith("Running stage")]
