"""Which stages an edit reruns, and what DVC's cache restores."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.checkout import Checkout, command, edit

pytestmark = pytest.mark.slow


def test_a_clone_with_the_cache_of_an_earlier_run_trains_one_edited_variant_and_no_variant_twice(
    origin, tables, tmp_path_factory
):
    """A fresh clone restores DVC's cache; an edit reruns that variant's stages and those that read them. After undoing
    the edit, earlier results are restored without training, with the same bits, and MLflow is filled from the files.

    The leaderboard represents everything that reads the rows.
    """
    folder = tmp_path_factory.mktemp("cached") / "clone"
    assert command("git", "clone", "-q", str(origin.folder), str(folder), cwd=folder.parent).returncode == 0
    shutil.copytree(origin.folder / ".dvc/cache", folder / ".dvc/cache")
    checkout = Checkout(folder).store(tables)
    restored = checkout.run("sh", "scripts/restore.sh")
    assert (restored.returncode, restored.stdout, restored.stderr) == (0, "", "")
    assert checkout.repro() == []
    edit(folder, lambda tree: tree["variants"]["conv1"].update(epochs=3))
    assert checkout.repro("compare") == ["train@conv1", "evaluate@conv1", "vote@conv1", "compare"]
    edit(folder, lambda tree: tree["variants"]["conv1"].update(epochs=2))
    assert checkout.repro() == ["compare"]
    dirty = command("git", "diff", "--name-only", cwd=folder).stdout.split()
    assert set(dirty) <= {"params.yaml"}
    assert (folder / "models/champion/model.safetensors").read_bytes() == (
        origin.folder / "models/champion/model.safetensors"
    ).read_bytes()
    output = checkout.digitline("runs")
    assert "fc: logged from the files" in output
    mlflow = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    [experiment] = [each for each in mlflow.search_experiments() if each.name == "digitline-few"]
    [run] = mlflow.search_runs([experiment.experiment_id], "tags.level = 'variant' and tags.variant = 'fc'")
    assert {Path(file.path).name for file in mlflow.list_artifacts(run.info.run_id)} >= {"figures", "insight"}
    shutil.rmtree(next((folder / ".dvc/cache/files/md5").glob("*")))
    shutil.rmtree(folder / "models/champion")
    for entry in (folder / ".dvc/cache/files/md5").glob("*/*.dir"):
        entry.unlink()
    output = checkout.run("sh", "scripts/restore.sh").stdout
    assert output.startswith("not in DVC's cache, so dvc repro computes it again unless dvc pull gets it: ")


def changed(checkout: Checkout) -> set[str]:
    """The stages that dvc status reports as changed."""
    lines = checkout.run("dvc", "status").stdout.splitlines()
    return {line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(("\t", " "))}


@pytest.fixture(scope="module")
def clean(copied) -> Checkout:
    """An unchanged checkout, with Python's compiled files beside the modules."""
    checkout: Checkout = copied()
    assert list((checkout.folder / "src").rglob("__pycache__"))
    assert changed(checkout) == set()
    return checkout


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
def test_an_edit_of_the_library_reruns_what_it_can_change(clean, file, stages):
    """The palette reruns the pictures but no training or evaluation; augmentation reruns training and ideas."""
    source = clean.folder / "src/digitline" / file
    before = source.read_text()
    source.write_text(f"{before}\n# an edit\n")
    assert changed(clean) == stages
    source.write_text(before)


def test_another_measure_that_ranks_trains_and_evaluates_nothing_again(clean):
    edit(clean.folder, lambda tree: tree.update(select_by="macro_f1"))
    assert changed(clean) == {"compare", "promote", "figures"}
    edit(clean.folder, lambda tree: tree.update(select_by="accuracy"))


def test_files_of_a_removed_variant_no_longer_count(copied, tables, tmp_path):
    """They are moved away with a message; a clone that has pulled reruns nothing."""
    checkout = copied()
    edit(checkout.folder, lambda tree: (tree["variants"].pop("conv1"), tree["votes"].pop()))
    outcome = checkout.run("dvc", "repro", "promote", "insight")
    assert outcome.returncode == 0, outcome.stderr
    assert "moved models/variants/conv1 to models/removed/" in outcome.stderr
    assert {path.name for path in (checkout.folder / "models/variants").iterdir()} == {"fc"}
    assert {path.name for path in (checkout.folder / "models/exported").iterdir()} == {"fc"}
    assert {path.name for path in (checkout.folder / "predictions").iterdir()} == {"fc.safetensors"}
    checkout.commit()
    clone = Checkout(tmp_path / "clone")
    assert command("git", "clone", "-q", str(checkout.folder), str(clone.folder), cwd=tmp_path).returncode == 0
    clone.store(tables)
    (clone.folder / ".dvc/cache").symlink_to(checkout.folder / ".dvc/cache")
    assert clone.run("dvc", "checkout").returncode == 0
    assert clone.repro("promote", "insight") == []
