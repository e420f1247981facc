import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import requests
import torch
from mlflow import MlflowClient, pyfunc
from mlflow.entities import Run
from scipy.special import softmax

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.dataset import Dataset
from digitline.model import checkpoint, networks
from digitline.model.evaluation import predict
from digitline.model.training import Epoch, fit
from digitline.tracking import store
from digitline.tracking.store import Data, Store, Variant

NETWORK: dict[str, Any] = {"network": "plain", "classes": 10, "filters": [], "hidden": 10}
RECIPE: dict[str, Any] = {
    "epochs": 2,
    "optimizer": "SGD",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "batch_size": 100,
    "warmup": 0.2,
    "label_smoothing": 0.0,
    "augmentation": {},
    "bfloat16": False,
}
METRICS = {seed: {"val_accuracy": 0.9 + seed / 100, "test_accuracy": 0.8, "test_nll": 0.5} for seed in (1, 2)}
CARD = {"variant": "small", "classes": ["null", "één"]}
SERVER = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own types, when pyfunc is imported
SOURCE = Path(store.__file__).parents[1]


class Study(NamedTuple):
    variant: Variant
    models: dict[int, Path]
    curves: dict[int, list[Epoch]]
    examples: np.ndarray


@pytest.fixture(scope="module")
def study(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A variant whose two seeds are trained."""
    folder, curves = tmp_path_factory.mktemp("models"), {}
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = networks.build(**NETWORK)
        curves[seed] = list(fit(model, digits.train, digits.test, seed=seed, **RECIPE))
        checkpoint.save(model, folder / f"seed-{seed}.safetensors", **NETWORK)
    data = [Data("training", "mnist", digits.train, "data"), Data("validation", "mnist", digits.test, "data")]
    variant = Variant("small", {"model": NETWORK, **RECIPE}, data)
    return Study(
        variant, {seed: folder / f"seed-{seed}.safetensors" for seed in (1, 2)}, curves, digits.test.images[:2]
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("tables") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose database has no experiment."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_STAGE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "a clone"
    root.mkdir()
    shutil.copy(tables, root)
    return root


@pytest.fixture
def store(folder: Path) -> Store:
    return store.connect(folder, dataset="mnist")


def train(store: Store, study: Study) -> None:
    with store.train(store, study.variant, seeds=list(study.models)) as runs:
        for seed, path in study.models.items():
            for epoch in study.curves[seed]:
                store.record(runs, seed, epoch)
            store.trained(runs, seed, path)


def evaluate(store: Store, study: Study, metrics: dict[int, dict[str, float]] = METRICS, **options: Any) -> None:
    store.evaluate(
        store,
        study.variant,
        models=study.models,
        curves=study.curves,
        metrics=metrics,
        examples=study.examples,
        figures=[Path("data/mnist/README.md")],
        **options,
    )


def promote(store: Store, study: Study, seed: int) -> str:
    """The number of the version."""
    path = study.models[seed]
    found = store.register(
        store, path, CARD | {"seed": seed}, name="small", examples=study.examples, description="good"
    )
    store.promote(store, digest(path))
    return found.number


def runs_of(store: Store) -> dict[str, Run]:
    runs = store.search(store, "")
    named = {str(run.info.run_name): run for run in runs}
    assert len(named) == len(runs)
    return named


def test_a_variant_is_a_run_with_a_child_a_seed_and_a_point_an_epoch(store: Store, study: Study) -> None:
    train(store, study)
    runs = runs_of(store)
    assert list(runs) == ["small · seed 1", "small · seed 2", "small"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    child = runs["small · seed 2"]
    assert child.data.tags["mlflow.parentRunId"] == runs["small"].info.run_id
    assert child.data.tags["sha256"] == digest(study.models[2])
    assert child.data.params["model.hidden"] == "10"
    assert child.data.params["seed"] == "2"
    points = store.client.get_metric_history(child.info.run_id, "epoch/train_loss")
    assert [(p.step, p.value) for p in points] == [(epoch.epoch, epoch.train_loss) for epoch in study.curves[2]]
    means = store.client.get_metric_history(runs["small"].info.run_id, "epoch/train_loss")
    assert means[1].value == pytest.approx((study.curves[1][1].train_loss + study.curves[2][1].train_loss) / 2)


def test_the_data_of_a_run_are_known_by_content(store: Store, study: Study) -> None:
    train(store, study)
    inputs = runs_of(store)["small · seed 1"].inputs
    assert inputs
    assert {i.tags[0].value: i.dataset.digest for i in inputs.dataset_inputs} == {
        data.context: store.lineage(data).dataset.digest for data in study.variant.data
    }
    changed = study.variant.data[0].part.images.copy()
    changed[0, 0, 0] += 1
    data = study.variant.data[0]
    assert store.lineage(data._replace(part=data.part._replace(images=changed))) != store.lineage(data)


def test_runs_of_a_killed_process_are_ended_by_the_next_training(store: Store, study: Study) -> None:
    killed, running = (store.Runs(store, [], {}, {seed: []}, {}) for seed in (1, 2))
    store.begin(killed, study.variant)
    with subprocess.Popen(["true"]) as gone:
        pass
    for run in killed.ids:
        store.client.set_tag(run, "process", f"{socket.gethostname()}:{gone.pid}")
    store.begin(running, study.variant)
    assert {store.client.get_run(run).info.status for run in killed.ids} == {"KILLED"}
    assert {store.client.get_run(run).info.status for run in running.ids} == {"RUNNING"}


def test_robustness_becomes_curves_once(store: Store, study: Study) -> None:
    train(store, study)
    lines = [("shift right", -1.0, 0.5), ("shift right", 0.0, 0.9), ("scale", 0.5, 0.3)]
    for _ in range(2):
        evaluate(store, study, robustness=lines)
    (parent,) = (run for run in runs_of(store).values() if run.data.tags["level"] == "variant")
    history = store.client.get_metric_history(parent.info.run_id, "robustness/shift right")
    assert [(point.step, point.value) for point in history] == [(-100, 0.5), (0, 0.9)]
    assert parent.data.metrics["robustness/scale"] == 0.3


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (InputError, "FAILED")])
def test_a_training_cut_short_is_not_left_running(
    store: Store, study: Study, error: type[BaseException], status: str
) -> None:
    with suppress(error), store.train(store, study.variant, seeds=[1, 2]) as runs:
        store.record(runs, 1, study.curves[1][0])
        raise error
    assert [run.info.status for run in runs_of(store).values()] == [status] * 3
    train(store, study)
    evaluate(store, study)
    assert [len(store.search(store, f"attributes.status = '{s}'")) for s in (status, "FINISHED")] == [3, 3]


def test_training_to_the_same_models_again_leaves_the_first_runs(store: Store, study: Study) -> None:
    train(store, study)
    first = {run.info.run_id for run in runs_of(store).values()}
    train(store, study)
    assert {run.info.run_id for run in runs_of(store).values()} == first


def test_evaluating_again_updates_the_same_runs_and_models(store: Store, study: Study) -> None:
    train(store, study)
    evaluate(store, study)
    evaluate(store, study)
    worse = {seed: metrics | {"val_accuracy": 0.5} for seed, metrics in METRICS.items()}
    evaluate(store, study, worse)
    runs = runs_of(store)
    parent, child = runs["small"], runs["small · seed 2"]
    history = store.client.get_metric_history(child.info.run_id, "val_accuracy")
    assert [point.value for point in history] == [0.92, 0.5]
    assert child.data.metrics["val_accuracy"] == parent.data.metrics["val_accuracy"] == 0.5
    assert parent.data.metrics["test_error_percent"] == 20
    assert len(store.outputs(child)) == 1
    assert len(store.client.search_logged_models([store.experiment])) == 2
    assert [file.path for file in store.client.list_artifacts(parent.info.run_id, "figures/mnist")] == [
        "figures/mnist/README.md"
    ]
    assert "| mean | 0.5000 | 0.8000 | 0.5000 |" in parent.data.tags["mlflow.note.content"]


def test_the_metrics_of_a_model_are_bound_to_it_and_to_its_data(store: Store, study: Study) -> None:
    evaluate(store, study)
    model = store.logged(store, digest(study.models[2]))
    assert model
    accuracy = next(metric for metric in model.metrics or [] if metric.key == "val_accuracy")
    assert (accuracy.value, accuracy.dataset_digest) == (
        0.92,
        store.lineage(study.variant.data[1]).dataset.digest,
    )


def test_a_store_that_knows_nothing_is_filled_from_the_files(store: Store, study: Study) -> None:
    evaluate(store, study)
    runs = runs_of(store)
    assert len(runs) == 3
    assert runs["small"].data.metrics["val_accuracy"] == pytest.approx(0.915)
    points = store.client.get_metric_history(runs["small · seed 1"].info.run_id, "epoch/val_accuracy")
    assert [point.value for point in points] == [epoch.val_accuracy for epoch in study.curves[1]]


def test_a_store_knows_a_variant_once_it_is_evaluated_even_if_it_was_deleted(store: Store, study: Study) -> None:
    digests = [digest(path) for path in study.models.values()]
    train(store, study)
    assert not store.knows(store, digests)
    evaluate(store, study)
    assert store.knows(store, digests)
    store.client.delete_run(runs_of(store)["small"].info.run_id)
    assert store.knows(store, digests)
    assert not store.knows(store, digests[:1])


def test_a_model_is_traced_to_its_run_its_version_and_its_commit(store: Store, study: Study) -> None:
    evaluate(store, study)
    promote(store, study, 2)
    run = runs_of(store)["small · seed 2"]
    told = store.trace(store, digest(study.models[2]))
    assert (told["version"], told["run"]) == ("digitline 1", f"{run.info.run_id}, small · seed 2")
    assert store.trace(store, "0" * 64) == {}


def test_a_run_deleted_in_mlflow_stays_deleted(store: Store, study: Study) -> None:
    train(store, study)
    store.client.delete_run(runs_of(store)["small · seed 1"].info.run_id)
    evaluate(store, study)
    assert list(runs_of(store)) == ["small · seed 2", "small"]


def test_a_logged_model_gives_the_probabilities_of_its_file_without_pickle(
    store: Store, study: Study, digits: Dataset
) -> None:
    evaluate(store, study)
    logged = store.logged(store, digest(study.models[1]))
    assert logged
    loaded = pyfunc.load_model(logged.artifact_location)
    probabilities = loaded.predict(digits.test.images)
    logits = predict(checkpoint.load(study.models[1]), digits.test.images)
    np.testing.assert_array_equal(probabilities, softmax(logits, 1))
    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 28, 28)
    np.testing.assert_array_equal(loaded.input_example, study.examples)
    names = {path.suffix for path in Path(logged.artifact_location).rglob("*") if path.is_file()}
    assert names <= {"", ".json", ".py", ".safetensors", ".txt", ".yaml"}


def test_promoting_moves_the_alias_and_makes_one_version_a_model(store: Store, study: Study) -> None:
    evaluate(store, study)
    assert [promote(store, study, seed) for seed in (1, 2, 2, 1, 2)] == ["1", "2", "2", "1", "2"]
    champion = store.client.get_model_version_by_alias("digitline", "champion")
    assert champion.tags["sha256"] == digest(study.models[2])
    assert champion.run_id == runs_of(store)["small · seed 2"].info.run_id
    assert champion.description == "good"
    logged = store.logged(store, champion.tags["sha256"])
    assert logged
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "digitline", "version": "2"}]
    assert len(store.client.search_model_versions("name = 'digitline'")) == 2


def test_a_model_that_the_store_does_not_know_can_be_promoted(
    store: Store, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert promote(store, study, 1) == promote(store, study, 1) == "1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.client.tracking_uri)
    assert pyfunc.load_model("models:/digitline@champion").predict(study.examples).shape == (2, 10)


def test_the_registry_tells_its_champion_and_gives_back_each_model_with_its_card(
    store: Store, study: Study, tmp_path: Path
) -> None:
    assert store.champion(store) is None
    digests = [digest(study.models[seed]) for seed in (1, 2)]
    with pytest.raises(InputError, match=f"MLflow's registry has no version of the model {digests[0][:16]}"):
        store.promote(store, digests[0])
    for seed in (1, 2):
        promote(store, study, seed)
    assert store.champion(store) == digests[1]
    folder = store.download(store, digests[0], tmp_path)
    assert folder
    assert digest(folder / "model.safetensors") == digests[0]
    assert json.loads((folder / "model.json").read_text()) == CARD | {"seed": 1}
    assert store.download(store, "0" * 64, tmp_path) is None


def test_the_view_of_the_leaderboard_names_what_the_runs_have(store: Store, study: Study) -> None:
    evaluate(store, study)
    view = json.loads(store.client.get_experiment(store.experiment).tags["mlflow.sharedViewState.leaderboard"])
    state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    assert [run.info.run_name for run in store.search(store, state["searchFilter"])] == ["small"]
    data = runs_of(store)["small"].data
    assert {"metrics.`val_accuracy`", "metrics.`test_nll`", "params.`epochs`"} <= set(state["selectedColumns"])
    assert data.metrics.keys() >= {"val_accuracy", "test_nll"}
    assert "epochs" in data.params


def test_a_variant_keeps_its_colour_and_shares_it_with_no_other(store: Store, study: Study) -> None:
    colours = []
    for name in ("small", "large", "small"):
        with suppress(InputError), store.train(store, study.variant._replace(name=name), seeds=[1]) as runs:
            colours += [store.client.get_run(run).data.tags["mlflow.runColor"] for run in runs.ids]
            raise InputError
    assert colours[0] == colours[1] == colours[4] == colours[5]
    assert colours[2] == colours[3] != colours[0]


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
    clean = store.connect(folder, dataset="mnist", code=["params.yaml"])
    (folder / "params.yaml").write_text("b")
    changed = store.connect(folder, dataset="mnist", code=["params.yaml"])
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
    queued = store.connect(copy, dataset="mnist")
    promote(queued, study, 1)
    monkeypatch.chdir("/")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert promote(store.connect(folder, dataset="mnist"), study, 1) == "1"
    assert list((folder / "mlruns" / "mnist").rglob("*.safetensors"))
    assert not list(copy.iterdir())


def test_two_processes_may_be_first_in_a_new_store(tmp_path: Path) -> None:
    code = "from pathlib import Path; from digitline import tracking; store.connect(Path.cwd(), dataset='mnist')"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate()[1].decode() for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]


@pytest.fixture
def server(tables: Path, tmp_path: Path) -> Iterator[str]:
    """A tracking server of its own on loopback."""
    shutil.copy(tables, tmp_path)
    port = free_port()
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    options = ["--port", str(port), "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "files"]
    log = (tmp_path / "server.log").open("w")
    with log, subprocess.Popen([*SERVER, *options], cwd=tmp_path, env=environment, stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} does not answer")


def test_mlflow_tracking_uri_moves_all_of_it_to_a_server(
    server: str, folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    store = store.connect(folder, dataset="mnist")
    train(store, study)
    evaluate(store, study)
    evaluate(store, study)
    assert promote(store, study, 2) == promote(store, study, 2) == "1"
    assert list(runs_of(store)) == ["small · seed 1", "small · seed 2", "small"]
    assert pyfunc.load_model("models:/digitline@champion").predict(study.examples).shape == (2, 10)
    assert not (folder / "mlruns").exists()
    assert not MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").get_experiment_by_name("digitline-mnist")
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"^http://127.0.0.1:\d+ is no MLflow store to use: .*refused") as caught:
        store.connect(folder, dataset="mnist")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["mysql+nodriver://127.0.0.1/x", "./mlruns", "nonsense://x"])
def test_a_store_of_a_kind_that_cannot_be_used_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match=r"is no MLflow store to use: MLflow failed: \w"):
        store.connect(folder, dataset="mnist")


def test_a_file_that_is_no_database_is_refused_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match=r"mlflow\.db is no MLflow store to use: .*not a database"):
        store.connect(folder, dataset="mnist")
    assert capfd.readouterr() == ("", "")


def test_a_store_that_was_moved_is_refused(folder: Path, store: Store) -> None:
    moved = folder.rename(folder.with_name("moved"))
    with pytest.raises(InputError, match=r"made in another place, with its files in .*a clone/mlruns/mnist"):
        store.connect(moved, dataset="mnist")
