"""What an edit reruns, what comes back from DVC's cache, and what a training that was killed goes on from."""

import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from tests.checkout import Checkout, command, edit, surroundings

pytestmark = pytest.mark.slow


def epochs(checkout: Checkout, count: int) -> None:
    edit(checkout.folder, lambda tree: tree["variants"]["conv1"].update(epochs=count))


def test_a_clone_with_the_cache_of_an_earlier_run_trains_one_edited_variant_and_no_variant_twice(
    origin, tmp_path_factory
):
    """A fresh clone gets what DVC's cache has; an edit reruns that variant's stages and what reads them; the edit taken
    back, what was computed before comes back without a training, with the same bits; MLflow is filled from the files.

    Of what reads the rows the leaderboard stands for all here.
    """
    folder = tmp_path_factory.mktemp("cached") / "clone"
    assert command("git", "clone", "-q", str(origin.folder), str(folder), cwd=folder.parent).returncode == 0
    shutil.copytree(origin.folder / ".dvc/cache", folder / ".dvc/cache")
    checkout = Checkout(folder)
    restored = checkout.run("sh", "scripts/restore.sh")
    assert (restored.returncode, restored.stdout, restored.stderr) == (0, "", "")
    assert checkout.repro() == []
    epochs(checkout, 3)
    assert checkout.repro("compare") == ["train@conv1", "evaluate@conv1", "vote@conv1", "compare"]
    epochs(checkout, 2)
    assert checkout.repro() == ["compare"]
    dirty = command("git", "diff", "--name-only", cwd=folder).stdout.split()
    assert set(dirty) <= {"params.yaml"}
    assert (folder / "models/champion/model.safetensors").read_bytes() == (
        origin.folder / "models/champion/model.safetensors"
    ).read_bytes()
    told = checkout.digitline("runs")
    assert "fc: logged from the files" in told
    mlflow = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    [experiment] = [each for each in mlflow.search_experiments() if each.name == "digitline-few"]
    [run] = mlflow.search_runs([experiment.experiment_id], "tags.level = 'variant' and tags.variant = 'fc'")
    assert {Path(file.path).name for file in mlflow.list_artifacts(run.info.run_id)} >= {"figures", "insight"}
    shutil.rmtree(next((folder / ".dvc/cache/files/md5").glob("*")))
    shutil.rmtree(folder / "models/champion")
    for entry in (folder / ".dvc/cache/files/md5").glob("*/*.dir"):
        entry.unlink()
    told = checkout.run("sh", "scripts/restore.sh").stdout
    assert told.startswith("not in DVC's cache, to be computed again, or pulled where a remote has it: ")


def changed(checkout: Checkout) -> set[str]:
    """The stages that dvc status calls changed."""
    lines = checkout.run("dvc", "status").stdout.splitlines()
    return {line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(("\t", " "))}


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("draw/palette.py", {"figures", "insight", "ideas"}),
        ("model/augmentation.py", {"train@fc", "train@conv1", "ideas"}),
        ("tracking/runs.py", set()),
        ("config/paths.py", set()),
        ("registry/gate.py", {"promote"}),
        ("measure/trials.py", {"compare", "promote", "figures", "insight", "ideas"}),
    ],
)
def test_an_edit_of_the_library_reruns_what_it_can_change(copied, file, stages):
    """The palette reruns pictures and no training or evaluation; augmentation reruns training and ideas."""
    checkout = copied()
    assert changed(checkout) == set()  # with what Python has compiled beside the modules
    assert list((checkout.folder / "src").rglob("__pycache__"))
    with (checkout.folder / "src/digitline" / file).open("a") as source:
        source.write("\n# an edit\n")
    assert changed(checkout) == stages


def test_what_a_removed_variant_left_counts_no_more(copied, tmp_path):
    """It is moved aside, and said so: a clone that has pulled reruns nothing."""
    checkout = copied()
    edit(checkout.folder, lambda tree: (tree["variants"].pop("conv1"), tree["votes"].pop()))
    outcome = checkout.run("dvc", "repro", "promote", "insight")
    assert outcome.returncode == 0, outcome.stderr
    assert "models/variants/conv1 is of no variant in params.yaml: moved to models/removed/" in outcome.stderr
    assert {path.name for path in (checkout.folder / "models/variants").iterdir()} == {"fc"}
    assert {path.name for path in (checkout.folder / "predictions").iterdir()} == {"fc.safetensors"}
    checkout.commit()
    clone = Checkout(tmp_path / "clone")
    assert command("git", "clone", "-q", str(checkout.folder), str(clone.folder), cwd=tmp_path).returncode == 0
    (clone.folder / ".dvc/cache").symlink_to(checkout.folder / ".dvc/cache")
    assert clone.run("dvc", "checkout").returncode == 0
    assert clone.repro("promote", "insight") == []


def test_a_fresh_checkout_trains_and_evaluates_to_the_same_bits(origin, mnist, tmp_path):
    """dvc.lock has the same hashes, whatever earlier runs have left; here of one variant and its vote."""
    checkout = Checkout(tmp_path / "clone").make(mnist)
    assert checkout.repro("vote@conv1") == ["fetch", "validate", "train@conv1", "evaluate@conv1", "vote@conv1"]
    here, there = (YAML(typ="safe").load(each.folder / "dvc.lock")["stages"] for each in (checkout, origin))
    assert here == {name: there[name] for name in here}


def left(folder: Path) -> list[int]:
    """The processes that work in a checkout."""
    running = (
        p.info for p in psutil.process_iter(["pid", "cwd", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE
    )
    return [process["pid"] for process in running if process["cwd"] == str(folder)]


def test_after_a_kill_nothing_is_left_running_and_training_goes_on_to_the_same_bits(copied):
    """dvc is killed once both seeds have kept an epoch; the next run goes on from there, as a forced run confirms."""
    checkout = copied()
    epochs(checkout, 25)
    kept = checkout.folder / "models/unfinished/conv1"
    env = surroundings(BENTOML_HOME=str(checkout.home))
    words = ["dvc", "repro", "train@conv1"]
    with subprocess.Popen(words, cwd=checkout.folder, env=env, stdout=subprocess.DEVNULL) as dvc:
        deadline = time.monotonic() + 120
        while len(list(kept.glob("*.safetensors"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        dvc.kill()
    while left(checkout.folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left(checkout.folder)
    assert len(list(kept.glob("*.safetensors"))) == 2
    assert checkout.repro("train@conv1") == ["train@conv1"]
    assert not kept.exists()
    lock, curves = (checkout.folder / name for name in ("dvc.lock", "reports/curves/conv1.csv"))
    before = lock.read_bytes(), curves.read_bytes()
    checkout.repro("-f", "-s", "train@conv1")
    assert (lock.read_bytes(), curves.read_bytes()) == before


def test_a_change_of_the_code_that_trains_begins_a_training_anew(copied):
    """The identity of a snapshot is that of the files that dvc.yaml lists for train."""
    checkout = copied()
    ask = "from pipeline.train import code; print(code.identity('train'))"
    before = checkout.run("python", "-c", ask).stdout
    for file, other in (("draw/palette.py", False), ("model/scores.py", True)):
        with (checkout.folder / "src/digitline" / file).open("a") as source:
            source.write("\n# an edit\n")
        assert (checkout.run("python", "-c", ask).stdout != before) == other
    assert len(before.strip()) == 64
