"""A checkout that was moved or copied takes its MLflow store along."""

import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient, pyfunc

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.tracking import models, move
from digitline.tracking.store import Store, connect
from tests import warm
from tests.served import ROOT
from tests.tracked import Study, evaluate, promote, runs_of, train

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own types, when pyfunc is imported


@pytest.fixture(scope="module")
def filled(tables: Path, study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose store has runs with notes and files, logged models, and a champion; read-only."""
    root = tmp_path_factory.mktemp("filled") / "a clone"
    root.mkdir()
    shutil.copy(tables, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = connect(root, dataset="mnist")
    train(store, study)
    evaluate(store, study)
    promote(store, study, 2)
    (root / "page.txt").write_text("as logged")
    for run in runs_of(store).values():
        store.client.log_artifact(run.info.run_id, str(root / "page.txt"))
    store.client.set_tag(runs_of(store)["small"].info.run_id, "mlflow.note.content", "the user's note")
    store.client.create_experiment("another", f"{root}s/mlruns/another")  # of a folder whose name begins as this one's
    return root


@pytest.fixture
def moved(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store in another place, whose paths still name the first one."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copytree(filled, tmp_path / "moved here #1")


def dump(root: Path, name: str = "mlflow.db") -> str:
    """A whole database as text."""
    with closing(sqlite3.connect(root / name)) as database:
        return "\n".join(database.iterdump())


def descriptions(root: Path) -> set[str]:
    """The checkouts that the descriptions of the logged models name."""
    found = {move.description(path)["artifact_path"].partition("/mlruns")[0] for path in root.rglob("MLmodel")}
    assert found
    return found


def whole(store: Store, root: Path, study: Study) -> None:
    """The store has its runs, note, files and champion, all of them in this place."""
    found = runs_of(store)
    assert set(found) == {"small", "small · seed 1", "small · seed 2"}
    assert found["small"].data.tags["mlflow.note.content"] == "the user's note"
    for run in found.values():
        text = store.client.download_artifacts(run.info.run_id, "page.txt")
        assert Path(text).read_text() == "as logged"
    assert models.champion(store) == digest(study.models[2])
    with models.as_default(store):
        loaded = pyfunc.load_model("models:/digitline@champion")
    assert loaded.predict(study.examples).shape == (2, 10)
    assert loaded.metadata.artifact_path.startswith(f"{root}/mlruns/mnist/models/")


def test_a_moved_checkout_takes_runs_notes_files_and_champion_along(
    moved: Path, filled: Path, study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dump(moved)
    store = connect(moved, dataset="mnist")
    assert dump(moved) == before.replace(f"{filled}/mlruns", f"{moved}/mlruns") != before
    assert capfd.readouterr().err == (
        f"MLflow's paths to {filled} now name {moved}; the database as it was is {moved}/mlflow.db.backup\n"
    )
    whole(store, moved, study)
    assert dump(moved, "mlflow.db.backup") == before


@pytest.mark.parametrize("given", [None, "sqlite:///mlflow.db"])
def test_the_same_store_works_under_one_path_after_the_other(
    moved: Path, study: Study, monkeypatch: pytest.MonkeyPatch, given: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    connect(moved, dataset="mnist")
    there = moved.rename(moved.with_name("moved"))  # whose name is the beginning of the other one
    capfd.readouterr()
    if given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    connect(there, dataset="another data set")
    whole(connect(there, dataset="mnist"), there, study)
    assert capfd.readouterr().err.count("now name") == 1
    expected = dump(there).replace(f"{there}/mlruns", f"{moved}/mlruns")
    back = there.rename(moved)
    connect(back, dataset="mnist")
    assert dump(back) == expected
    assert descriptions(back) == {str(back)}


def test_a_copy_neither_changes_nor_reads_the_original(filled: Path, tmp_path: Path, study: Study) -> None:
    original = shutil.copytree(filled, tmp_path / "original")
    connect(original, dataset="mnist")
    copy = shutil.copytree(original, tmp_path / "copy")
    for path in (original / "mlruns").rglob("*"):
        if path.is_file() and path.name != "MLmodel":
            path.write_text("damaged")
    files = {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}
    whole(connect(copy, dataset="mnist"), copy, study)
    assert files == {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}


def follow(root: Path, number: int = 0) -> subprocess.Popen[str]:
    """A command in that checkout, killed before its effect of that number."""
    words = [str(warm.folder() / "python"), "-m", "tests.tracking.killed", str(root), str(number)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_move_killed_at_any_step_is_completed_by_the_next_command(moved: Path, filled: Path) -> None:
    """Killed before the backup, a description or a statement of the transaction, and then moved again."""
    expected, last = dump(filled), 3 + 1 + len(move.LOCATIONS) + 1  # three files, BEGIN, a statement a column, COMMIT
    for number in (1, 2, 3, 4, 5, 8, last, last + 1):
        root = shutil.copytree(moved, moved.with_name(f"killed before {number}"))
        process = follow(root, number)
        process.communicate()
        assert process.returncode == (-signal.SIGKILL if number <= last else 0)
        assert (dump(root) == expected) == (number <= last)
        root = root.rename(moved.with_name(f"moved again {number}"))
        move.follow(root)
        assert dump(root) == expected.replace(f"{filled}/mlruns", f"{root}/mlruns")
        assert descriptions(root) == {str(root)}


@pytest.mark.slow
def test_of_two_commands_at_once_one_follows_the_move(moved: Path) -> None:
    """Two stages that start at once in a moved checkout: one changes the paths, the other one waits for it."""
    errors = [process.communicate()[1] for process in [follow(moved), follow(moved)]]
    assert sorted(error.count("now name") for error in errors) == [0, 1]
    assert "Traceback" not in "".join(errors)


def test_a_move_that_cannot_write_a_file_is_refused_and_completed_later(moved: Path) -> None:
    before, last = dump(moved), max(moved.rglob("MLmodel"))
    obstacle = last.with_name("MLmodel.new")
    obstacle.mkdir()
    with pytest.raises(InputError, match=r"^cannot use sqlite:.* as MLflow store: .*MLmodel could not be written"):
        connect(moved, dataset="mnist")
    assert dump(moved) == before
    obstacle.rmdir()
    connect(moved, dataset="mnist")
    assert descriptions(moved) == {str(moved)}


def test_a_damaged_description_of_a_model_does_not_stop_a_move(moved: Path) -> None:
    damaged, *_ = moved.rglob("MLmodel")
    damaged.write_text("a: [")
    connect(moved, dataset="mnist")
    assert damaged.read_text() == "a: ["
    assert f"{moved}/mlruns" in dump(moved)


def test_an_older_mlflow_s_store_is_still_refused_with_the_command_that_upgrades_it(moved: Path) -> None:
    with closing(sqlite3.connect(moved / "mlflow.db")) as database, database:
        database.execute("alter table model_versions drop column storage_location")
        database.execute("update alembic_version set version_num = '451aebb31d03'")  # MLflow's first
    with pytest.raises(InputError, match="mlflow db upgrade sqlite:///"):
        connect(moved, dataset="mnist")


def test_a_database_of_the_user_s_keeps_its_paths(moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = moved.rename(tmp_path / "shared")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared}/mlflow.db")
    here = tmp_path / "here"
    here.mkdir()
    before = dump(shared)
    connect(here, dataset="mnist")
    assert dump(shared) == before


def test_an_experiment_whose_files_lie_in_no_checkout_is_refused(folder: Path) -> None:
    MlflowClient(f"sqlite:///{folder}/mlflow.db").create_experiment("digitline-mnist", "s3://bucket/mlruns/mnist")
    with pytest.raises(InputError, match="created elsewhere, with its files in s3://bucket/mlruns/mnist"):
        connect(folder, dataset="mnist")
