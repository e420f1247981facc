"""A shared pipeline and a champion's life: runs on PostgreSQL, outputs in a store, clones that pull, the command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import requests
from mlflow import MlflowClient

from tests import warm
from tests.checkout import Checkout, command, surroundings
from tests.served import free_port

pytestmark = pytest.mark.slow

ROWS = ["fc", "conv1", "conv1_vote"]
SEEDS = {f"{row} · seed {seed}" for row in ("fc", "conv1") for seed in (1, 2)} | {"conv1_vote · seed 0"}
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
ACCOUNT = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
AWS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
ENGINE = next(filter(shutil.which, ("buildah", "podman", "docker")), None)
PACK = "from pathlib import Path; from scripts import container; container.lay_out_bento(Path('packed'))"
NOBODY = ("--url", "http://127.0.0.1:9")


class Shared(NamedTuple):
    """A pipeline whose runs went to a server on PostgreSQL."""

    checkout: Checkout
    server: str
    database: str

    def digitline(self, *words: str, status: int = 0) -> str:
        """The command's output, with that server."""
        return self.checkout.digitline(*words, status=status, MLFLOW_TRACKING_URI=self.server)


@contextmanager
def answering(words: list[str], url: str, **environment: str) -> Iterator[None]:
    """Runs a server during the block."""
    with subprocess.Popen(
        words, env=surroundings(**environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
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
    """The folder and port of a PostgreSQL for these tests, run by an account without privileges."""
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
def shared(database, copied, tmp_path_factory) -> Iterator[Shared]:
    checkout, folder, url = copied(), tmp_path_factory.mktemp("shared"), f"http://127.0.0.1:{free_port()}"
    words = [f"{warm.folder()}/python", "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    words += ["--port", url.rpartition(":")[2]]
    words += ["--backend-store-uri", f"postgresql+psycopg://digits@{database}"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    (checkout.folder / "mlflow.db").unlink()
    with answering(words, f"{url}/health", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"):
        assert checkout.repro("-f", "-s", "train@fc", MLFLOW_TRACKING_URI=url) == ["train@fc"]
        shared = Shared(checkout, url, database)
        shared.digitline("runs")
        yield shared


def measured(uri: str) -> set[tuple[str, str, float]]:
    """The runs of a store: their names, contents and accuracies."""
    client = MlflowClient(uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    found = [(run.info.run_name, run.data.tags["sha256"], run.data.metrics["val_accuracy"]) for run in runs]
    assert len(found) == len(set(found))
    return set(found)


def test_the_runs_go_to_a_server_on_postgresql(shared, origin):
    """One variant during training, the others from the files: the same as in the checkout's own database."""
    assert shared.checkout.run("git", "status", "--porcelain").stdout == ""  # the training came to the same bits
    assert measured(shared.server) == measured(f"sqlite:///{origin.folder}/mlflow.db")
    assert {name for name, *_ in measured(shared.server)} == {*ROWS, *SEEDS}
    with psycopg.connect(f"postgresql://digits@{shared.database}") as connection:
        rows = connection.execute("select name from runs where status = 'FINISHED'").fetchall()
    assert len(rows) == 8
    alias = MlflowClient(shared.server).get_model_version_by_alias("digitline", "champion")
    assert alias.tags["sha256"] == shared.checkout.champion()
    assert not (shared.checkout.folder / "mlflow.db").exists()


def test_in_a_clone_without_all_of_history_a_trace_says_that_the_origin_may_lie_beyond(origin, tmp_path):
    """git clone --depth 1 knows one commit, which is not told as the model's origin."""
    clone = Checkout(tmp_path / "clone")
    words = ["git", "clone", "-q", "--depth", "1", f"file://{origin.folder}", str(clone.folder)]
    assert command(*words, cwd=tmp_path).returncode == 0
    told = clone.digitline("trace", origin.champion())
    commit = clone.run("git", "rev-parse", "HEAD").stdout.strip()
    assert f"{commit}, or an earlier one: this clone's history is cut; git fetch --unshallow completes it" in told
    assert "cut" not in origin.digitline("trace", origin.champion())


def test_a_server_that_does_not_answer_is_no_disagreement(copied):
    """status names the server, and advises no command that needs the same one."""
    told = copied().digitline("status", *NOBODY, status=1, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "\nmlflow      cannot use http://127.0.0.1:9 as MLflow store: " in told
    assert told.endswith("error: mlflow could not be asked for its champion; the reason is above\n")
    assert "NOT the champion" not in told
    assert "--mend" not in told


def test_links_into_dvc_s_cache_are_copied_by_content_and_never_written_through(copied):
    """With cache.type hardlink, then symlink: MLflow's and BentoML's store and a Bento have files of their own."""
    checkout = copied()
    champion, study = (checkout.folder / name for name in ("models/champion/model.json", "models/study/study.json"))
    cached = [path for path in checkout.folder.glob(".dvc/cache/**/*") if path.is_file()]
    before = {path: path.read_bytes() for path in cached}
    for kind, linked, words in (("hardlink", [], ["promote", "conv1"]), ("symlink", [champion.parent], ["rollback"])):
        assert checkout.run("dvc", "config", "cache.type", kind).returncode == 0
        assert checkout.run("dvc", "checkout", "--relink", "--quiet", *map(str, linked)).returncode == 0
        checkout.digitline(*words, "--reason", "to see links")
    assert champion.is_symlink()
    assert study.stat().st_nlink > 1
    done = checkout.run(sys.executable, "-c", PACK)
    assert done.returncode == 0, done.stderr
    for file in (champion, study):
        packed = checkout.folder / "packed/src" / file.relative_to(checkout.folder)
        assert packed.read_bytes() == file.read_bytes()
    assert {path: path.read_bytes() for path in cached} == before
    for store in (checkout.home, checkout.folder / "mlruns", checkout.folder / "packed"):
        found = [path for path in store.rglob("*") if not path.is_dir()]
        assert found
        assert [path for path in found if path.is_symlink() or path.stat().st_nlink > 1] == []
        assert [path for path in found if not path.stat().st_mode & 0o200] == []


@contextmanager
def s3(port: int) -> Iterator[None]:
    """A store that speaks S3, with a bucket."""
    url = f"http://127.0.0.1:{port}"
    with answering([sys.executable, "-m", "moto.server", "-p", str(port)], url):
        requests.put(f"{url}/digits", timeout=10)
        yield


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_clone_that_pulls_trains_nothing_and_logs_the_same_runs_once(copied, origin, kind, tmp_path):
    """The remote has the outputs and the champion; git sees no change; the runs are logged from the files once."""
    checkout, port = copied(), free_port()
    own = {**AWS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"} if kind == "s3" else {}
    remote = "s3://digits/line" if kind == "s3" else str(tmp_path / "store")
    clone = Checkout(tmp_path / "clone")
    with s3(port) if kind == "s3" else nullcontext():
        assert checkout.run("dvc", "remote", "add", "--default", "--force", "store", remote).returncode == 0
        done = checkout.run("dvc", "push", **own)
        assert done.returncode == 0, done.stderr
        checkout.commit()
        assert command("git", "clone", "-q", str(checkout.folder), str(clone.folder), cwd=tmp_path).returncode == 0
        done = clone.run("dvc", "pull", **own)
        assert done.returncode == 0, done.stderr
    assert clone.repro() == []
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert clone.champion() == checkout.champion()
    if kind == "folder":
        lines = clone.digitline("runs").splitlines()
        assert [line.partition(":")[0] for line in lines] == [*ROWS, "champion"]
        assert clone.digitline("runs") == ""
        clone.digitline("status", *NOBODY)
        store = f"sqlite:///{clone.folder}/mlflow.db"
        assert measured(store) == measured(f"sqlite:///{origin.folder}/mlflow.db")
        assert MlflowClient(store).get_model_version_by_alias("digitline", "champion").tags["sha256"]


def test_a_champion_s_life(shared):
    """Promoted by the pipeline, replaced by hand, rolled back, and not promoted again automatically."""
    checkout, digitline = shared.checkout, shared.digitline
    first = checkout.champion()
    [entry] = checkout.ledger()
    assert (entry["action"], entry["from"], entry["to"]) == ("promotion", None, first)
    assert entry["gate"]["val_accuracy"] > 0.5
    loser = checkout.json("reports/leaderboard.json")[-1]

    digitline("promote", loser["variant"], "--reason", "smaller")
    assert checkout.champion() == checkout.ledger()[-1]["to"] in [run["sha256"] for run in loser["runs"]]
    other = checkout.champion()
    assert "smaller" in digitline("status", *NOBODY)
    report = checkout.json("reports/promotion.json")
    assert report.keys() >= {"better", "worse", "p_inferior", "size_mb"}
    assert "latency_ms" not in report

    digitline("rollback", "--reason", "a field test")
    assert checkout.champion() == first
    digitline("rollback", other[:8], "--reason", "no, the other way")
    assert checkout.champion() == other
    assert [entry["action"] for entry in checkout.ledger()] == ["promotion", "promotion", "rollback", "rollback"]
    output = digitline("promote")  # as make does
    assert f"it was rolled back on {checkout.ledger()[-1]['when'][:10]}, no, the other way" in output
    assert "to promote it again" in output
    assert checkout.repro("promote", MLFLOW_TRACKING_URI=shared.server) == []
    assert (checkout.champion(), len(checkout.ledger())) == (other, 4)
    alias = MlflowClient(shared.server).get_model_version_by_alias("digitline", "champion")
    assert alias.tags["sha256"] == other


def test_a_former_champion_is_restored_from_either_store_unless_it_is_damaged(shared):
    """From BentoML's store, or from MLflow's registry if that is damaged and DVC's cache is lost."""
    checkout, digitline = shared.checkout, shared.digitline
    [other] = {entry["to"] for entry in checkout.ledger()} - {checkout.champion()}
    here, board = checkout.champion(), checkout.folder / "reports/leaderboard.json"
    text = board.read_text()
    rows = [row for row in json.loads(text) if other not in [run["sha256"] for run in row["runs"]]]
    board.write_text(json.dumps(rows))
    stored = checkout.home / f"models/digitline/{other[:16]}"
    try:
        digitline("rollback", other, "--reason", "from BentoML")
        assert checkout.champion() == other
        digitline("rollback", here[:12], "--reason", "back")
        stored.joinpath("model.safetensors").write_bytes(b"damaged")
        cache, away = checkout.folder / ".dvc/cache", checkout.folder.with_suffix(".cache")
        cache.rename(away)
        digitline("rollback", other, "--reason", "from MLflow")
        assert checkout.champion() == other
        shutil.rmtree(cache)
        away.rename(cache)
        digitline("rollback", here[:12], "--reason", "back")
    finally:
        board.write_text(text)


def test_trace_goes_from_a_model_to_its_data_and_back(shared, tmp_path):
    """From an answer of the service to the commit and the data, and from the data to the models and champions."""
    champion = shared.checkout.champion()
    answer = tmp_path / "prediction.json"
    answer.write_text(json.dumps({"model": champion, "label": "3"}))
    text = shared.digitline("trace", str(answer))
    commit = shared.checkout.run("git", "log", "-1", "--format=%H", "--", "reports/leaderboard.json").stdout.strip()
    assert f"commit\n    {commit}\n" in text
    for known in (f"sha256 {champion}", "version digitline ", "epochs 2", "validation\n    passed "):
        assert known in text
    data = shared.checkout.json("reports/validation.json")["sha256"]
    assert f"sha256 {data}" in text
    onward = shared.digitline("trace", data[:12])
    assert champion in onward
    board = shared.checkout.json("reports/leaderboard.json")
    assert {run["sha256"] in onward for row in board for run in row["runs"]} == {True}


@pytest.mark.skipif(not ENGINE, reason="there is no container engine")
def test_an_image_is_traced_by_its_labels(shared, tmp_path):
    (tmp_path / "Containerfile").write_text(
        f"FROM scratch\nLABEL digitline.model.sha256={shared.checkout.champion()}\n"
    )
    name = f"digitline-traced:{tmp_path.name.replace('_', '-')}"
    build = [str(ENGINE), "build", "--tag", name, "--file", str(tmp_path / "Containerfile"), str(tmp_path)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{ENGINE} builds nothing here")
    try:
        assert f"sha256 {shared.checkout.champion()}" in shared.digitline("trace", name)
    finally:
        subprocess.run([str(ENGINE), "rmi", name], capture_output=True, check=False)


def test_a_name_of_no_model_is_refused_and_changes_nothing(shared):
    """The sentence lists the existing models."""
    before = shared.checkout.champion(), shared.checkout.ledger()
    output = shared.digitline("promote", "params.yaml", status=1)
    assert " is unknown, expected 4 or more digits of " in output
    assert (shared.checkout.champion(), shared.checkout.ledger()) == before


def test_a_broken_ledger_stops_every_command_and_a_damaged_champion_is_restored(shared):
    """The sentence names the ledger's line; the champion's bytes are restored by their hash."""
    ledger, model = (
        shared.checkout.folder / name for name in ("promotions.jsonl", "models/champion/model.safetensors")
    )
    texts, number = (ledger.read_bytes(), model.read_bytes()), len(shared.checkout.ledger()) + 1
    ledger.write_bytes(texts[0] + b'{"when": 5}\n')
    output = shared.digitline("rollback", "--reason", "x", status=1)
    assert f"promotions.jsonl, line {number} is not a ledger entry" in output
    ledger.write_bytes(texts[0])
    model.write_bytes(b"x")
    shared.digitline("status", *NOBODY)
    assert model.read_bytes() == texts[1]


def test_a_view_with_another_model_is_reported_and_mended(shared):
    """MLflow's alias and BentoML's store are updated from the ledger, never the other way round."""
    client = MlflowClient(shared.server)
    client.delete_registered_model_alias("digitline", "champion")
    shutil.rmtree(shared.checkout.home)
    output = shared.digitline("status", *NOBODY, status=1)
    assert "the champion of promotions.jsonl is not the model in mlflow (digitline status --mend), bentoml" in output
    shared.digitline("status", "--mend", *NOBODY)
    alias = client.get_model_version_by_alias("digitline", "champion")
    assert alias.tags["sha256"] == shared.checkout.champion()
