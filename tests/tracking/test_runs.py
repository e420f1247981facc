import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data.dataset import Part
from digitline.tracking import models, runs
from digitline.tracking.store import Store, connect, search
from tests.tracked import METRICS, Study, evaluate, runs_of, train

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own types, when pyfunc is imported


def test_a_variant_is_a_run_with_a_child_per_seed_and_a_point_per_epoch(store: Store, study: Study) -> None:
    train(store, study)
    named = runs_of(store)
    assert list(named) == ["small · seed 1", "small · seed 2", "small"]
    assert {run.info.status for run in named.values()} == {"FINISHED"}
    child = named["small · seed 2"]
    assert child.data.tags["mlflow.parentRunId"] == named["small"].info.run_id
    assert child.data.tags["sha256"] == digest(study.models[2])
    assert child.data.params["model.hidden"] == "10"
    assert child.data.params["seed"] == "2"
    points = store.client.get_metric_history(child.info.run_id, "epoch/train_loss")
    assert [(p.step, p.value) for p in points] == [(epoch.epoch, epoch.train_loss) for epoch in study.curves[2]]
    means = store.client.get_metric_history(named["small"].info.run_id, "epoch/train_loss")
    assert means[1].value == pytest.approx((study.curves[1][1].train_loss + study.curves[2][1].train_loss) / 2)


def test_the_data_of_a_run_are_identified_by_content(store: Store, study: Study) -> None:
    train(store, study)
    inputs = runs_of(store)["small · seed 1"].inputs
    assert inputs
    assert {i.tags[0].value: i.dataset.digest for i in inputs.dataset_inputs} == {
        data.context: runs.lineage(data).dataset.digest for data in study.variant.data
    }
    data = study.variant.data[0]
    changed = np.array(data.part.images[:])
    changed[0, 0, 0] += 1
    assert runs.lineage(data._replace(part=Part(changed, data.part.labels))) != runs.lineage(data)


def test_runs_of_a_killed_process_are_ended_by_the_next_training(store: Store, study: Study) -> None:
    killed, running = (runs.opened(store, study.variant, [seed]) for seed in (1, 2))
    runs.begin(killed, study.variant)
    with subprocess.Popen(["true"]) as gone:
        pass
    for run in killed.ids:
        store.client.set_tag(run, "process", f"{socket.gethostname()}:{gone.pid}")
    runs.begin(running, study.variant)
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
def test_an_interrupted_training_is_not_left_running(
    store: Store, study: Study, error: type[BaseException], status: str
) -> None:
    with suppress(error), runs.train(store, study.variant, seeds=[1, 2]) as begun:
        runs.record(begun, 1, study.curves[1][0])
        raise error
    assert [run.info.status for run in runs_of(store).values()] == [status] * 3
    train(store, study)
    evaluate(store, study)
    assert [len(search(store, f"attributes.status = '{s}'")) for s in (status, "FINISHED")] == [3, 3]


def test_training_the_same_models_again_keeps_the_first_runs(store: Store, study: Study) -> None:
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
    named = runs_of(store)
    parent, child = named["small"], named["small · seed 2"]
    history = store.client.get_metric_history(child.info.run_id, "val_accuracy")
    assert [point.value for point in history] == [0.92, 0.5]
    assert child.data.metrics["val_accuracy"] == parent.data.metrics["val_accuracy"] == 0.5
    assert parent.data.metrics["test_error_percent"] == 20
    assert len(runs.outputs(child)) == 1
    assert len(store.client.search_logged_models([store.experiment])) == 2
    assert "| mean | 0.5000 | 0.8000 | 0.5000 |" in parent.data.tags["mlflow.note.content"]


def test_metrics_are_linked_to_their_model_and_data(store: Store, study: Study) -> None:
    evaluate(store, study)
    model = models.logged(store, digest(study.models[2]))
    assert model
    accuracy = next(metric for metric in model.metrics or [] if metric.key == "val_accuracy")
    assert (accuracy.value, accuracy.dataset_digest) == (
        0.92,
        runs.lineage(study.variant.data[1]).dataset.digest,
    )


def test_an_empty_store_is_filled_from_the_files(store: Store, study: Study) -> None:
    evaluate(store, study)
    named = runs_of(store)
    assert len(named) == 3
    assert named["small"].data.metrics["val_accuracy"] == pytest.approx(0.915)
    points = store.client.get_metric_history(named["small · seed 1"].info.run_id, "epoch/val_accuracy")
    assert [point.value for point in points] == [epoch.val_accuracy for epoch in study.curves[1]]


def test_a_store_knows_a_variant_once_it_is_evaluated_even_if_it_was_deleted(store: Store, study: Study) -> None:
    digests = [digest(path) for path in study.models.values()]
    train(store, study)
    assert not runs.knows(store, digests)
    evaluate(store, study)
    assert runs.knows(store, digests)
    store.client.delete_run(runs_of(store)["small"].info.run_id)
    assert runs.knows(store, digests)
    assert not runs.knows(store, digests[:1])


