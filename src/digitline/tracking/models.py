"""Logs and registers models in MLflow, each as its safetensors file and as ONNX, found by content."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow import pyfunc
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.dataset import Bytes
from digitline.tracking.failures import answering, unless_there
from digitline.tracking.store import Store, alone, search

REGISTERED = "digitline"
VERSIONS = "mlflow.modelVersions"  # the tag of a logged model that was registered
REGISTRY = "Images in, pixels of 0-255; the probability of each class out. `champion` is the version to serve."
EXPORTED = "model.onnx"
NEEDED = ["mlflow", "numpy", "pydantic", "safetensors", "scipy", "torch"]  # to load a logged model


def requirements() -> list[str]:
    """The pinned requirements of a logged model; each machine takes the build of torch that its index offers."""
    return [f"{package}=={version(package).partition('+')[0]}" for package in NEEDED]


def logged(store: Store, sha256: str) -> LoggedModel | None:
    """The logged model with that SHA-256, if MLflow can load it."""
    model = known(store, sha256)
    return model if model and whole(store, model) else None


def known(store: Store, sha256: str) -> LoggedModel | None:
    """The logged model with that SHA-256, perhaps without its files; of several, the registered or a finished one."""
    models = store.client.search_logged_models([store.experiment], f"tags.sha256 = '{sha256}'")
    return max(models, key=lambda one: (VERSIONS in one.tags, one.status == LoggedModelStatus.READY), default=None)


def whole(store: Store, model: LoggedModel) -> bool:
    """Whether the model's logging was completed and its files are still there, the weights undamaged."""

    def listed(path: str | None = None) -> set[str]:
        return {file.path for file in store.client.list_logged_model_artifacts(model.model_id, path)}

    if model.status != LoggedModelStatus.READY or not {"MLmodel", "code", "data"} <= listed():
        return False
    weights = [path for path in listed("data") if path.endswith(".safetensors")]
    with tempfile.TemporaryDirectory() as folder:
        return [digest(fetch(store, model, path, folder)) for path in weights] == [model.tags["sha256"]]


def fetch(store: Store, model: LoggedModel, path: str, folder: str) -> Path:
    """Copies a file or folder of a logged model to the folder and returns its path there."""
    uri = f"{model.artifact_location}/{path}"
    return Path(download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=store.client.tracking_uri))


def log(
    store: Store,
    path: Path,
    name: str,
    examples: Bytes,
    run: Run | None = None,
    *,
    exported: Path,
    model: LoggedModel | None = None,
) -> LoggedModel:
    """Logs a model's two files and the code that loads the first; takes pixels of 0-255, returns probabilities.

    mlflow.pyfunc.load_model loads the safetensors file in PyTorch, mlflow.onnx.load_model the exported one. A model
    that the store has stays as it is; one that has lost its files, `model` or that of this SHA-256, gets them again,
    and so does one of an earlier version of digitline, which exported none.
    """
    tags = {"sha256": digest(path)}
    made = model or known(store, tags["sha256"])
    if not made:
        run_id, params = (run.info.run_id, run.data.params) if run else (None, None)
        made = store.client.create_logged_model(store.experiment, name, run_id, tags, params)
    return made if whole(store, made) and exports(store, made) else fill(store, made, path, exported, examples)


def exports(store: Store, model: LoggedModel) -> bool:
    """Whether the model is there as ONNX."""
    return EXPORTED in {file.path for file in store.client.list_logged_model_artifacts(model.model_id)}


def fill(store: Store, made: LoggedModel, path: Path, exported: Path, examples: Bytes) -> LoggedModel:
    """Writes the files of a logged model."""
    from digitline.tracking import loader  # PyTorch takes a second to import; the registry does not need it

    run_id, model_id = made.source_run_id, made.model_id
    with tempfile.TemporaryDirectory() as folder:
        # MLflow keeps a file's mode, which is read-only where DVC links outputs to its cache.
        weights = shutil.copyfile(path, f"{folder}/{path.name}")
        pyfunc.save_model(
            f"{folder}/model",
            loader_module=loader.__name__,
            data_path=weights,
            code_paths=[str(Path(__file__).parents[1])],
            mlflow_model=with_onnx(Model(made.artifact_location, run_id, model_uuid=model_id, model_id=model_id)),
            signature=infer_signature(examples, loader.load(path).predict(examples)),
            input_example=examples,
            pip_requirements=requirements(),
        )
        shutil.copyfile(exported, f"{folder}/model/{EXPORTED}")
        store.client.log_model_artifacts(model_id, f"{folder}/model")
    return store.client.finalize_logged_model(model_id, LoggedModelStatus.READY)


def with_onnx(model: Model) -> Model:
    """The same description with the exported file as another flavour, as mlflow.onnx describes it."""
    return model.add_flavor("onnx", onnx_version=version("onnx"), data=EXPORTED, providers=["CPUExecutionProvider"])


