"""Training gives the same bits in a fresh checkout and after a kill; after an edit of its code it starts over."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from tests.checkout import Checkout, edit, surroundings

pytestmark = pytest.mark.slow


def test_a_fresh_checkout_trains_and_evaluates_to_the_same_bits(origin, mnist, tables, tmp_path):
    """dvc.lock has the same hashes without the files of earlier runs; here for one variant and its vote."""
    checkout = Checkout(tmp_path / "clone").make(mnist).store(tables)
    assert checkout.repro("vote@conv1") == ["fetch", "validate", "train@conv1", "vote@conv1"]
    here, there = (YAML(typ="safe").load(each.folder / "dvc.lock")["stages"] for each in (checkout, origin))
    assert here == {name: there[name] for name in here}


def left(folder: Path) -> list[int]:
    """The processes that work in a checkout."""
    running = (
        p.info for p in psutil.process_iter(["pid", "cwd", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE
    )
    return [process["pid"] for process in running if process["cwd"] == str(folder)]


def later(folder: Path, since: float) -> list[Path]:
    """The snapshots that were saved after that time."""
    return [path for path in folder.glob("*.safetensors") if path.stat().st_mtime > since]


def test_after_a_kill_no_process_remains_and_training_resumes_to_the_same_bits(copied):
    """digitline run, then dvc is killed after both seeds have saved an epoch; the next run resumes, with the bits of a
    forced run.
    """
    checkout = copied()
    edit(checkout.folder, lambda tree: tree["variants"]["conv1"].update(epochs=20))
    kept = checkout.folder / "models/unfinished/conv1"
    env = surroundings(BENTOML_HOME=str(checkout.home))
    saved = 0.0
    for words in (["digitline", "run"], ["dvc", "repro", "train@conv1"]):
        with subprocess.Popen(words, cwd=checkout.folder, env=env, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while len(later(kept, saved)) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            process.kill()
        while left(checkout.folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left(checkout.folder)
        assert len(later(kept, saved)) == 2
        saved = max(path.stat().st_mtime for path in kept.iterdir())
    assert checkout.repro("train@conv1") == ["train@conv1"]
    assert not kept.exists()
    lock, curves = (checkout.folder / name for name in ("dvc.lock", "reports/curves/conv1.csv"))
    before = lock.read_bytes(), curves.read_bytes()
    checkout.repro("-f", "-s", "train@conv1")
    assert (lock.read_bytes(), curves.read_bytes()) == before


def test_a_change_of_the_training_code_starts_a_training_over(copied):
    """The identity of a snapshot is that of the files that dvc.yaml lists for train."""
    checkout = copied()
    ask = "import pipeline; from digitline.config import code; print(code.identity('train'))"
    before = checkout.run("python", "-c", ask).stdout
    for file, other in (("draw/palette.py", False), ("model/scores.py", True)):
        with (checkout.folder / "src/digitline" / file).open("a") as source:
            source.write("\n# an edit\n")
        assert (checkout.run("python", "-c", ask).stdout != before) == other
    assert len(before.strip()) == 64


def test_the_processes_that_train_run_the_checkout_s_own_library(copied):
    """As in the copy in which DVC runs a queued experiment, whose code differs from the installed one."""
    checkout = copied()
    with (checkout.folder / "src/digitline/model/training.py").open("a") as source:
        source.write('\n\ndef fit(*_, **__):\n    raise InputError("the copy\'s own code")\n')
    outcome = checkout.run("python", "-m", "pipeline.train", "fc")
    assert outcome.returncode == 1
    assert "error: the copy's own code" in outcome.stderr


def test_shards_train_to_the_same_bits_on_one_core_and_on_all(copied):
    """One seed, so that on two cores two processes share it."""
    checkout = copied()
    edit(checkout.folder, lambda tree: (tree["seeds"].__setitem__(slice(None), [1]), tree["votes"].clear()))
    edit(checkout.folder, lambda tree: tree["variants"]["conv1"].update(shards=2))
    assert checkout.repro("train@conv1") == ["train@conv1"]
    lock = (checkout.folder / "dvc.lock").read_bytes()
    one = sorted(os.sched_getaffinity(0))[:1]
    words = ["taskset", "-c", str(one[0]), "dvc", "repro", "-f", "-s", "train@conv1"]
    done = checkout.run(*words)
    assert done.returncode == 0, done.stderr
    assert (checkout.folder / "dvc.lock").read_bytes() == lock
