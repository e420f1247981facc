"""Experiments propose and promote nothing, in the workspace or queued; after dvc exp apply, a command promotes."""

import csv
import io
import time

import numpy as np
import pytest
from mlflow import MlflowClient
from safetensors.numpy import load_file

from digitline.base.digest import digest
from digitline.data import corrections
from digitline.data.corrections import Correction
from digitline.data.dataset import Bytes
from tests.checkout import Checkout, command, edit, ran

pytestmark = pytest.mark.slow


def alias(checkout: Checkout) -> str:
    client = MlflowClient(f"sqlite:///{checkout.folder}/mlflow.db")
    return str(client.get_model_version_by_alias("digitline", "champion").tags["sha256"])


@pytest.fixture(scope="module")
def checkout(copied) -> Checkout:
    """A pipeline in which another model than the leader is champion, so that there is a leader to judge."""
    checkout: Checkout = copied()
    checkout.digitline("promote", "conv1_vote", "--reason", "smaller")
    checkout.commit()
    return checkout


def test_a_failing_gate_keeps_the_champion_and_says_why(checkout):
    """The stage succeeds nevertheless, and writes another verdict."""
    champion, verdict = checkout.champion(), (checkout.folder / "reports/promotion.json").read_bytes()
    edit(checkout.folder, lambda tree: tree["gate"].update(minimum_accuracy=0.9999, minimum_doubted=1))
    outcome = checkout.run("dvc", "repro")
    assert outcome.returncode == 0, outcome.stderr
    assert "did not pass the gate: validation accuracy" in outcome.stdout
    assert "of drawn images of no class are doubted, below gate.minimum_doubted, 100.00%" in outcome.stdout
    assert "the champion stays conv1_vote" in outcome.stdout
    assert ran(outcome) == ["promote"]
    assert checkout.champion() == champion
    assert (checkout.folder / "reports/promotion.json").read_bytes() != verdict
    assert "seconds" not in (checkout.folder / "reports/promotion.json").read_text()
    assert checkout.run("git", "checkout", ".").returncode == 0


def verdicts(checkout: Checkout) -> dict[str, dict[str, str]]:
    """The verdict that dvc exp show has for each experiment, by name."""
    shown = checkout.run("dvc", "exp", "show", "--csv")
    assert shown.returncode == 0, shown.stderr
    return {line["Experiment"]: line for line in csv.DictReader(io.StringIO(shown.stdout)) if line["Experiment"]}


def finished(checkout: Checkout, count: int) -> bool:
    """Whether that many queued experiments have ended, and none of them failed."""
    output = checkout.run("dvc", "queue", "status").stdout
    assert "Failed" not in output, checkout.run("dvc", "queue", "logs", output.split()[4]).stdout
    return output.count("Success") == count


def test_queued_experiments_move_neither_the_champion_nor_its_views_and_their_verdicts_are_columns(checkout):
    """Two workers at once: one whose leader passes the gate, one whose leader does not."""
    champion, ledger = checkout.champion(), checkout.ledger()
    for name, change in (("passing", "gate.margin=0.8"), ("failing", "gate.minimum_accuracy=0.999")):
        done = checkout.run("dvc", "exp", "run", "--queue", "--name", name, "-S", change)
        assert done.returncode == 0, done.stderr
    assert checkout.run("dvc", "queue", "start", "-j", "2").returncode == 0
    deadline = time.monotonic() + 180
    while not finished(checkout, 2):
        assert time.monotonic() < deadline
        time.sleep(2)  # the question itself takes half a second of a core
    assert (checkout.champion(), checkout.ledger(), alias(checkout)) == (champion, ledger, champion)
    assert command("git", "status", "--porcelain", cwd=checkout.folder).stdout == ""
    found = verdicts(checkout)
    assert {name: found[name]["passed"] for name in ("passing", "failing")} == {"passing": "True", "failing": "False"}
    for verdict in found.values():
        assert (verdict["challenger"], verdict["champion_sha256"]) == ("fc", champion)
        assert int(verdict["better"]) > 50
    checkout.digitline("status", "--url", "http://127.0.0.1:9")