@answering()
def register(
    store: Store,
    path: Path,
    card: Mapping[str, Any],
    *,
    exported: Path,
    description: str,
    examples: Callable[[], Bytes],
) -> dict[str, str]:
    """Registers a model as a version, with its card; registering it again gives the same version.

    Returns the version's number and the id of the run that logged it, "" if there is none. A model that the store does
    not have is logged without a run, and one that has lost its files gets them again; `examples`, a few images
    of the model's shape, are its input example.
    """
    client = store.client
    with alone(store):
        with unless_there():
            client.create_registered_model(REGISTERED, description=REGISTRY)
        name = f"{card['variant']}-seed-{card['seed']}"
        version = registered(store, path, name, examples, exported=exported)
        number = str(version.version)
        client.update_model_version(REGISTERED, number, description)
        client.set_model_version_tag(REGISTERED, number, "card", json.dumps(card, ensure_ascii=False))
    return {"mlflow_version": number, "mlflow_run": version.run_id or ""}


def registered(store: Store, path: Path, name: str, examples: Callable[[], Bytes], *, exported: Path) -> ModelVersion:
    """The version of a model, whose logged model MLflow can load."""
    client, sha256 = store.client, digest(path)
    found = versions(store, sha256)
    model = source(store, found[0]) if found else known(store, sha256)
    if not model or not whole(store, model) or not exports(store, model):
        model = log(store, path, name, examples(), exported=exported, model=model)
    if found and found[0].source == model.model_uri:
        return found[0]
    for stale in found:  # its logged model was deleted in MLflow, and a version cannot get another one
        client.delete_model_version(REGISTERED, str(stale.version))
    with as_default(store):
        arguments = REGISTERED, model.model_uri, model.source_run_id, {"sha256": sha256}
        version = client.create_model_version(*arguments, model_id=model.model_id)
    # As MLflow does when it registers a model by URI, so that the model's page names the version.
    named = json.dumps([{"name": REGISTERED, "version": str(version.version)}])
    client.set_logged_model_tags(model.model_id, {VERSIONS: named})
    return version


def source(store: Store, version: ModelVersion) -> LoggedModel | None:
    """The logged model of a version, unless it was deleted in MLflow."""
    try:
        return store.client.get_logged_model(str(version.source).removeprefix("models:/"))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


@answering()
def promote(store: Store, sha256: str) -> None:
    """Gives the alias `champion` to the registered version with that SHA-256."""
    found = versions(store, sha256)
    if not found:
        raise InputError(f"MLflow's registry has no version of the model {sha256[:16]}")
    store.client.set_registered_model_alias(REGISTERED, "champion", str(found[0].version))


@answering()
def champion(store: Store) -> str | None:
    """The SHA-256 of the version with the alias, if there is one and MLflow can load its model."""
    try:
        found = store.client.get_model_version_by_alias(REGISTERED, "champion")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    model = source(store, found)
    return str(found.tags.get("sha256")) if model and whole(store, model) else None


@answering()
def download(store: Store, sha256: str, folder: Path) -> Path | None:
    """Writes a registered model and its card to the folder and returns it, if the registry has both."""
    found = versions(store, sha256)
    model = source(store, found[0]) if found and "card" in found[0].tags else None
    if not model or not whole(store, model):
        return None
    [weights] = fetch(store, model, "data", str(folder)).glob("*.safetensors")
    weights.rename(folder / "model.safetensors")
    card = json.loads(found[0].tags["card"])
    if exports(store, model):
        fetch(store, model, EXPORTED, str(folder))
    if not (folder / EXPORTED).exists() or digest(folder / EXPORTED) != card.get("onnx_sha256"):
        card.pop("onnx_sha256", None)  # of an earlier version, or exported again since; it can be made anew
    (folder / "model.json").write_text(json.dumps(card, ensure_ascii=False))
    return folder


def versions(store: Store, sha256: str) -> list[ModelVersion]:
    """The registered versions with that SHA-256: at most one."""
    return list(store.client.search_model_versions(f"name = '{REGISTERED}' and tags.sha256 = '{sha256}'"))


@contextmanager
def as_default(store: Store) -> Iterator[None]:
    """Makes this MLflow's default store for a while, where a registry in a database looks up a model's id."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = store.client.tracking_uri
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
        if given is not None:
            os.environ["MLFLOW_TRACKING_URI"] = given


@answering()
def trace(store: Store, sha256: str) -> dict[str, str]:
    """What the store knows about a model: its registered version, its run, and that run's code."""
    found = {}
    for registered in versions(store, sha256):
        found["version"] = f"{REGISTERED} {registered.version}"
    for run in search(store, f"tags.sha256 = '{sha256}' and tags.level = 'seed'")[:1]:
        found["run"] = f"{run.info.run_id}, {run.info.run_name}"
        found["commit"] = run.data.tags.get("mlflow.source.git.commit", "")
        found["code changed since"] = run.data.tags.get("git.changed", "")
    return found