def test_a_store_knows_an_evaluation_by_its_content(store: Store, study: Study) -> None:
    digests = [digest(path) for path in study.models.values()]
    evaluate(store, study, content="first")
    assert runs.knows(store, digests, "first")
    assert not runs.knows(store, digests, "second")


def test_a_figure_is_shown_once_it_is_logged_as_it_is(store: Store, study: Study, tmp_path: Path) -> None:
    figure = tmp_path / "confusion" / "small.png"
    figure.parent.mkdir()
    figure.write_bytes(b"first")
    given = study.models.values(), {"figures/confusion": [figure]}
    train(store, study)
    assert not runs.shows(store, *given)
    runs.draw(store, study.models.values(), [figure], "#123456")
    assert runs.shows(store, *given)
    figure.write_bytes(b"changed")
    assert not runs.shows(store, *given)
    store.client.delete_run(runs_of(store)["small"].info.run_id)
    assert runs.shows(store, *given)


@contextmanager
def broken(folder: Path) -> Iterator[None]:
    """A database that refuses metrics."""

    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            database.execute(f"alter table {old} rename to {new}")

    rename("metrics", "away")
    yield
    rename("away", "metrics")


def test_a_failure_of_mlflow_does_not_end_a_training_and_its_runs_are_logged_later(
    folder: Path, store: Store, study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    with runs.train(store, study.variant, seeds=[1, 2]) as begun:
        runs.record(begun, 1, study.curves[1][0])
        with broken(folder):
            for seed, path in study.models.items():
                runs.record(begun, seed, study.curves[seed][1])
                runs.trained(begun, seed, path)
            runs.illustrate(store, study.models.values(), Path("data/mnist"), "insight")
    [warning] = capfd.readouterr().err.splitlines()
    assert warning.startswith("warning: MLflow lacks the training of small: MLflow failed: ")
    assert "no such table: metrics" in warning
    assert "SQL:" not in warning
    assert warning.endswith("; digitline runs logs it later")
    later = connect(folder, dataset="mnist")
    assert runs_of(later) == {}
    evaluate(later, study)
    assert {run.info.status for run in runs_of(later).values()} == {"FINISHED"}
    points = later.client.get_metric_history(runs_of(later)["small · seed 1"].info.run_id, "epoch/val_loss")
    assert len(points) == 2


def test_runs_that_could_only_be_logged_in_part_are_not_kept(folder: Path, store: Store, study: Study) -> None:
    with broken(folder), pytest.raises(InputError, match=r"^MLflow failed: .*no such table: metrics"):
        evaluate(store, study)
    assert runs_of(store) == {}


def test_files_that_cannot_be_written_are_a_failure_of_mlflow(folder: Path, store: Store, study: Study) -> None:
    (folder / "mlruns").write_text("in the way")
    with pytest.raises(InputError, match=r"MLflow failed: .*Not a directory"):
        evaluate(store, study)


def test_the_measures_per_class_are_a_table_of_each_run(store: Store, study: Study) -> None:
    tables = {None: "class,recall\na,0.5\n", 1: "class,recall\na,0.4\n", 2: "class,recall\na,0.6\n"}
    for _ in range(2):
        evaluate(store, study, classes=tables)
    named = runs_of(store)
    for name, seed in (("small", None), ("small · seed 2", 2)):
        place = store.client.download_artifacts(named[name].info.run_id, "per_class_metrics.csv")
        assert Path(place).read_text() == tables[seed]


def test_a_run_deleted_in_mlflow_stays_deleted(store: Store, study: Study) -> None:
    train(store, study)
    store.client.delete_run(runs_of(store)["small · seed 1"].info.run_id)
    evaluate(store, study)
    assert list(runs_of(store)) == ["small · seed 2", "small"]


def test_a_variant_s_runs_have_its_colour_and_its_own_run_the_figures(store: Store, study: Study) -> None:
    train(store, study)
    for _ in range(2):
        runs.draw(store, study.models.values(), [Path("data/mnist/README.md")], "#123456")
    named = runs_of(store)
    assert {run.data.tags["mlflow.runColor"] for run in named.values()} == {"#123456"}
    files = {name: store.client.list_artifacts(run.info.run_id, "figures/mnist") for name, run in named.items()}
    assert {name: [file.path for file in found] for name, found in files.items() if found} == {
        "small": ["figures/mnist/README.md"]
    }


def test_figures_of_models_that_the_store_does_not_have_are_omitted(store: Store, study: Study) -> None:
    runs.draw(store, study.models.values(), [Path("data/mnist/README.md")], "#123456")
    runs.illustrate(store, study.models.values(), Path("data/mnist"), "insight")
    assert runs_of(store) == {}


def test_a_variant_s_insight_is_logged_to_its_own_run(store: Store, study: Study) -> None:
    train(store, study)
    runs.illustrate(store, study.models.values(), Path("data/mnist"), "insight")
    found = store.client.list_artifacts(runs_of(store)["small"].info.run_id, "insight")
    assert "insight/README.md" in [file.path for file in found]