def test_git_and_dvc_alone_undo_an_experiment_in_the_workspace(checkout):
    """It changes nothing in a running service, MLflow or BentoML."""
    champion = checkout.champion()
    done = checkout.run("dvc", "exp", "run", "--name", "here", "-S", "gate.margin=0.7")
    assert done.returncode == 0, done.stderr
    assert (checkout.champion(), alias(checkout)) == (champion, champion)
    assert verdicts(checkout)["here"]["passed"] == "True"
    assert checkout.run("git", "checkout", ".").returncode == checkout.run("dvc", "checkout").returncode == 0
    checkout.digitline("status", "--url", "http://127.0.0.1:9")


def test_the_command_promotes_an_applied_experiment_and_status_says_so_until_then(checkout):
    """digitline promote judges today's board against today's champion, and ignores the verdict's file."""
    assert checkout.run("dvc", "exp", "apply", "here").returncode == 0
    output = checkout.digitline("status", "--url", "http://127.0.0.1:9")
    assert "passes the gate: run digitline promote to make it champion" in output
    loser = checkout.champion()
    checkout.digitline("promote")
    assert checkout.champion() == alias(checkout) == checkout.ledger()[-1]["to"] != loser
    assert "none: the leader is already champion" in checkout.digitline("status", "--url", "http://127.0.0.1:9")
    checkout.commit()


def correction(image: Bytes, label: str) -> Correction:
    return Correction(image, label, "1", False, "0" * 64)


def models(checkout: Checkout) -> list[str]:
    return [digest(path) for path in sorted((checkout.folder / "models/variants/conv1").glob("*.safetensors"))]


def test_corrections_are_shown_and_trained_with_as_an_experiment(copied, mnist, drawings):
    """Those that show a digit and meet the expectations; undone, the data set and the models are as before."""
    checkout: Checkout = copied()
    refused = checkout.digitline("feedback", status=1)
    assert refused.startswith("error: data/feedback has no corrections; to collect some, run DIGITLINE_FEEDBACK=")
    before, plain = (checkout.folder / "data/dataset.safetensors").read_bytes(), models(checkout)
    labels = [*map(str, mnist.test.labels[5000:5006]), "", "0"]
    images = [*drawings, np.roll(drawings[0], 1, 0), mnist.train.images[0]]
    for image, label in zip(images, labels, strict=True):
        corrections.keep(checkout.folder / "data/feedback", correction(image, label), most=99)

    shown = checkout.run("digitline", "feedback")
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.count("| yes |") == 6
    assert "none of the classes" in shown.stderr
    assert "copies among the data set's images 1, expected 0" in shown.stderr
    assert (checkout.folder / "reports/feedback.png").exists()
    sha256 = shown.stdout.strip()
    outcome = checkout.run("dvc", "exp", "run", "--set-param", f"feedback={sha256}", "train@conv1")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    arrays, old = load_file(checkout.folder / "data/dataset.safetensors"), checkout.folder / "old"
    old.write_bytes(before)
    assert {name: arrays[name].tobytes() for name in load_file(old)} == {
        name: array.tobytes() for name, array in load_file(old).items()
    }
    assert sorted(map(str, arrays["corrections_labels"])) == sorted(labels[:6])
    assert models(checkout) != plain
    assert sha256[:7] in checkout.run("dvc", "exp", "show", "--csv").stdout

    edit(checkout.folder, lambda tree: tree.update(feedback="0" * 64))
    done = checkout.run("dvc", "repro", "fetch")
    assert done.returncode != 0
    assert f"data/feedback.safetensors has SHA-256 {sha256}, expected {'0' * 64}" in done.stderr
    edit(checkout.folder, lambda tree: tree.update(feedback=None))
    assert checkout.repro("train@conv1") == ["validate"]  # the rest is in DVC's cache
    assert (checkout.folder / "data/dataset.safetensors").read_bytes() == before
    assert models(checkout) == plain
