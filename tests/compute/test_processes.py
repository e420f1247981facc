import itertools
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from digitline.base import slots
from digitline.base.errors import InputError
from digitline.compute import processes
from digitline.compute.processes import side_by_side
from digitline.model import networks
from tests import warm
from tests.served import ROOT


@pytest.mark.parametrize(
    ("jobs", "processors", "together"), [(1, 2, 1), (2, 2, 2), (3, 2, 3), (4, 2, 4), (5, 2, 3), (3, 1, 2), (3, 16, 3)]
)
def test_jobs_run_in_rounds_of_equal_size(jobs, processors, together, monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: processors)
    assert processes.at_once(jobs) == together


def count(job):
    yield from range(job)


def threads(job):
    yield torch.get_num_threads()


def new_pages(job):
    """How many pages of memory the process gets anew in five steps of a training, after five others."""
    model = networks.build(network="plain", classes=10, filters=[20, 40])
    images = torch.zeros(128, 28, 28)
    for step in range(10):
        if step == 5:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.autograd.backward(model(images).sum())
    yield resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def count_for_ever(job):
    yield from itertools.count()


def refuse(job):
    yield "first"
    raise InputError(f"job {job} fails")


def die(job):
    yield "first"
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_record_of_every_job_arrives_in_order():
    records = list(side_by_side(count, [3, 1, 2]))
    assert sorted(records) == [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    assert [record for job, record in records if job == 3] == [0, 1, 2]


def test_a_job_that_is_no_longer_wanted_ends_and_others_go_on():
    ended, found = set(), []
    for job, record in side_by_side(count_for_ever, ["a", "b"], wanted=lambda job: job not in ended):
        found.append((job, record))
        if record == 2:
            ended.add(job)
    assert sorted(found) == [(job, record) for job in "ab" for record in range(3)]


def test_a_job_has_one_thread():
    assert list(side_by_side(threads, ["a"])) == [("a", 1)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no such setting")
def test_a_job_keeps_the_memory_that_it_frees():
    [(_, pages)] = side_by_side(new_pages, ["a"])
    assert pages < 5000  # tens of thousands without it


def test_an_input_error_arrives_with_its_message():
    with pytest.raises(InputError, match="job a fails"):
        list(side_by_side(refuse, ["a"]))


def test_a_job_that_dies_ends_the_others():
    with pytest.raises(InputError, match="a process ended with status"):
        list(side_by_side(die, ["a"]))


BITS = """
import hashlib, os, sys
import numpy as np
import torch
from digitline.model import networks
from digitline.data.dataset import Part
from digitline.compute.processes import side_by_side
from digitline.model import networks
from digitline.model.training import fit
RECIPE = dict(
    optimizer="SGD", learning_rate=0.1, momentum=0.9, weight_decay=1e-4, batch_size=32, warmup=0.2,
    label_smoothing=0.05, augmentation=dict(rotation=10.0, scale=0.1, shift=1.0), bfloat16=True,
)

def digest(seed):
    part = Part(np.random.default_rng(0).integers(0, 256, (640, 28, 28), np.uint8), np.arange(640) % 10)
    torch.manual_seed(seed)
    model = networks.build(network="modern", widths=[4, 8, 8, 8], dropout=0.1, classes=10)
    list(fit(model, part, part, seed=seed, epochs=1, **RECIPE))
    yield hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()

if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])
    print(sorted(side_by_side(digest, [1, 2, 3], imports=["digitline.model.training"])))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system gives every process all cores")
def test_the_number_of_cores_changes_no_bit(tmp_path):
    """Three seeds give the same weights on one core, one after another, as in parallel on all cores."""
    if slots.cores() < 2:
        pytest.skip("there is one core")
    (tmp_path / "bits.py").write_text(BITS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = [f"{warm.folder()}/python", "-m", "bits"]
    found = [
        subprocess.check_output([*words, str(count)], cwd=tmp_path, env=environment, text=True)
        for count in (1, slots.cores())
    ]
    assert found[0] == found[1]
    assert len(set(re.findall("[0-9a-f]{64}", found[0]))) == 3


ORPHAN = """
import os, time
from digitline.compute.processes import side_by_side
from digitline.model import networks

def work(job):
    yield os.getpid()
    time.sleep(60)

if __name__ == "__main__":
    for _, pid in side_by_side(work, [1, 2]):
        print(pid, flush=True)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_no_orphan_outlives_a_killed_parent(tmp_path):
    """The processes of a killed parent, which cannot end them, end themselves within seconds."""
    (tmp_path / "parent.py").write_text(ORPHAN)
    with subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        children = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(alive, children))
        parent.kill()
    deadline = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
