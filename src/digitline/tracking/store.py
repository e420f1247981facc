"""The MLflow store: of this checkout, or the one that MLFLOW_TRACKING_URI names."""

import base64
import json
import logging
import os
import re
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from sqlalchemy.exc import SQLAlchemyError

from digitline.base.errors import InputError

SETTINGS = {  # of MLflow in this process; what the user sets wins
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
EXPERIMENT = {  # tags
    "mlflow.experimentKind": "custom_model_development",  # no public call sets it, and else the page asks for it
    "mlflow.note.content": (
        "A run a variant of params.yaml, with the means over its seeds; below it a run a seed.\n\n"
        "`val_` and `test_` are measured on the finished models, `epoch/` while they trained, `robustness/` on test "
        "images changed by degrees: a step is a hundredth of the level. "
        "The tag `sha256` is the identity of a run's model."
    ),
}
SENTENCE = 600  # characters of a message of MLflow's that are shown
COLUMNS = [  # of the view `leaderboard`
    *(f"metrics.`{name}`" for name in ("val_accuracy", "test_accuracy", "val_nll", "test_nll", "test_ece")),
    *(f"params.`{name}`" for name in ("parameters", "macs", "epochs")),
]

reset_telemetry: Callable[[], None] = set_telemetry_client  # MLflow gives it no type


class Store(NamedTuple):
    client: MlflowClient
    experiment: str  # its id
    tags: dict[str, str]  # of every run: what started it, on which code


@contextmanager
def answering() -> Iterator[None]:
    """Turns a failure of MLflow, its server or its database, or the lack of that one's driver, into one sentence."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        raise InputError(f"MLflow failed: {' '.join(without_password(str(error)).split())[:SENTENCE]}") from error


def without_password(text: str) -> str:
    """The text with the user and password of its addresses left out."""
    return re.sub("//[^/@ ]*@", "//", text)


@contextmanager
def unless_there() -> Iterator[None]:
    """Lets pass that what is made here was made before, or by another process just now."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def connect(folder: Path, *, dataset: str, code: Sequence[str] = ()) -> Store:
    """Opens the store at MLFLOW_TRACKING_URI, or else mlflow.db and mlruns of the checkout that the folder belongs to.

    Runs bear the folder's git commit, and whether the paths `code` in it differ from that commit. InputError where no
    store answers.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    reset_telemetry()
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # what goes wrong is raised
    root = checkout(folder)
    given = os.environ.get("MLFLOW_TRACKING_URI")
    uri = re.sub("^sqlite:///(?!/)", lambda _: f"sqlite:///{root}/", given or "sqlite:///mlflow.db")
    remote = uri.startswith(("http", "databricks"))
    artifacts = None if remote else str(root / "mlruns" / dataset)
    try:
        # Two processes that make the same database at once break each other's migrations.
        with answering(), nullcontext() if remote else FileLock(root / "mlflow.db.lock", timeout=60):
            client = MlflowClient(uri)
            experiment = open_experiment(client, f"digitline-{dataset}", artifacts, exact=not given)
    except InputError as error:
        raise InputError(f"{without_password(uri)} is no MLflow store to use: {error}") from error
    return Store(client, experiment, origin() | revision(folder, code))


def checkout(folder: Path) -> Path:
    """The checkout that a folder is: of a copy in which dvc runs a queued experiment, the one that queued it."""
    folder = folder.resolve()
    return next((p.parents[2] for p in folder.parents if p.parts[-3:] == (".dvc", "tmp", "exps")), folder)


def open_experiment(client: MlflowClient, name: str, artifacts: str | None, *, exact: bool) -> str:
    """The id of the experiment of that name, made where there is none; its files are kept in `artifacts`.

    Where that must hold exactly, InputError for an experiment made elsewhere: MLflow cannot move one.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        with unless_there():
            client.create_experiment(name, artifacts, EXPERIMENT | leaderboard())
        return open_experiment(client, name, artifacts, exact=exact)
    if exact and experiment.artifact_location != artifacts:
        was = f"it was made in another place, with its files in {experiment.artifact_location}"
        raise InputError(f"{was}, expected {artifacts}; delete or move it, and the next stage makes a new one")
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


def leaderboard() -> dict[str, str]:
    """The tag of a saved view, at viewStateShareKey=leaderboard: the variants alone, best first, with their figures."""
    state = {
        "searchFilter": "tags.level = 'variant'",
        "orderByKey": "metrics.`val_accuracy`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": COLUMNS,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    view = {"name": "Leaderboard", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return {"mlflow.sharedViewState.leaderboard": json.dumps(view)}  # MLflow has no public call that saves a view


def origin() -> dict[str, str]:
    """Tags that say what started a run."""
    given = {name: os.environ[name] for name in ("DVC_STAGE", "DVC_EXP_NAME") if name in os.environ}
    return given | {"mlflow.source.type": "LOCAL", "mlflow.source.name": given.get("DVC_STAGE", "digitline")}


def revision(folder: Path, code: Sequence[str]) -> dict[str, str]:
    """Tags that say on which code a run is done; none outside of a git repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = bool(git("status", "--porcelain", "--", *code))
        return {"mlflow.source.git.commit": git("rev-parse", "HEAD"), "git.changed": "yes" if changed else "no"}
    except (OSError, subprocess.CalledProcessError):
        return {}


def search(store: Store, condition: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """The runs for which the condition holds, newest first."""
    return store.client.search_runs([store.experiment], condition, view, order_by=["attributes.start_time DESC"])
