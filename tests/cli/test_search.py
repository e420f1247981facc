"""digitline search, with a few hundred real digits and no test images at all."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from digitline.cli import search
from digitline.compute import processes
from digitline.config import params, paths
from digitline.data import dataset
from digitline.data.dataset import Dataset, Part
from digitline.model import tuning
from digitline.report import gains
from tests import example, warm
from tests.served import ROOT

pytestmark = pytest.mark.slow

WAYS = {
    "learning_rate": {"low": 0.00001, "high": 0.03, "log": True},
    "batch_size": {"low": 20, "high": 60},
    "model": {"hidden": [10, 20]},
}
OPTIONS = {"trials": 10, "at_once": 4, "fresh": 2}
NAMES = [word for name, value in OPTIONS.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def trials(folder: Path) -> list[tuning.Trial]:
    """The trials that have ended, without their times."""
    (journal,) = (folder / paths.SEARCHES / "fc").glob("*/study.journal")
    found = tuning.ended(tuning.opened(journal, "maximize"), params.read(folder / "params.yaml").search["fc"])
    return [one._replace(epochs=[epoch._replace(seconds=0) for epoch in one.epochs]) for one in found]


def best(folder: Path) -> tuple[tuning.Trial, float]:
    """The best trial and its accuracy."""
    value, number = max((one.value, -one.number) for one in trials(folder) if one.value is not None)
    return next(one for one in trials(folder) if one.number == -number), value


def searched(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: int) -> None:
    """The command, in this process."""
    monkeypatch.chdir(folder)
    search.search(params.read(), "fc", **options)


@pytest.fixture(scope="module")
def done(digits, tables, tmp_path_factory):
    """A search that has come to its end, and what it printed."""
    folder = tmp_path_factory.mktemp("search")
    for name in ("dvc.yaml", "pipeline", "src"):
        (folder / name).symlink_to(ROOT / name)
    tree = YAML(typ="safe").load(example.ALONE)
    tree["split"]["validation"], tree["variants"]["fc"]["epochs"] = 200, 2
    tree["search"] = {"fc": WAYS}
    (folder / "params.yaml").write_text(json.dumps(tree))
    none = Part(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))
    few = Part(digits.train.images[:500], digits.train.labels[:500])
    dataset.save(Dataset(few, none), folder / paths.DATASET)
    shutil.copy(tables, folder / "mlflow.db")
    words = [f"{warm.folder()}/digitline", "search", "fc", *NAMES]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    run = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder, run.stdout


def test_it_chooses_by_validation_and_prunes_what_falls_behind(done):
    folder, printed = done
    found = trials(folder)
    assert len(found) == OPTIONS["trials"]
    pruned = [one for one in found if one.value is None]
    assert pruned
    assert all(len(one.epochs) == 1 for one in pruned)
    trial, value = best(folder)
    assert f"trial {trial.number}\n" in printed
    assert f"{100 * value:.2f}%" in printed
    assert value == trial.epochs[-1].val_accuracy


def test_what_it_prints_is_what_params_yaml_takes(done, tmp_path):
    """The lines pasted over the variant's own give it the values of the best trial, and those only."""
    folder, printed = done
    tree, pasted = json.loads((folder / "params.yaml").read_text()), printed[printed.index("variants:") :]
    new = YAML(typ="safe").load(pasted)["variants"]["fc"]
    tree["variants"]["fc"].update(new)
    (tmp_path / "params.yaml").write_text(json.dumps(tree))
    before, after = (
        params.read(folder / "params.yaml").variants["fc"],
        params.read(tmp_path / "params.yaml").variants["fc"],
    )
    values = best(folder)[0].values
    changed = {key: value for key, value in after.recipe.items() if value != before.recipe[key]}
    assert changed == {key: values[key] for key in ("learning_rate", "batch_size")}
    assert after.model == before.model | {"hidden": values["model.hidden"]}
    assert set(new) == {"model", "learning_rate", "batch_size"}


def test_it_says_what_fresh_seeds_leave_of_the_gain(done):
    _, printed = done
    number = r"([+-]\d+\.\d\d)"
    words = rf"with 2 fresh seeds, in pairs, the gain is {number} points \(95% interval {number} to {number}\): "
    found = re.search(words, printed)
    assert found
    mean, low, high = map(float, found.groups())
    assert low < mean < high


