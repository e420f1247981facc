"""MLflow is a view: it is brought in line once by whoever comes, and the pipeline goes on without it."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from mlflow import MlflowClient, pyfunc

from tests import warm
from tests.checkout import BIN, Checkout, surroundings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),  # of its own types, when pyfunc is imported
]

SERVER = "http://127.0.0.1:9"  # where nobody listens
NOBODY = ("--url", SERVER)
RUNS = {"fc", "conv1", "conv1_vote", "conv1_vote · seed 0"}
RUNS |= {f"{variant} · seed {seed}" for variant in ("fc", "conv1") for seed in (1, 2)}
STAGES = (["pipeline.train", "fc"], ["pipeline.evaluate", "conv1"])
OUTPUTS = ("models/variants", "predictions", "reports")


def start(checkout: Checkout, *words: str) -> subprocess.Popen[str]:
    """A command that runs beside others."""
    path = f"{warm.folder()}:{BIN}:{os.environ['PATH']}"
    env = surroundings(PATH=path, BENTOML_HOME=str(checkout.home))
    return subprocess.Popen(
        words, cwd=checkout.folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def logged(checkout: Checkout) -> list[str]:
    """The names of all runs in the checkout's store, each with its epochs."""
    client = MlflowClient(f"sqlite:///{checkout.folder}/mlflow.db")
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert {run.info.status for run in found} == {"FINISHED"}
    for run in found:
        epochs = len(client.get_metric_history(run.info.run_id, "epoch/val_loss"))
        assert epochs == (0 if "vote" in str(run.info.run_name) else 2)
        assert run.data.metrics["val_accuracy"] > 0
        assert run.data.params["model.network"] == "plain"
    return [str(run.info.run_name) for run in found]


def outputs(checkout: Checkout) -> dict[str, bytes]:
    """What the stages wrote."""
    paths = [path for name in OUTPUTS for path in (checkout.folder / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(checkout.folder)): path.read_bytes() for path in paths}


@contextmanager
def locked(checkout: Checkout) -> Iterator[None]:
    """Holds the checkout's database, as a writer that does not end."""
    with closing(sqlite3.connect(checkout.folder / "mlflow.db", isolation_level=None)) as database:
        database.execute("begin exclusive")
        yield


def test_commands_that_log_at_once_to_a_new_store_log_each_run_once_and_lost_files_come_back(copied, monkeypatch):
    """Four times `digitline runs`, from no database at all; then mlruns is deleted, and first nobody is champion."""
    checkout: Checkout = copied()
    (checkout.folder / "mlflow.db").unlink()
    commands = [start(checkout, "digitline", "runs") for _ in range(4)]
    told = [command.communicate() for command in commands]
    assert [command.returncode for command in commands] == [0] * 4, told
    assert {error for _, error in told} == {""}
    assert "".join(output for output, _ in told).count("logged from the files") == 3
    assert sorted(logged(checkout)) == sorted(RUNS)
    shutil.rmtree(checkout.folder / "mlruns")
    assert "mlflow      none  NOT the champion" in checkout.digitline("status", *NOBODY, status=1)
    checkout.digitline("status", "--mend", *NOBODY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{checkout.folder}/mlflow.db")
    assert pyfunc.load_model("models:/digitline@champion").metadata.signature
    assert checkout.digitline("runs").count("logged from the files") == 3
    assert checkout.digitline("runs") == ""
    assert sorted(logged(checkout)) == sorted(RUNS)
    client = MlflowClient()
    found = client.get_model_version_by_alias("digitline", "champion")
    parent = client.get_run(str(found.run_id)).data.tags["mlflow.parentRunId"]
    assert {file.path for file in client.list_artifacts(parent)} == {"figures", "insight", "per_class_metrics.csv"}


def test_stages_end_well_while_somebody_holds_the_database_and_their_runs_are_logged_later(copied):
    """Each stage writes the same outputs and says in one sentence what is not logged; commands name the lock."""
    checkout: Checkout = copied()
    before = outputs(checkout)
    with locked(checkout):
        stages = [start(checkout, "python", "-m", *words) for words in STAGES]
        asked = start(checkout, "digitline", "status", *NOBODY)
        for stage in stages:
            _, error = stage.communicate()
            assert stage.returncode == 0, error
            [warning] = [line for line in error.splitlines() if "warning" in line]
            assert "MLflow lacks the " in warning
            # The stages wait for the database one after the other, and no longer than a minute.
            assert re.search("another process has locked its database|another command is logging to it", warning)
            assert warning.endswith("; digitline runs logs it later")
        told, error = asked.communicate()
    assert outputs(checkout) == before
    assert asked.returncode == 1
    assert "another process has locked its database" in told
    assert "NOT the champion" not in told + error
    assert checkout.digitline("runs").count("logged from the files") == 3
    assert sorted(logged(checkout)) == sorted(RUNS)


def test_without_its_server_a_stage_ends_well_and_a_promotion_warns_once(copied, monkeypatch):
    """The ledger, the bytes and BentoML have the new champion; `digitline status --mend` brings MLflow in line."""
    checkout: Checkout = copied()
    before = outputs(checkout)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = checkout.run("python", "-m", "pipeline.evaluate", "fc", MLFLOW_TRACKING_URI=SERVER)
    assert (done.returncode, outputs(checkout)) == (0, before)
    assert done.stderr.startswith(f"warning: MLflow lacks the evaluation of fc: cannot use {SERVER} as MLflow")
    assert len(done.stderr.splitlines()) == 1
    told = checkout.digitline("promote", "conv1", MLFLOW_TRACKING_URI=SERVER)
    assert told.count("warning") == 1
    assert "run digitline status --mend to update it" in told
    assert checkout.champion() == checkout.ledger()[-1]["to"]
    assert "NOT the champion" not in checkout.digitline("status", "--mend", *NOBODY)
