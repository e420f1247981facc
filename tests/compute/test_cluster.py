"""Needs Ray and the right to make network namespaces: `make cluster-test`. Each run trains on hundreds of images."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from digitline.base.digest import digest
from digitline.data import dataset
from digitline.data.dataset import Dataset
from tests.raylets import HEAD, PORT, ROOT, SECONDS, TOKEN, Cluster, surroundings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed; make cluster-test installs it"),
]

# Prints where each record was made, then the SHA-256 of the models.
DRIVER = """
import json, os, sys, tempfile, time
from pathlib import Path
from typing import NamedTuple

import torch

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.compute import jobs, ranks
from digitline.data import dataset
from digitline.model import checkpoint, networks
from digitline.model.training import fit

DATA = Path("data.safetensors")
NETWORK = dict(network="plain", filters=[4], hidden=10, activation="relu", dropout=0.5, classes=10)
RECIPE = dict(
    optimizer="AdamW", learning_rate=0.003, momentum=0.9, weight_decay=0.1, batch_size=32, warmup=0.2,
    label_smoothing=0.05, augmentation=dict(rotation=10.0), bfloat16=True,
)


class Run(NamedTuple):
    seed: int
    epochs: int
    wait: float
    path: Path
    keep: Path
    shards: int
    place: ranks.Rank | None = None


def one(run):
    parts = dataset.divide(DATA, validation=100, seed=0)
    torch.manual_seed(run.seed)
    model = networks.build(**NETWORK)
    recipe = dict(RECIPE, seed=run.seed, epochs=run.epochs, keep=run.keep, shards=run.shards)
    with ranks.joined(run.place, {}) as group:
        for epoch in fit(model, parts.training, parts.validation, group=group, **recipe):
            where = dict(pid=os.getpid(), node=tempfile.gettempdir(), file=DATA.stat().st_ino)
            yield dict(seed=run.seed, epoch=epoch.epoch, workers=group.size() if group else 1, **where)
            time.sleep(run.wait)
    if not run.place or not run.place.rank:
        checkpoint.save(model, run.path, **NETWORK)
        yield None


if __name__ == "__main__":
    seeds, epochs, wait, shards = json.loads(sys.argv[1])
    paths = [(Path(f"models/{seed}"), Path(f"unfinished/{seed}")) for seed in range(seeds)]
    runs = [Run(seed, epochs, wait, *each, shards) for seed, each in enumerate(paths)]
    options = dict(shared=[DATA], own=lambda run: [run.keep], shards=shards)
    options["place"] = lambda run, rank: run._replace(place=rank)
    try:
        for run, record in jobs.side_by_side(one, runs, **options):
            if record:
                print(json.dumps(record), flush=True)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(json.dumps([digest(run.path) for run in runs]))
"""


# Its jobs never end by themselves.
UNWANTED = """
import itertools, json, time
from digitline.compute import jobs


def count(job):
    for number in itertools.count():
        yield number
        time.sleep(0.1)


if __name__ == "__main__":
    over, found = set(), []
    for job, record in jobs.side_by_side(count, ["a", "b"], wanted=lambda job: job not in over):
        found.append([job, record])
        if record == 2:
            over.add(job)
    print(json.dumps(sorted(found)))
"""


# Gives the driver, which finds digitline by the .pth of the environment, an older Ray.
OLDER = """
import ray

ray.__version__ = "2.59.0"
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


@pytest.fixture(scope="module")
def made(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program and 300 images."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "driver.py").write_text(DRIVER)
    few = Dataset(*(dataset.Part(part.images[:300], part.labels[:300]) for part in digits))
    dataset.save(few, folder / "data.safetensors")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "driver"))


