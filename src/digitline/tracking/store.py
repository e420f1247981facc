"""The MLflow store at MLFLOW_TRACKING_URI, or else the checkout's own."""

import base64
import json
import logging
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.telemetry import set_telemetry_client
from sqlalchemy.engine import make_url
from tqdm import tqdm

from digitline.base import git
from digitline.base.errors import InputError
from digitline.tracking import move
from digitline.tracking.failures import answering, unless_there, without_password

SETTINGS = {  # of MLflow in this process; the user's settings win
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
EXPERIMENT = {  # tags
    "mlflow.experimentKind": "custom_model_development",  # else the page asks the user; no public call sets it
    "mlflow.note.content": (
        "One run per variant of params.yaml, with the means over its seeds, and a child run per seed.\n\n"
        "`val_` and `test_` are measured on the finished models, `epoch/` during training, `robustness/` on test "
        "images changed by degrees: a step is a hundredth of the level. "
        "The tag `sha256` is the identity of a run's model."
    ),
}
COLUMNS = [  # of the view `leaderboard`
    *(f"metrics.`{name}`" for name in ("val_accuracy", "test_accuracy", "val_nll", "test_nll", "test_ece")),
    *(f"params.`{name}`" for name in ("parameters", "macs", "epochs")),
]

reset_telemetry: Callable[[], None] = set_telemetry_client  # MLflow does not annotate it


class Opened(NamedTuple):
    client: MlflowClient
    experiment: str  # its id
    lock: AbstractContextManager[Any]  # beside the database; a server has none


@dataclass
class Store:
    """A store, opened when it is first used, so that a stage can do without; after a failure it stays closed."""

    open: Callable[[], Opened]
    tags: dict[str, str]  # of every run: what started it, and its code
    failed: InputError | None = None

    @cached_property
    def opened(self) -> Opened:
        try:
            return self.open()
        except InputError as error:
            self.failed = error
            raise

    @property
    def client(self) -> MlflowClient:
        if self.failed:
            raise self.failed
        return self.opened.client

    @property
    def experiment(self) -> str:
        return self.opened.experiment


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """Locks out the other commands that look what the store lacks and log it; InputError after a minute."""
    with ExitStack() as stack:
        with answering():
            if store.failed:
                raise store.failed
            stack.enter_context(store.opened.lock)
        yield


@contextmanager
def optional(store: Store, what: str, later: str = "digitline runs logs it later") -> Iterator[None]:
    """Does what a stage logs. A failure is said once, and the stage goes on without MLflow."""
    said = store.failed
    try:
        yield
    except InputError as error:
        store.failed = error
        if not said:
            # Above a progress bar, if there is one.
            tqdm.write(f"warning: MLflow lacks {what}: {error}; {later}", file=sys.stderr)


def connect(folder: Path, *, dataset: str, code: Sequence[str] = ()) -> Store:
    """Opens the store at MLFLOW_TRACKING_URI, or else mlflow.db and mlruns in the checkout that contains the folder.

    Runs get the folder's git commit, and whether the paths `code` differ from that commit. InputError if no
    store answers.
    """
    opened = open_store(folder, dataset)
    return Store(lambda: opened, origin() | revision(folder, code))


def unopened(folder: Path, *, dataset: str, code: Sequence[str] = ()) -> Store:
    """The same store, opened when it is first used."""
    return Store(partial(open_store, folder, dataset), origin() | revision(folder, code))


def open_store(folder: Path, dataset: str) -> Opened:
    """The client, the experiment of the data set, and the lock."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    reset_telemetry()
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # errors are raised instead
    root = checkout(folder)
    given = os.environ.get("MLFLOW_TRACKING_URI")
    uri = re.sub("^sqlite:///(?!/)", lambda _: f"sqlite:///{root}/", given or "sqlite:///mlflow.db")
    remote = uri.startswith(("http", "databricks"))
    artifacts = None if remote else str(root / "mlruns" / dataset)
    try:
        # Two processes that make the same database at once break each other's migrations.
        with answering(), nullcontext() if remote else lock_of(uri, root) as lock:
            if uri == f"sqlite:///{root}/mlflow.db":
                move.follow(root)
            client = MlflowClient(uri)
            experiment = open_experiment(client, f"digitline-{dataset}", artifacts, exact=not given)
    except InputError as error:
        reason = str(error).replace("<database_uri>", uri)  # in MLflow's advice to upgrade an older database
        raise InputError(f"cannot use {without_password(uri)} as MLflow store: {reason}") from error
    return Opened(client, experiment, lock or nullcontext())


def lock_of(uri: str, root: Path) -> FileLock:
    """The lock of a database: beside its file, or else in the checkout."""
    file = make_url(uri).database if uri.startswith("sqlite:") else None
    return FileLock(f"{file or root / 'mlflow.db'}.lock", timeout=60)


def checkout(folder: Path) -> Path:
    """The checkout of a folder; for the copy in which dvc runs a queued experiment, the checkout that queued it."""
    folder = folder.resolve()
    return next((p.parents[2] for p in folder.parents if p.parts[-3:] == (".dvc", "tmp", "exps")), folder)


def open_experiment(client: MlflowClient, name: str, artifacts: str | None, *, exact: bool) -> str:
    """The id of the experiment of that name, created if missing; its files are in `artifacts`.

    If `exact`, InputError for an experiment with files elsewhere, which no move of the checkout explains.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        with unless_there():
            client.create_experiment(name, artifacts, EXPERIMENT | leaderboard())
        return open_experiment(client, name, artifacts, exact=exact)
    if exact and experiment.artifact_location != artifacts:
        was = f"it was created elsewhere, with its files in {experiment.artifact_location}"
        raise InputError(f"{was}, expected {artifacts}; delete or move it, and the next stage will create a new one")
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


def leaderboard() -> dict[str, str]:
    """The tag of a saved view, viewStateShareKey=leaderboard: only the variants, best first, with their metrics."""
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
    """Tags that say which code a run uses; empty outside of a git repository."""

    try:
        changed, commit = git.ask(folder, "status", "--porcelain", "--", *code), git.ask(folder, "rev-parse", "HEAD")
    except InputError as error:
        print(f"warning: MLflow's runs are logged without their commit: {error}", file=sys.stderr)
        return {}
    return {"mlflow.source.git.commit": commit.strip(), "git.changed": "yes" if changed else "no"} if commit else {}


def search(store: Store, condition: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """The runs that match the condition, newest first."""
    return store.client.search_runs([store.experiment], condition, view, order_by=["attributes.start_time DESC"])
