"""A line shared and a champion's life: runs on PostgreSQL, outputs in a store, clones that pull, the command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import requests
from mlflow import MlflowClient
from tests.test_pipeline import BIN, Line, command, edit

from tests.served import free_port

pytestmark = pytest.mark.slow

ROWS = ["fc", "conv1", "conv1_vote"]
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
ACCOUNT = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
AWS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
ENGINE = next(filter(shutil.which, ("buildah", "podman", "docker")), None)


class Shared(NamedTuple):
    """A line whose runs went to a server on PostgreSQL."""

    line: Line
    server: str
    database: str

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"BENTOML_HOME": str(self.line.home), "MLFLOW_TRACKING_URI": self.server}
        return command(*words, cwd=self.line.folder, **own, **environment)

    def digitline(self, *words: str, status: int = 0) -> str:
        """What the command prints, errors included."""
        done = self.run("digitline", *words)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def commit(self) -> None:
        assert self.run("git", "add", "-A").returncode == 0
        assert self.run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "run").returncode == 0

    def champion(self) -> str:
        return str(self.line.json("models/champion/model.json")["sha256"])

    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.line.folder / "promotions.jsonl").read_text().splitlines()]


@contextmanager
def answering(words: list[str], url: str, **environment: str) -> Iterator[None]:
    """A server that runs while the block does."""
    env = {**os.environ, **environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(1200):
                try:
                    requests.get(url, timeout=5)
                    break
                except requests.RequestException:
                    assert process.poll() is None, words
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a PostgreSQL that was made for these tests, run by an account without privileges."""
    if not POSTGRES:
        pytest.skip("there is no PostgreSQL of Debian's")  # CI has one
    folder, port = Path(tempfile.mkdtemp()), free_port()
    if ACCOUNT:
        shutil.chown(folder, "postgres", "postgres")
    control: Any = {**ACCOUNT, "cwd": folder, "stdout": subprocess.DEVNULL}
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    pg_ctl = [f"{POSTGRES}/pg_ctl", "-D", f"{folder}/data", "-w"]
    subprocess.run([*pg_ctl, "initdb", "-o", "-U digits -A trust -N"], check=True, **control)
    subprocess.run([*pg_ctl, "start", "-l", f"{folder}/log", "-o", options], check=True, **control)
    try:
        yield f"127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*pg_ctl, "stop", "-m", "immediate"], check=True, **control)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared(database, tmp_path_factory, mnist) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    line = Line(folder / "clone", mnist)
    edit(line.folder, fewer)
    url = f"http://127.0.0.1:{free_port()}"
    words = ["mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    words += ["--backend-store-uri", f"postgresql+psycopg://digits@{database}"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    with answering([sys.executable, "-m", *words], f"{url}/health", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"):
        shared = Shared(line, url, database)
        done = shared.run("dvc", "repro")
        assert done.returncode == 0, done.stdout + done.stderr
        shared.commit()
        yield shared


def fewer(tree: Any) -> None:
    """One seed, and a gate that both models pass."""
    tree["seeds"].pop()
    tree["gate"].update(minimum_accuracy=0.01, margin=0.9)


def told(uri: str) -> set[tuple[str, str, float]]:
    """The runs of a store: their names, contents and accuracies."""
    client = MlflowClient(uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    found = [(run.info.run_name, run.data.tags["sha256"], run.data.metrics["val_accuracy"]) for run in runs]
    assert len(found) == len(set(found))
    return set(found)


def test_the_line_runs_against_a_server_on_postgresql(shared):
    assert {name for name, *_ in told(shared.server)} == {*ROWS, "fc · seed 1", "conv1 · seed 1", "conv1_vote · seed 0"}
    with psycopg.connect(f"postgresql://digits@{shared.database}") as connection:
        rows = connection.execute("select name from runs where status = 'FINISHED'").fetchall()
    assert len(rows) == 6
    alias = MlflowClient(shared.server).get_model_version_by_alias("digitline", "champion")
    assert alias.tags["sha256"] == shared.champion()
    assert not (shared.line.folder / "mlflow.db").exists()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_clone_that_pulls_trains_nothing_and_is_filled_with_the_same_runs_once(shared, kind, tmp_path):
    port = free_port()
    own = {**AWS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"} if kind == "s3" else {}
    remote = "s3://digits/line" if kind == "s3" else str(tmp_path / "store")
    with answering([sys.executable, "-m", "moto.server", "-p", str(port)], f"http://127.0.0.1:{port}"):
        requests.put(f"http://127.0.0.1:{port}/digits", timeout=10)
        assert shared.run("dvc", "remote", "add", "--default", "--force", "store", remote).returncode == 0
        done = shared.run("dvc", "push", **own)
        assert done.returncode == 0, done.stderr
        shared.commit()
        clone = tmp_path / "clone"
        assert command("git", "clone", "-q", str(shared.line.folder), str(clone), cwd=tmp_path).returncode == 0
        done = command("dvc", "pull", cwd=clone, **own)
        assert done.returncode == 0, done.stderr
    own = {"BENTOML_HOME": str(tmp_path / "bentoml")}
    done = command("dvc", "repro", cwd=clone, **own)
    assert done.returncode == 0, done.stderr
    assert not shared.line.ran(done)
    assert command("git", "status", "--porcelain", cwd=clone).stdout == ""
    if kind == "folder":
        first, second = (command("digitline", "runs", cwd=clone, **own) for _ in range(2))
        assert first.returncode == second.returncode == 0, first.stderr
        assert [line.partition(":")[0] for line in first.stdout.splitlines()] == [*ROWS, "champion"]
        assert second.stdout == ""
        store = f"sqlite:///{clone}/mlflow.db"
        assert told(store) == told(shared.server)
        assert MlflowClient(store).get_model_version_by_alias("digitline", "champion").tags["sha256"]


def test_a_champion_s_life(shared):
    """Promoted by the line, replaced by hand, rolled back, and not promoted again by a rerun."""
    first = shared.champion()
    [entry] = shared.ledger()
    assert (entry["action"], entry["from"], entry["to"]) == ("promotion", None, first)
    assert entry["gate"]["val_accuracy"] > 0.5
    loser = shared.line.json("reports/leaderboard.json")[1]

    shared.digitline("promote", loser["variant"], "--reason", "smaller")
    assert shared.champion() == shared.ledger()[-1]["to"] == loser["runs"][0]["sha256"]
    assert "smaller" in shared.digitline("status", "--url", "http://127.0.0.1:9")
    report = shared.line.json("reports/promotion.json")
    assert report["figures"].keys() >= {"better", "worse", "p_inferior", "latency_ms", "size_mb"}

    shared.digitline("rollback", "--reason", "a field test")
    assert shared.champion() == first
    assert [entry["action"] for entry in shared.ledger()] == ["promotion", "promotion", "rollback"]
    shared.digitline("rollback", loser["runs"][0]["sha256"][:8], "--reason", "no, the other way")
    assert shared.champion() == loser["runs"][0]["sha256"]
    done = shared.run("dvc", "repro")
    assert shared.line.ran(done) == ["promote"]
    assert "the champion stays" not in done.stdout  # the ledger's champion is of the study, and is held again
    assert shared.champion() == loser["runs"][0]["sha256"]
    assert len(shared.ledger()) == 4
    assert shared.line.ran(shared.run("dvc", "repro")) == []
    alias = MlflowClient(shared.server).get_model_version_by_alias("digitline", "champion")
    assert alias.tags["sha256"] == shared.champion()


def test_a_former_champion_comes_back_from_either_store_and_not_when_it_is_damaged(shared, tmp_path):
    [other] = {entry["to"] for entry in shared.ledger()} - {shared.champion()}
    here, board = shared.champion(), shared.line.folder / "reports/leaderboard.json"
    text = board.read_text()
    board.write_text(json.dumps([row for row in json.loads(text) if row["runs"][0]["sha256"] != other]))
    stored = shared.line.home / f"models/digitline/{other[:16]}"
    try:
        shared.digitline("rollback", other, "--reason", "from BentoML")
        assert shared.champion() == other
        shared.digitline("rollback", here[:12], "--reason", "back")
        stored.joinpath("model.safetensors").write_bytes(b"damaged")
        shared.digitline("rollback", other, "--reason", "from MLflow")
        assert shared.champion() == other
        shared.digitline("rollback", here[:12], "--reason", "back")
    finally:
        board.write_text(text)


def test_the_way_back_and_the_way_on(shared, tmp_path):
    champion = shared.champion()
    answer = tmp_path / "prediction.json"
    answer.write_text(json.dumps({"model": champion, "digit": "3"}))
    text = shared.digitline("trace", str(answer))
    commit = shared.run("git", "log", "-1", "--format=%H", "--", "reports/leaderboard.json").stdout.strip()
    assert f"commit\n    {commit}\n" in text
    for known in (f"sha256 {champion}", "version digitline ", "epochs 2", "validation\n    passed "):
        assert known in text
    data = shared.line.json("reports/validation.json")["sha256"]
    assert f"sha256 {data}" in text
    onward = shared.digitline("trace", data[:12])
    assert champion in onward
    assert {row["runs"][0]["sha256"] in onward for row in shared.line.json("reports/leaderboard.json")} == {True}


@pytest.mark.skipif(not ENGINE, reason="there is no container engine")
def test_an_image_is_traced_by_its_labels(shared, tmp_path):
    (tmp_path / "Containerfile").write_text(f"FROM scratch\nLABEL digitline.model.sha256={shared.champion()}\n")
    name = f"digitline-traced:{tmp_path.name.replace('_', '-')}"
    build = [str(ENGINE), "build", "--tag", name, "--file", str(tmp_path / "Containerfile"), str(tmp_path)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{ENGINE} builds nothing here")
    try:
        assert f"sha256 {shared.champion()}" in shared.digitline("trace", name)
    finally:
        subprocess.run([str(ENGINE), "rmi", name], capture_output=True, check=False)


def test_what_names_no_model_is_refused_and_moves_nothing(shared):
    before = shared.champion(), shared.ledger()
    told = shared.digitline("promote", "params.yaml", status=1)
    assert " is not known here, expected 4 or more digits of " in told
    assert (shared.champion(), shared.ledger()) == before


def test_a_broken_ledger_and_a_damaged_champion_stop_every_move_until_they_are_restored(shared):
    ledger, model = (shared.line.folder / name for name in ("promotions.jsonl", "models/champion/model.safetensors"))
    texts, number = (ledger.read_bytes(), model.read_bytes()), len(shared.ledger()) + 1
    ledger.write_bytes(texts[0] + b"<<<<<<< HEAD\n")
    told = shared.digitline("rollback", "--reason", "x", status=1)
    assert f"promotions.jsonl, line {number} is no entry" in told
    ledger.write_bytes(texts[0])
    model.write_bytes(b"x")
    told = shared.digitline("rollback", "--reason", "x", status=1)
    assert "model.safetensors is not the model that its card names" in told
    assert "dvc checkout --force promote brings that back" in told
    model.write_bytes(texts[1])


def test_a_registry_out_of_step_is_told_and_mended(shared):
    client = MlflowClient(shared.server)
    client.delete_registered_model_alias("digitline", "champion")
    shutil.rmtree(shared.line.home)
    told = shared.digitline("status", "--url", "http://127.0.0.1:9", status=1)
    assert "has another champion than mlflow (digitline status --mend), bentoml (digitline status --mend)" in told
    shared.digitline("status", "--mend", "--url", "http://127.0.0.1:9")
    assert client.get_model_version_by_alias("digitline", "champion").tags["sha256"] == shared.champion()