@pytest.fixture(scope="module")
def expected(made: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The models' SHA-256 from processes of this machine."""
    here = shutil.copytree(made, tmp_path_factory.mktemp("expected") / "driver")
    words = [sys.executable, "driver.py", json.dumps([2, 3, 0, 1])]
    done = subprocess.run(words, cwd=here, env=surroundings(), capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def sharded(made: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The SHA-256 of a model whose batches have four shards, from one process of this machine."""
    here = shutil.copytree(made, tmp_path_factory.mktemp("sharded") / "driver")
    words = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), sys.executable, "driver.py"]
    words += [json.dumps([1, 3, 0, 4])]
    done = subprocess.run(words, cwd=here, env=surroundings(), capture_output=True, text=True, check=True)
    *records, found = map(json.loads, done.stdout.splitlines())
    assert {record["workers"] for record in records} == {1}
    return list(found)


class Driver:
    """The program on the head's machine."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *,
        wait: float = 0.0,
        seeds: int = 2,
        shards: int = 1,
        **environment: str,
    ) -> None:
        env = {**surroundings(), "RAY_ADDRESS": f"{HEAD}:{PORT}", "TMPDIR": str(folder), **environment}
        words = [*cluster.first.enter, sys.executable, "driver.py", json.dumps([seeds, 3, wait, shards])]
        self.began, self.records = time.monotonic(), list[dict[str, Any]]()
        self.process = subprocess.Popen(
            words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def record(self) -> dict[str, Any]:
        """The next one."""
        assert self.process.stdout
        line = next((line for line in self.process.stdout if line[0] == "{"), None)  # the others are Ray's
        assert line, self.error()
        self.records.append(json.loads(line))
        return self.records[-1]

    def end(self) -> list[str]:
        """Waits for the end; the models' SHA-256. Each record has come once, in order."""
        out, error = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 0, error
        *lines, models = (json.loads(line) for line in out.splitlines() if line[0] in "{[")
        self.records += lines
        for seed in {record["seed"] for record in self.records}:
            assert [record["epoch"] for record in self.records if record["seed"] == seed] == [1, 2, 3]
        found: list[str] = models
        return found

    def error(self) -> str:
        """The one sentence with which it ends."""
        _, error = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 1, error
        assert error.count("\n") == 1, error
        return str(error)


def test_one_node_gives_the_bits_of_processes_here(cluster, folder, expected):
    assert Driver(cluster, folder).end() == expected


def test_a_job_that_is_no_longer_wanted_ends_and_others_go_on(cluster, folder):
    (folder / "driver.py").write_text(UNWANTED)
    out, error = Driver(cluster, folder).process.communicate(timeout=SECONDS)
    assert json.loads(out.splitlines()[-1]) == [[job, record] for job in "ab" for record in range(3)], error


def test_two_nodes_give_the_same_bits_and_each_gets_the_data_set_once(cluster, folder, expected):
    cluster.join()
    first = Driver(cluster, folder, wait=0.3)
    assert first.end() == expected
    shutil.rmtree(folder / "unfinished")
    again = Driver(cluster, folder, wait=0.3)
    assert again.end() == expected
    files = {(record["node"], record["file"]) for record in first.records + again.records}
    assert len(files) == len({node for node, _ in files}) == 2
    for node, _ in files:
        [kept] = [path for path in Path(node).rglob("*") if path.name == digest(folder / "data.safetensors")]
        assert kept.read_bytes() == (folder / "data.safetensors").read_bytes()


def test_after_a_killed_worker_the_job_goes_on_from_its_last_epoch(cluster, folder, expected):
    driver = Driver(cluster, folder, wait=1.0)
    os.kill(driver.record()["pid"], signal.SIGKILL)
    assert driver.end() == expected


def test_after_a_killed_driver_the_next_one_goes_on_from_the_last_epochs(cluster, folder, expected):
    driver = Driver(cluster, folder, wait=1.0)
    driver.record()
    driver.process.kill()
    driver.process.communicate()
    before = {path: path.read_bytes() for path in (folder / "unfinished").iterdir()}
    assert before
    assert Driver(cluster, folder).end() == expected


def test_two_nodes_share_one_training_and_give_the_bits_of_one_process(cluster, folder, sharded):
    driver = Driver(cluster, folder, seeds=1, shards=4)
    assert driver.end() == sharded
    assert [record["workers"] for record in driver.records] == [2, 2, 2]


def test_when_one_worker_of_a_training_is_killed_all_go_on_from_its_last_epoch(cluster, folder, sharded):
    driver = Driver(cluster, folder, seeds=1, shards=4, wait=1.0)
    first = driver.record()
    os.kill(first["pid"], signal.SIGKILL)
    assert driver.end() == sharded
    assert first["workers"] == 2


def test_a_killed_node_s_jobs_go_on_elsewhere(cluster, folder, expected):
    driver = Driver(cluster, folder, wait=1.0)
    while not driver.record()["node"].endswith(f"node-{cluster.nodes}"):
        pass
    cluster.second.kill()
    assert driver.end() == expected


def test_of_a_training_on_two_nodes_one_is_killed_and_the_other_goes_on(cluster, folder, sharded):
    cluster.join()
    driver = Driver(cluster, folder, seeds=1, shards=4, wait=1.0)
    driver.record()
    cluster.second.kill()
    assert driver.end() == sharded
    assert [record["workers"] for record in driver.records] == [2, 1, 1]


def test_when_a_link_is_cut_the_job_goes_on_elsewhere(cluster, folder, expected):
    node = cluster.join()
    driver = Driver(cluster, folder, wait=1.0, DIGITLINE_SILENCE="30")
    while driver.record()["node"] != str(node):
        pass
    cluster.first.link("link", "set", "to-second", "down")
    try:
        assert driver.end() == expected
    finally:
        cluster.first.link("link", "set", "to-second", "up")
        cluster.second.kill()


def test_a_node_with_another_digitline_or_processor_is_named(cluster, folder, tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    errors = tmp_path / "src/digitline/base/errors.py"
    errors.write_text(f"{errors.read_text()}# another one\n")
    cluster.join("code=other", PYTHONPATH=str(tmp_path / "src"))
    cluster.join("processor=other", ATEN_CPU_CAPABILITY="default")
    drivers = [Driver(cluster, folder, DIGITLINE_NODES=nodes) for nodes in ("code=other", "processor=other")]
    code, processor = (driver.error() for driver in drivers)
    assert "error: the digitline of node" in code
    assert "error: the processor of node" in processor
    assert "DEFAULT" in processor.partition("expected")[0]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"RAY_ADDRESS": f"{HEAD}:6380"}, f"error: no Ray cluster answers at RAY_ADDRESS {HEAD}:6380"),
        ({"RAY_AUTH_TOKEN": TOKEN[::-1]}, "its token or RAY_AUTH_MODE is another one"),
        ({"RAY_AUTH_MODE": "disabled"}, "its token or RAY_AUTH_MODE is another one"),
        ({"PYTHONPATH": f"other{os.pathsep}{ROOT / 'src'}"}, "Version mismatch"),
    ],
    ids=["address", "token", "mode", "version"],
)
def test_a_cluster_that_does_not_take_this_machine_is_named(cluster, folder, setting, sentence):
    (folder / "other").mkdir()
    (folder / "other/sitecustomize.py").write_text(OLDER)
    driver = Driver(cluster, folder, **setting)
    assert sentence in driver.error()
    assert time.monotonic() - driver.began < 120  # 20 on a quiet machine, where Ray's own limit is 826
