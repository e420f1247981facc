import base64
import json
import os
import shutil
import sqlite3
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient, pyfunc

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.tracking import models
from digitline.tracking.store import Store, connect, search
from tests import warm
from tests.served import ROOT, free_port
from tests.tracked import Study, evaluate, promote, runs_of, train

FIRST = "from pathlib import Path; from digitline.tracking.store import connect; connect(Path(), dataset='mnist')"
SERVER = ["-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own types, when pyfunc is imported


def test_the_view_of_the_leaderboard_names_what_the_runs_have(store: Store, study: Study) -> None:
    evaluate(store, study)
    view = json.loads(store.client.get_experiment(store.experiment).tags["mlflow.sharedViewState.leaderboard"])
    state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    assert [run.info.run_name for run in search(store, state["searchFilter"])] == ["small"]
    data = runs_of(store)["small"].data
    assert {"metrics.`val_accuracy`", "metrics.`test_nll`", "params.`epochs`"} <= set(state["selectedColumns"])
    assert data.metrics.keys() >= {"val_accuracy", "test_nll"}
    assert "epochs" in data.params


def test_a_run_names_its_commit_and_what_started_it(
    folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (folder / "params.yaml").write_text("a")
    git("init")
    git("add", "params.yaml")
    git("commit", "-m", "first")
    monkeypatch.setenv("DVC_STAGE", "train@small")
    monkeypatch.setenv("DVC_EXP_NAME", "blue-bird")
    clean = connect(folder, dataset="mnist", code=["params.yaml"])
    (folder / "params.yaml").write_text("b")
    changed = connect(folder, dataset="mnist", code=["params.yaml"])
    assert (clean.tags["git.changed"], changed.tags["git.changed"]) == ("no", "yes")
    train(clean, study)
    tags = runs_of(clean)["small"].data.tags
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert (tags["DVC_STAGE"], tags["DVC_EXP_NAME"]) == ("train@small", "blue-bird")


@pytest.mark.parametrize("given", [None, "sqlite:///mlflow.db"])
def test_a_queued_experiment_writes_to_the_checkout_that_queued_it(
    folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    copy = folder / ".dvc" / "tmp" / "exps" / "standalone" / "tmp123"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    if given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    queued = connect(copy, dataset="mnist")
    promote(queued, study, 1)
    monkeypatch.chdir("/")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert promote(connect(folder, dataset="mnist"), study, 1) == "1"
    assert list((folder / "mlruns" / "mnist").rglob("*.safetensors"))
    assert not list(copy.iterdir())


@pytest.mark.parametrize("name", ["back\\slash", "number #1", "数字", "a 'b' & \"c\""])
def test_a_checkout_may_lie_in_a_folder_of_almost_any_name(folder: Path, study: Study, name: str) -> None:
    place = folder.rename(folder.with_name(name))
    store = connect(place, dataset="mnist")
    assert promote(store, study, 1) == "1"
    assert models.champion(store) == digest(study.models[1])
    assert (place / "mlflow.db").stat().st_size > 0
    assert list((place / "mlruns").rglob("*.safetensors"))
    assert [path.name for path in place.parent.iterdir()] == [name]


@pytest.mark.slow
def test_two_processes_may_be_first_in_a_new_store(tmp_path: Path) -> None:
    """Two trainings that start at once in a fresh clone create its database without breaking each other's migration."""
    (tmp_path / "first.py").write_text(FIRST)
    python, environment = warm.folder() / "python", {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    processes = [
        subprocess.Popen([python, "-m", "first"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate()[1].decode() for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]


@pytest.fixture
def server(tables: Path, tmp_path: Path) -> Iterator[str]:
    """A separate tracking server on loopback."""
    shutil.copy(tables, tmp_path)
    port = free_port()
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    options = ["--port", str(port), "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "files"]
    python, log = warm.folder() / "python", (tmp_path / "server.log").open("w")
    words = [str(python), *SERVER, *options]
    with log, subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} does not answer")


@pytest.mark.slow
def test_mlflow_tracking_uri_moves_everything_to_a_server(
    server: str, folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Runs, models and registry are on the server and nothing is here; nothing is printed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    store = connect(folder, dataset="mnist")
    train(store, study)
    evaluate(store, study)
    evaluate(store, study)
    assert promote(store, study, 2) == promote(store, study, 2) == "1"
    assert list(runs_of(store)) == ["small · seed 1", "small · seed 2", "small"]
    assert pyfunc.load_model("models:/digitline@champion").predict(study.examples).shape == (2, 10)
    assert not (folder / "mlruns").exists()
    assert not MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").get_experiment_by_name("digitline-mnist")
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_gives_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"^cannot use http://127.0.0.1:\d+ as MLflow store: .*refused") as caught:
        connect(folder, dataset="mnist")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_database_of_an_older_mlflow_is_refused_with_the_command_that_upgrades_it(folder: Path) -> None:
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")  # MLflow's first
    with pytest.raises(InputError, match="mlflow db upgrade sqlite:///") as refusal:
        connect(folder, dataset="mnist")
    assert f"mlflow db upgrade sqlite:///{folder}/mlflow.db" in str(refusal.value)
    assert "<database_uri>" not in str(refusal.value)


@pytest.mark.parametrize("uri", ["mysql+nodriver://127.0.0.1/x", "./mlruns", "nonsense://x"])
def test_a_store_of_a_kind_that_cannot_be_used_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match=r"as MLflow store: MLflow failed: \w"):
        connect(folder, dataset="mnist")


def test_a_file_that_is_not_a_database_is_refused_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match=r"mlflow\.db as MLflow store: .*not a database"):
        connect(folder, dataset="mnist")
    assert capfd.readouterr() == ("", "")