def test_a_gain_that_fresh_seeds_do_not_show_is_called_none():
    outcome = gains.Outcome("fc", "accuracy", 3, 1, 0.98, 0.97, {4: (0.98, 0.975), 5: (0.982, 0.976), 6: (0.98, 0.975)})
    assert gains.survival(outcome).endswith(": 53% of +1.00 survives")
    doubtful = outcome._replace(fresh={4: (0.98, 0.975), 5: (0.97, 0.976)})
    assert gains.survival(doubtful).endswith(": they do not show that it is one; more of them (--fresh) would tell")


def test_mlflow_has_each_trial_beneath_the_search_and_how_much_each_key_matters(done):
    folder, _ = done
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    (parent,) = [run for run in runs if run.data.tags["level"] == "search"]
    children = {int(run.data.tags["trial"]): run for run in runs if run.data.tags["level"] == "trial"}
    assert parent.info.status == "FINISHED"
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["importance.png"]
    for trial in trials(folder):
        run = children.pop(trial.number)
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["learning_rate"] == str(trial.values["learning_rate"])
        assert run.data.params["model.hidden"] == str(trial.values["model.hidden"])
        curve = client.get_metric_history(run.info.run_id, "epoch/val_accuracy")
        assert [point.value for point in curve] == [epoch.val_accuracy for epoch in trial.epochs]
        assert run.data.tags["state"] == ("pruned" if trial.value is None else "complete")
        assert run.data.metrics.get("val_accuracy") == trial.value
    assert children == {}
    assert parent.inputs
    assert [data.tags[0].value for data in parent.inputs.dataset_inputs] == ["training", "validation"]


def test_after_a_kill_the_same_command_on_fewer_cores_goes_on_to_the_same_trials(done, tmp_path, monkeypatch, capfd):
    whole, printed = done
    left_out = shutil.ignore_patterns(".search", "mlruns")
    folder = shutil.copytree(whole, tmp_path / "killed", symlinks=True, ignore=left_out)
    words = [f"{warm.folder()}/digitline", "search", "fc", *NAMES]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while not list(folder.glob(f"{paths.SEARCHES}/fc/*/trial 5.safetensors")) and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    with FileLock(folder / paths.SEARCHES / "fc.lock", timeout=20):  # until it has ended
        pass
    assert 4 <= len(trials(folder)) < OPTIONS["trials"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    monkeypatch.setattr(processes, "cores", lambda: 1)
    searched(folder, monkeypatch, **OPTIONS)
    assert trials(folder) == trials(whole)
    assert capfd.readouterr().out == printed
    assert not list(folder.glob(f"{paths.SEARCHES}/fc/*/*.safetensors"))


def test_other_ranges_begin_another_study_and_say_so(done, monkeypatch, capsys):
    folder, printed = done
    tree = json.loads((folder / "params.yaml").read_text())
    searched(folder, monkeypatch, **OPTIONS)
    assert capsys.readouterr().out == printed  # nothing was left to do
    tree["search"]["fc"] = {"epochs": [1, 2]}
    monkeypatch.setattr(params, "FILE", folder / "other.yaml")
    (folder / "other.yaml").write_text(json.dumps(tree))
    monkeypatch.chdir(folder)
    search.search(params.read(folder / "other.yaml"), "fc", trials=1, at_once=1, fresh=2)
    said = capsys.readouterr().out
    assert said.startswith("begins a new study: the ranges, the variant, the data, the training code or --at-once have")
    shutil.rmtree(max((folder / paths.SEARCHES / "fc").iterdir(), key=lambda path: path.stat().st_mtime))


@pytest.mark.parametrize(
    ("variant", "options", "sentence"),
    [
        ("fcc", {}, "the variant is 'fcc'; did you mean 'fc'?"),
        ("conv1", {}, "search.conv1 is missing in params.yaml: the ranges of the keys to search, by their names"),
        ("fc", {"trials": 0}, "--trials is 0, expected at least 1"),
        ("fc", {"fresh": 1}, "--fresh is 1, expected at least 2"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_sentence(done, monkeypatch, variant, options, sentence):
    monkeypatch.chdir(done[0])
    with pytest.raises(InputError) as refusal:
        search.search(params.read(), variant, **options)
    assert str(refusal.value) == sentence


def test_an_installation_without_optuna_is_told_what_to_run(done, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name in ("digitline.model.rounds", "digitline.model.tuning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("digitline.model.rounds", raising=False)
    monkeypatch.delattr("digitline.model.tuning", raising=False)
    with pytest.raises(InputError, match="optuna is not installed; run make setup"):
        searched(done[0], monkeypatch)
