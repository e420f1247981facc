"""The whole pipeline, driven by the real dvc on a real part of MNIST in a checkout of its own."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from digitline.base.digest import digest
from tests.checkout import Checkout, command, edit

pytestmark = pytest.mark.slow

FIGURES = ["weights-1", "exciting-1", "maps-1", "evidence", "components", "neighbours", "confusions", "answers"]


def client(checkout: Checkout) -> MlflowClient:
    return MlflowClient(f"sqlite:///{checkout.folder}/mlflow.db")


def test_it_runs_on_another_data_set(origin):
    """Every row is ranked by validation, has learned something, and is complete."""
    rows = origin.json("reports/leaderboard.json")
    relations = {row["variant"]: (row["kind"], row["parent"]) for row in rows}
    assert relations == {"fc": ("variant", None), "conv1": ("variant", None), "conv1_vote": ("vote", "conv1")}
    accuracies = [row["val_accuracy"]["mean"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.5
    assert rows[0]["seeds"] == [1, 2]
    low, high = rows[0]["val_macro_f1"]["images95"]
    assert low < rows[0]["val_macro_f1"]["mean"] < high
    for row in rows:
        right, images = row["runs"][0]["test_right"], [line["images"] for line in row["test_classes"]]
        assert sum(images) == 300
        assert sum(right) / 300 == pytest.approx(row["runs"][0]["test_accuracy"])
    assert origin.json("reports/validation.json")["success"]
    assert {path.name for path in (origin.folder / "reports/misclassified").iterdir()} == {
        f"{row['variant']}.png" for row in rows
    }


def test_the_champion_is_the_leader_everywhere(origin):
    """In the ledger, models/champion, its DVC file, MLflow and BentoML's store."""
    card, leader = origin.json("models/champion/model.json"), origin.json("reports/leaderboard.json")[0]
    [entry] = origin.ledger()
    assert card["variant"] == leader["variant"]
    assert "test_right" not in card  # the leaderboard has what is long
    assert card["sha256"] in [run["sha256"] for run in leader["runs"]]
    assert digest(origin.folder / "models/champion/model.safetensors") == card["sha256"] == entry["to"]
    assert digest(origin.folder / "models/champion/model.onnx") == card["onnx_sha256"]
    assert "nfiles: 3" in (origin.folder / "models/champion.dvc").read_text()
    alias = client(origin).get_model_version_by_alias("digitline", "champion")
    assert alias.tags["sha256"] == card["sha256"]
    stored = origin.run("bentoml", "models", "get", f"digitline:{card['sha256'][:16]}", "-o", "json")
    labels = json.loads(stored.stdout)["labels"]
    assert labels["sha256"] == card["sha256"]
    assert (labels["mlflow_version"], labels["validation"]) == ("1", "passed")
    assert labels["git_commit"] == origin.run("git", "rev-parse", "HEAD~").stdout.strip()


def test_the_study_for_the_service_names_its_data_set(origin):
    """So that a champion of another data set is not compared with it."""
    listed = origin.json("models/study/study.json")
    assert sorted(entry["variant"] for entry in listed) == ["conv1", "fc"]
    card = origin.json("models/champion/model.json")
    assert {(entry["dataset"], *entry["classes"]) for entry in listed} == {(card["dataset"], *card["classes"])}


def test_every_run_is_exported_and_the_study_is_served_from_these_files(origin):
    """One file a run, named by its hash in the leaderboard; of each variant, the best one is in models/study."""
    for row in origin.json("reports/leaderboard.json"):
        files = {digest(path) for path in (origin.folder / "models/exported" / row["variant"]).iterdir()}
        assert files == {run["onnx_sha256"] for run in row["runs"]}
    for listed in origin.json("models/study/study.json"):
        assert digest(origin.folder / f"models/study/{listed['variant']}.onnx") == listed["onnx_sha256"]


