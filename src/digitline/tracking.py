"""MLflow as a view of the study: a run a variant, a child run a seed, found again by the content of their models.

The only module that imports MLflow, which takes a second: where a script's jobs run in processes of their own, import
this one inside the function that needs it.
"""

import base64
import hashlib
import json
import logging
import os
import re
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from socket import gethostname
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from mlflow import MlflowClient, pyfunc
from mlflow.artifacts import download_artifacts
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    ViewType,
)
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from mlflow.telemetry import set_telemetry_client
from numpy.typing import NDArray
from psutil import pid_exists
from scipy.special import softmax
from sqlalchemy.exc import SQLAlchemyError
from torch import nn

from digitline import checkpoint
from digitline.data import Bytes, Part
from digitline.errors import InputError
from digitline.evaluation import predict
from digitline.palette import COLOURS
from digitline.training import Epoch

SETTINGS = {  # of MLflow in this process; what the user sets wins
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
EXPERIMENT = {  # tags
    "mlflow.experimentKind": "custom_model_development",  # else the page asks for it
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
REGISTERED = "digitline"
REGISTRY = "Digits: 28x28 pixels of 0-255 in, the probability of each class out. `champion` is the version to serve."
MEASURED_ON = {"val": "validation", "test": "test"}  # by the first word of a metric's name
NEEDED = ["mlflow", "numpy", "pydantic", "safetensors", "scipy", "torch"]  # to load a logged model

reset_telemetry: Callable[[], None] = set_telemetry_client  # MLflow gives it no type


class Store(NamedTuple):
    client: MlflowClient
    experiment: str  # its id
    tags: dict[str, str]  # of every run: what started it, on which code


class Version(NamedTuple):
    number: str  # in the registry
    run: str  # the id of the run that logged it; "" where none did


class Data(NamedTuple):
    context: str  # training, validation or test
    name: str
    part: Part
    source: str  # where the arrays come from


class Variant(NamedTuple):
    name: str
    params: Mapping[str, Any]  # keys may be nested
    data: Sequence[Data]


class Runs(NamedTuple):
    """A variant's runs while it trains."""

    store: Store
    ids: list[str]  # the variant's own run first, then those of the seeds
    children: dict[int, str]  # run ids by seed
    curves: dict[int, list[Epoch]]
    digests: dict[int, str]  # of the finished models


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
    uri = re.sub("^sqlite:///(?!/)", f"sqlite:///{root}/", given or "sqlite:///mlflow.db")
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
    return {"mlflow.sharedViewState.leaderboard": json.dumps(view)}


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


@contextmanager
def train(store: Store, variant: Variant, *, seeds: Sequence[int]) -> Iterator[Runs]:
    """Opens a run for the variant and one below it for each seed, to be filled with `record` and `trained`.

    They end as FINISHED; after Ctrl-C as KILLED, after any other exception as FAILED. A training that came to the same
    models as an earlier one leaves that one's runs in the store, and none of its own.
    """
    runs = Runs(store, [], {}, {seed: [] for seed in seeds}, {})
    try:
        with answering():
            begin(runs, variant)
        yield runs
        with answering():
            finish(runs)
    except BaseException as error:
        with suppress(InputError), answering():
            for run in runs.ids:
                store.client.set_terminated(run, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def begin(runs: Runs, variant: Variant) -> None:
    """Creates the runs, the last seed's first: MLflow lists the newest on top."""
    client, experiment, origin = runs.store
    end_killed(runs.store)
    inputs = [lineage(data) for data in variant.data]
    common = origin | {
        "variant": variant.name,
        "process": f"{gethostname()}:{os.getpid()}",
        "mlflow.runColor": colour(runs.store, variant.name),
    }

    def create(name: str, params: Mapping[str, Any], tags: dict[str, str]) -> str:
        run = client.create_run(experiment, run_name=name, tags=common | tags)
        runs.ids.append(run.info.run_id)
        client.log_batch(runs.ids[-1], params=[Param(key, str(value)) for key, value in flat(params).items()])
        client.log_inputs(runs.ids[-1], inputs)
        return runs.ids[-1]

    parent = create(variant.name, {**variant.params, "seeds": list(runs.curves)}, {"level": "variant"})
    for seed in reversed(runs.curves):
        tags = {"level": "seed", "mlflow.parentRunId": parent}
        runs.children[seed] = create(f"{variant.name} · seed {seed}", {**variant.params, "seed": seed}, tags)


def end_killed(store: Store) -> None:
    """Ends the runs whose process, on this machine, is gone: killed, it could not say so."""
    for run in search(store, "attributes.status = 'RUNNING'"):
        host, _, process = run.data.tags.get("process", "").rpartition(":")
        if host == gethostname() and not pid_exists(int(process)):
            store.client.set_terminated(run.info.run_id, "KILLED")


def colour(store: Store, variant: str) -> str:
    """The variant's colour in the charts: the one that it had, else the first that no other has."""
    taken = {
        run.data.tags["variant"]: run.data.tags["mlflow.runColor"] for run in search(store, "tags.level = 'variant'")
    }
    return taken.get(variant) or next((colour for colour in COLOURS if colour not in taken.values()), COLOURS[-1])


@answering()
def record(runs: Runs, seed: int, epoch: Epoch) -> None:
    """Logs an epoch of a seed's run."""
    runs.curves[seed].append(epoch)
    runs.store.client.log_batch(runs.children[seed], points(epoch))


@answering()
def trained(runs: Runs, seed: int, model: Path) -> None:
    """Ends the run of a seed whose model is written."""
    runs.digests[seed] = checkpoint.digest(model)
    runs.store.client.set_tag(runs.children[seed], "sha256", runs.digests[seed])
    runs.store.client.set_terminated(runs.children[seed])


def finish(runs: Runs) -> None:
    """Ends the variant's run with the mean curve of its seeds, or deletes all if the same models are there already."""
    client, parent, content = runs.store.client, runs.ids[0], family(runs.digests.values())
    if find(runs.store, content):
        for run in runs.ids:
            client.delete_run(run)
        return
    for epochs in zip(*runs.curves.values(), strict=True):
        number, *measures = zip(*epochs, strict=True)
        client.log_batch(parent, points(Epoch(number[0], *map(fmean, measures))))
    client.set_tag(parent, "sha256", content)
    client.set_terminated(parent)


@answering()
def evaluate(
    store: Store,
    variant: Variant,
    *,
    models: Mapping[int, Path],
    curves: Mapping[int, Sequence[Epoch]],
    metrics: Mapping[int, Mapping[str, float]],
    robustness: Sequence[tuple[str, float, float]] = (),
    examples: Bytes,
    figures: Sequence[Path] = (),
) -> None:
    """Logs each seed's metrics and model, their means and the figures, to the runs that trained these models.

    Runs that the store does not know are made from `curves`. `examples`, a few images [N, 28, 28], show what a model
    takes.
    """
    digests = {seed: checkpoint.digest(path) for seed, path in models.items()}
    parent = find(store, family(digests.values())) or train_again(store, variant, models, curves)
    children = search(store, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    runs = {run.data.tags["sha256"]: run for run in children}
    inputs = {data.context: lineage(data) for data in variant.data}
    for seed, path in models.items():
        if digests[seed] not in runs:
            continue  # deleted in MLflow, and that is for its user to decide
        run = runs[digests[seed]]
        model = logged(store, digests[seed]) or log_model(store, path, f"{variant.name}-seed-{seed}", examples, run)
        if model.model_id not in outputs(run):
            store.client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
        score(store, run, metrics[seed], inputs, model.model_id)
    score(store, parent, means(metrics.values()), inputs)
    carry(store, parent, robustness)
    for figure in figures:
        store.client.log_artifact(parent.info.run_id, str(figure), f"figures/{figure.parent.name}")
    store.client.set_tag(parent.info.run_id, "mlflow.note.content", note(metrics))


@answering()
def illustrate(store: Store, models: Iterable[Path], folder: Path, name: str) -> None:
    """Logs the folder's files to the run that trained these models, unless it was deleted in MLflow."""
    if parent := find(store, family(map(checkpoint.digest, models))):
        store.client.log_artifacts(parent.info.run_id, str(folder), name)


def train_again(
    store: Store, variant: Variant, models: Mapping[int, Path], curves: Mapping[int, Sequence[Epoch]]
) -> Run:
    """Logs a training after the fact; returns the variant's run."""
    with train(store, variant, seeds=list(models)) as runs:
        for seed, path in models.items():
            for epoch in curves[seed]:
                record(runs, seed, epoch)
            trained(runs, seed, path)
    return store.client.get_run(runs.ids[0])


def score(
    store: Store,
    run: Run,
    metrics: Mapping[str, float],
    inputs: Mapping[str, DatasetInput],
    model_id: str | None = None,
) -> None:
    """Logs the metrics that are new or changed, each with the data that it was measured on and the model."""
    now = int(time.time() * 1000)

    def point(key: str, value: float) -> Metric:
        measured = inputs.get(MEASURED_ON.get(key.partition("_")[0], ""))
        on = {"dataset_name": measured.dataset.name, "dataset_digest": measured.dataset.digest} if measured else {}
        return Metric(key, value, now, 0, model_id, **on)

    # Bars of the accuracies all look alike; those of the errors tell the variants apart.
    errors = {
        f"{key.removesuffix('accuracy')}error_percent": 100 - 100 * metrics[key]
        for key in metrics
        if key.endswith("_accuracy")
    }
    rounded = {key: round(value, 6) for key, value in {**metrics, **errors}.items()}
    changed = [point(key, value) for key, value in rounded.items() if run.data.metrics.get(key) != value]
    store.client.log_batch(run.info.run_id, changed)
    store.client.log_inputs(run.info.run_id, list(inputs.values()))


def carry(store: Store, run: Run, robustness: Sequence[tuple[str, float, float]]) -> None:
    """Logs accuracies by (family, level) as curves, unless they are there; MLflow's steps are hundredths of a level."""
    now = int(time.time() * 1000)
    points = [Metric(f"robustness/{family}", value, now, round(100 * level)) for family, level, value in robustness]
    last = {point.key: point.value for point in points}
    store.client.log_batch(run.info.run_id, [p for p in points if run.data.metrics.get(p.key) != last[p.key]])


def log_model(store: Store, path: Path, name: str, examples: Bytes, run: Run | None = None) -> LoggedModel:
    """Logs a model as its safetensors file and the code that loads it; pixels [N, 28, 28] in, probabilities out."""
    run_id, params = (run.info.run_id, run.data.params) if run else (None, None)
    tags = {"sha256": checkpoint.digest(path)}
    made = store.client.create_logged_model(store.experiment, name, run_id, tags, params)
    with tempfile.TemporaryDirectory() as folder:
        pyfunc.save_model(
            f"{folder}/model",
            loader_module=__name__,
            data_path=str(path),
            code_paths=[str(Path(__file__).parent)],
            mlflow_model=Model(made.artifact_location, run_id, model_uuid=made.model_id, model_id=made.model_id),
            signature=infer_signature(examples, _load_pyfunc(str(path)).predict(examples)),
            input_example=examples,
            pip_requirements=[f"{package}=={version(package)}" for package in NEEDED],
        )
        store.client.log_model_artifacts(made.model_id, f"{folder}/model")
    return store.client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)


class Classifier(NamedTuple):
    """A logged model as MLflow loads it."""

    model: nn.Module

    def predict(self, images: Bytes) -> NDArray[np.float32]:
        """The probability [N, classes] of each class for raw pixels [N, 28, 28]."""
        probabilities: NDArray[np.float32] = softmax(predict(self.model, images), axis=1)
        return probabilities


def _load_pyfunc(path: str) -> Classifier:
    """Loads a logged model: MLflow calls it by this name."""
    return Classifier(checkpoint.load(Path(path)))


@answering()
def register(
    store: Store, path: Path, card: Mapping[str, Any], *, name: str, examples: Bytes, description: str
) -> Version:
    """The model's version in the registry, for the same model the same; its card stays with it.

    A model that the store does not know is logged under `name`, without a run.
    """
    client, digest = store.client, checkpoint.digest(path)
    with unless_there():
        client.create_registered_model(REGISTERED, description=REGISTRY)
    found = versions(store, digest)
    if not found:
        model = logged(store, digest) or log_model(store, path, name, examples)
        with as_default(store):
            arguments = REGISTERED, model.model_uri, model.source_run_id, {"sha256": digest}
            found = [client.create_model_version(*arguments, model_id=model.model_id)]
        registered = json.dumps([{"name": REGISTERED, "version": str(found[0].version)}])
        client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": registered})
    number = str(found[0].version)
    client.update_model_version(REGISTERED, number, description)
    client.set_model_version_tag(REGISTERED, number, "card", json.dumps(card, ensure_ascii=False))
    return Version(number, found[0].run_id or "")


@answering()
def promote(store: Store, digest: str) -> None:
    """Gives the alias `champion` to the registered version of that content."""
    found = versions(store, digest)
    if not found:
        raise InputError(f"MLflow's registry has no version of the model {digest[:16]}")
    store.client.set_registered_model_alias(REGISTERED, "champion", str(found[0].version))


@answering()
def champion(store: Store) -> str | None:
    """The content of the version that has the alias, if one has it."""
    try:
        found = store.client.get_model_version_by_alias(REGISTERED, "champion")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    return str(found.tags.get("sha256"))


@answering()
def download(store: Store, digest: str, folder: Path) -> Path | None:
    """Writes a registered model and its card into the folder and returns that, if the registry has both."""
    found = versions(store, digest)
    if not found or "card" not in found[0].tags:
        return None
    model = store.client.get_logged_model(str(found[0].source).removeprefix("models:/"))
    uri, tracking_uri = model.artifact_location, store.client.tracking_uri
    copy = download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri)
    [weights] = Path(copy).glob("data/*.safetensors")
    weights.rename(folder / "model.safetensors")
    (folder / "model.json").write_text(found[0].tags["card"])
    return folder


def versions(store: Store, digest: str) -> list[ModelVersion]:
    """The registered versions of that content: one, or none."""
    return list(store.client.search_model_versions(f"name = '{REGISTERED}' and tags.sha256 = '{digest}'"))


@contextmanager
def as_default(store: Store) -> Iterator[None]:
    """Makes this MLflow's default store for a while: there a registry in a database looks for a model's id."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    os.environ["MLFLOW_TRACKING_URI"] = store.client.tracking_uri
    try:
        yield
    finally:
        os.environ["MLFLOW_TRACKING_URI"] = given


def find(store: Store, content: str) -> Run | None:
    """The newest finished run of that content."""
    return next(iter(search(store, f"tags.sha256 = '{content}' and attributes.status = 'FINISHED'")), None)


def search(store: Store, condition: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """The runs for which the condition holds, newest first."""
    return store.client.search_runs([store.experiment], condition, view, order_by=["attributes.start_time DESC"])


@answering()
def knows(store: Store, digests: Iterable[str]) -> bool:
    """Whether the store has, or had until a user deleted it, the evaluated run of a variant with these models."""
    found = search(store, f"tags.sha256 = '{family(digests)}' and tags.level = 'variant'", ViewType.ALL)
    return any("val_accuracy" in run.data.metrics for run in found)


@answering()
def trace(store: Store, digest: str) -> dict[str, str]:
    """What the store has of a model: its version in the registry, its run, and the code of that."""
    told = {}
    for registered in versions(store, digest):
        told["version"] = f"{REGISTERED} {registered.version}"
    for run in search(store, f"tags.sha256 = '{digest}' and tags.level = 'seed'")[:1]:
        told["run"] = f"{run.info.run_id}, {run.info.run_name}"
        told["commit"] = run.data.tags.get("mlflow.source.git.commit", "")
        told["code changed since"] = run.data.tags.get("git.changed", "")
    return told


def logged(store: Store, digest: str) -> LoggedModel | None:
    """The model of that content, if it was logged whole."""
    models = store.client.search_logged_models([store.experiment], f"tags.sha256 = '{digest}'")
    return next((model for model in models if model.status == LoggedModelStatus.READY), None)


def outputs(run: Run) -> list[str]:
    """The ids of the models that the run is known to have made."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def family(digests: Iterable[str]) -> str:
    """The identity of a variant's run: of the models of its seeds together."""
    return hashlib.sha256(" ".join(sorted(digests)).encode()).hexdigest()


def lineage(data: Data) -> DatasetInput:
    """A part of the data set by its content's SHA-256, of which MLflow has room for the first half."""
    content = hashlib.sha256(data.part.images.tobytes() + data.part.labels.tobytes()).hexdigest()
    profile = json.dumps({"images": len(data.part.labels), "sha256": content})
    dataset = Dataset(data.name, content[:32], "local", json.dumps({"uri": data.source}), profile=profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])


def points(epoch: Epoch) -> list[Metric]:
    """An epoch as points of learning curves; their prefix makes them a section of MLflow's charts."""
    now = int(time.time() * 1000)
    values = {key: value for key, value in epoch._asdict().items() if key not in ("epoch", "seconds")}
    return [Metric(f"epoch/{key}", value, now, epoch.epoch) for key, value in values.items()]


def means(metrics: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over the seeds."""
    rows = list(metrics)
    return {key: fmean(row[key] for row in rows) for key in rows[0]}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return leaves


def note(metrics: Mapping[int, Mapping[str, float]]) -> str:
    """The seeds' metrics as a Markdown table, their means below."""
    mean = means(metrics.values())
    columns = list(mean)
    rows = [*metrics.items(), ("mean", mean)]
    lines = [f"| seed | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {seed} | {' | '.join(f'{row[key]:.4f}' for key in columns)} |" for seed, row in rows]
    return "\n".join(lines)
