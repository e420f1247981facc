"""The real line, driven by the real dvc, on a real part of MNIST in a copy of this checkout."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from digitline.data import Dataset, Part
from digitline.sources import ROLES

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
OF_THE_STUDY = ("data/mnist/", "dvc.lock", "promotions.jsonl")
SUBSET = {"train": 2000, "test": 500}
YAML_FILE = YAML()


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for name in ("MLFLOW_TRACKING_URI", "DIGITLINE_DATA", "PYTHONPATH", "PYTHONWARNINGS"):
        env.pop(name, None)
    return subprocess.run(words, cwd=cwd, env=env | environment, capture_output=True, text=True, check=False)


def idx(array) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + bytes(array.tobytes())


def edit(clone: Path, change) -> None:
    tree = YAML_FILE.load(clone / "params.yaml")
    change(tree)
    YAML_FILE.dump(tree, clone / "params.yaml")


class Line:
    """A checkout of its own with a small data set and two small variants."""

    def __init__(self, folder: Path, mnist: Dataset) -> None:
        self.folder = folder
        self.home = folder.with_suffix(".bentoml")
        names = command("git", "ls-files", "-co", "--exclude-standard", cwd=HERE).stdout.split("\n")
        for name in names:
            if name and not name.startswith(OF_THE_STUDY) and (HERE / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(HERE / name, folder / name)
        files = self.files(mnist)
        edit(folder, lambda tree: self.shrink(tree, files))
        for words in (
            ["git", "init", "-q"],
            ["git", "add", "-A"],
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "start"],
        ):
            assert command(*words, cwd=folder).returncode == 0

    def files(self, mnist: Dataset) -> dict[str, str]:
        parts = [Part(part.images[:n], part.labels[:n]) for part, n in zip(mnist, SUBSET.values(), strict=True)]
        arrays = dict(zip(ROLES, (array for part in parts for array in part), strict=True))
        (self.folder / "data/few").mkdir(parents=True)
        for name, array in arrays.items():
            (self.folder / f"data/few/{name}.gz").write_bytes(gzip.compress(idx(array)))
        return {name: hashlib.sha256(idx(array)).hexdigest() for name, array in arrays.items()}

    def shrink(self, tree, files) -> None:
        tree["dataset"] = "few"
        classes = list(tree["datasets"]["mnist"]["classes"])
        tree["datasets"]["few"] = {"classes": classes, "files": files, "mirrors": [], "bounds": {"images": SUBSET}}
        tree["seeds"] = [1, 2]
        tree["split"]["validation"] = 400
        tree["variants"] = {name: tree["variants"][name] for name in ("fc", "conv1")}
        for variant in tree["variants"].values():
            variant["epochs"] = 2
        tree["votes"] = ["conv1"]
        tree["robustness"]["images"] = 50
        tree["gate"].update(minimum_accuracy=0.1, latency_ms=1000)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(*words, cwd=self.folder, BENTOML_HOME=str(self.home))

    def json(self, name: str):
        return json.loads((self.folder / name).read_text())

    def ran(self, outcome: subprocess.CompletedProcess[str]) -> list[str]:
        return [line.split("'")[1] for line in outcome.stdout.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module")
def line(tmp_path_factory, mnist) -> Line:
    line = Line(tmp_path_factory.mktemp("line") / "clone", mnist)
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return line


def test_the_whole_line_runs_on_another_data_set(line):
    rows = line.json("reports/leaderboard.json")
    assert {row["variant"] for row in rows} == {"fc", "conv1", "conv1_vote"}
    accuracies = [row["val_accuracy"]["mean"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.5
    assert rows[0]["seeds"] == [1, 2]
    assert line.json("reports/validation.json")["success"]


def test_the_champion_is_the_leader_in_all_three_places(line):
    card, leader = line.json("models/champion/model.json"), line.json("reports/leaderboard.json")[0]
    assert card["variant"] == leader["variant"]
    assert card["sha256"] in [run["sha256"] for run in leader["runs"]]
    assert (
        hashlib.sha256((line.folder / "models/champion/model.safetensors").read_bytes()).hexdigest() == card["sha256"]
    )
    alias = (
        "from mlflow import MlflowClient; c = MlflowClient('sqlite:///mlflow.db');"
        "print(c.get_model_version_by_alias('digitline', 'champion').tags['sha256'])"
    )
    assert line.run("python", "-c", alias).stdout.strip() == card["sha256"]
    stored = line.run("bentoml", "models", "get", f"digitline:{card['sha256'][:16]}", "-o", "json")
    labels = json.loads(stored.stdout)["labels"]
    assert labels["sha256"] == card["sha256"]
    assert (labels["mlflow_version"], labels["validation"]) == ("1", "passed")
    assert labels["git_commit"] == line.run("git", "rev-parse", "HEAD").stdout.strip()


def test_a_second_run_does_nothing(line):
    lock = (line.folder / "dvc.lock").read_bytes()
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0
    assert not line.ran(outcome)
    assert (line.folder / "dvc.lock").read_bytes() == lock


def test_a_fresh_checkout_ends_with_the_same_lock(line, tmp_path_factory, mnist):
    other = Line(tmp_path_factory.mktemp("other") / "clone", mnist)
    shutil.copy(line.folder / "promotions.jsonl", other.folder)
    assert other.run("dvc", "repro").returncode == 0
    [entry] = (other.folder / "promotions.jsonl").read_text().splitlines()  # which names that very champion
    assert json.loads(entry)["to"] == other.json("models/champion/model.json")["sha256"]
    assert (other.folder / "dvc.lock").read_text() == (line.folder / "dvc.lock").read_text()


def test_a_failing_gate_keeps_the_champion_and_says_why(line):
    champion = line.json("models/champion/model.json")
    edit(line.folder, lambda tree: tree["gate"].update(minimum_accuracy=0.9999))
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert "did not pass the gate: validation accuracy" in outcome.stdout
    assert line.ran(outcome) == ["promote"]
    assert line.json("models/champion/model.json") == champion
    edit(line.folder, lambda tree: tree["gate"].update(minimum_accuracy=0.1))
    assert line.run("dvc", "repro").returncode == 0


def test_an_edit_of_one_variant_reruns_only_its_stages(line):
    edit(line.folder, lambda tree: tree["variants"]["conv1"].update(epochs=3))
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert line.ran(outcome) == ["train@conv1", "evaluate@conv1", "vote@conv1", "compare", "promote"]


def left(line) -> list[int]:
    """The processes that work in the checkout."""
    running = (
        p.info for p in psutil.process_iter(["pid", "cwd", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE
    )
    return [process["pid"] for process in running if process["cwd"] == str(line.folder)]


def test_after_a_kill_nothing_is_left_running_and_training_goes_on_to_the_same_bits(line):
    edit(line.folder, lambda tree: tree["variants"]["conv1"].update(epochs=8))
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "BENTOML_HOME": str(line.home)}
    kept = line.folder / "models/unfinished/conv1"
    with subprocess.Popen(["dvc", "repro"], cwd=line.folder, env=env, stdout=subprocess.DEVNULL) as dvc:
        deadline = time.monotonic() + 120
        while len(list(kept.glob("*.safetensors"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        dvc.kill()
    while left(line) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left(line)
    stood = {path.name for path in kept.iterdir()}
    assert len([name for name in stood if name.endswith(".safetensors")]) == 2
    outcome = line.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert not kept.exists()
    lock, curves = (line.folder / "dvc.lock").read_bytes(), (line.folder / "reports/curves/conv1.csv").read_bytes()
    assert line.run("dvc", "repro", "-f", "-s", "train@conv1").returncode == 0
    assert (line.folder / "dvc.lock").read_bytes() == lock
    assert (line.folder / "reports/curves/conv1.csv").read_bytes() == curves


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tree: tree["variants"]["conv1"].update(epohcs=3), "variants.conv1.epohcs is not known"),
        (lambda tree: tree["variants"]["conv1"]["model"].update(activation="rleu"), "activation is 'rleu'"),
        (lambda tree: tree["split"].update(validation=0), "split.validation is 0, expected greater than 0"),
    ],
)
def test_a_slip_in_params_ends_in_one_sentence_and_touches_nothing(line, change, sentence):
    params, champion = (line.folder / "params.yaml").read_bytes(), line.json("models/champion/model.json")
    edit(line.folder, change)
    outcome = line.run("dvc", "repro")
    (line.folder / "params.yaml").write_bytes(params)
    assert outcome.returncode != 0
    assert sentence in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert line.json("models/champion/model.json") == champion
    assert line.run("dvc", "repro").returncode == 0


def test_an_unknown_variant_is_refused_by_name(line):
    outcome = line.run("python", "-m", "pipeline.train", "conv3")
    assert outcome.returncode == 1
    assert outcome.stderr.strip() == "error: the variant is 'conv3'; did you mean 'conv1'?"