def test_every_variant_has_its_insight_and_mlflow_has_the_figures(origin):
    """Filters, maps, evidence, mistakes: each figure with its numbers; the row's figures and its colour in MLflow."""
    found = origin.json("reports/insight.json")
    assert list(found) == ["fc", "conv1"]
    assert found["conv1"]["filters"][0] == {"filters": 20, "inputs": 1, "side": 5, "shown": 20, "field": 6}
    assert found["conv1"]["layers"][0] == {
        "layer": "convolution 5x5, 20 filters",
        "parameters": 520,
        "unshared": 299520,
    }
    names = {path.name for path in (origin.folder / "reports/insight/conv1").iterdir()}
    assert names == {f"{name}.{kind}" for name in FIGURES for kind in ("svg", "csv")}
    mlflow = client(origin)
    [experiment] = [each for each in mlflow.search_experiments() if each.name == "digitline-few"]
    condition = "tags.level = 'variant' and tags.variant = 'conv1'"
    [run] = mlflow.search_runs([experiment.experiment_id], condition)
    assert {"test_balanced_accuracy", "val_macro_f1"} <= set(run.data.metrics)
    assert "per_class_metrics.csv" in [file.path for file in mlflow.list_artifacts(run.info.run_id)]
    artifacts = mlflow.list_artifacts(run.info.run_id, "insight")
    assert {Path(file.path).name for file in artifacts} == names
    figures = mlflow.list_artifacts(run.info.run_id, "figures")
    assert {Path(file.path).name for file in figures} == {"misclassified", "confusion", "calibration"}
    assert run.data.tags["mlflow.runColor"].startswith("#")


def test_the_ideas_are_measured(origin):
    """Pooling, dropout and gradients, each as a figure with its numbers."""
    found = origin.json("reports/ideas/ideas.json")
    assert set(found["pooling"]) == {"fully connected", "convolution", "convolution and pooling"}
    assert found["settings"] == {"images": 300, "epochs": 1, "seeds": 2, "measured_on": 1000}
    assert found["gradients"]["sigmoid"]["last_to_first"] > 100 > found["gradients"]["ReLU"]["last_to_first"]
    for name in ("pooling", "dropout", "gradients"):
        assert "<path" in (origin.folder / f"reports/ideas/{name}.svg").read_text()
        assert len((origin.folder / f"reports/ideas/{name}.csv").read_text().splitlines()) > 4


def test_a_second_run_does_nothing_and_leaves_the_tree_clean(copied):
    """dvc.lock is the same, and git sees no change, because timings are kept apart."""
    checkout = copied()
    lock = (checkout.folder / "dvc.lock").read_bytes()
    assert checkout.repro() == []
    assert (checkout.folder / "dvc.lock").read_bytes() == lock
    assert command("git", "status", "--porcelain", cwd=checkout.folder).stdout == ""


def test_the_plots_are_those_of_the_pipeline_and_its_columns_are_few(copied):
    """dvc plots show draws every entry, and dvc exp show has one column per metric, including the verdict's."""
    checkout = copied()
    shown = checkout.run("dvc", "plots", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    assert len(json.loads(shown.stdout)["data"]) >= 6
    metrics = checkout.run("dvc", "metrics", "show", "--json")
    columns = json.loads(metrics.stdout)[""]["data"]
    assert set(columns) == {f"reports/metrics/{row}.json" for row in ("fc", "conv1", "conv1_vote")} | {
        "reports/promotion.json"
    }
    assert columns["reports/promotion.json"]["data"]["passed"] is True
    assert sum(len(file["data"]) for file in columns.values()) < 40


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tree: tree["variants"]["conv1"].update(epohcs=3), "variants.conv1.epohcs is not known"),
        (lambda tree: tree["variants"]["conv1"]["model"].update(activation="rleu"), "activation is 'rleu'"),
        (lambda tree: tree["split"].update(validation=0), "split.validation is 0, expected greater than 0"),
    ],
)
def test_a_mistake_in_params_ends_in_one_sentence_and_changes_nothing(copied, change, sentence):
    """The first stage that runs reports it, whatever its section."""
    checkout = copied()
    champion = checkout.json("models/champion/model.json")
    edit(checkout.folder, change)
    outcome = checkout.run("dvc", "repro")
    assert outcome.returncode != 0
    assert sentence in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert checkout.json("models/champion/model.json") == champion


def test_the_first_stage_that_runs_reports_a_damaged_ledger(copied):
    """The ledger, to which a later stage appends, is read before anything trains."""
    checkout = copied()
    with (checkout.folder / "promotions.jsonl").open("a") as ledger:
        ledger.write("<<<<<<< HEAD\n")
    outcome = checkout.run("python", "-m", "pipeline.train", "fc")
    assert outcome.returncode == 1
    assert "promotions.jsonl, line 2 is a merge marker; delete the lines" in outcome.stderr


def test_an_unknown_variant_is_refused_by_name(origin):
    outcome = origin.run("python", "-m", "pipeline.train", "conv3")
    assert outcome.returncode == 1
    assert outcome.stderr.strip() == "error: the variant is 'conv3'; did you mean 'conv1'?"
