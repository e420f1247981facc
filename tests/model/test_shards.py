"""The bits of a training in shards depend on their number, not on the processes that share it."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from digitline.base.errors import InputError
from digitline.compute import ranks
from digitline.compute.processes import side_by_side
from digitline.data.dataset import Part
from digitline.model import networks, shards, training
from digitline.model.shards import drawing
from tests.model.test_training import RECIPE
from tests.served import ROOT

VARIED: dict[str, Any] = {**RECIPE, "augmentation": {"rotation": 10.0, "erase": 0.2}, "shards": 4}
VARIED |= {"outliers": {"images": 8, "weight": 0.5}, "epochs": 2, "seed": 1}
IMPORTS = ["digitline.model.training", "digitline.compute.ranks", "torch._dynamo"]


class Job(NamedTuple):
    place: ranks.Rank | None = None
    cores: int | None = None
    keep: Path | None = None
    epochs: int = 2  # after which it is interrupted
    dies: bool = False


class Bits(NamedTuple):
    weights: str
    statistics: str
    records: list[Any]  # of the first process


def sha256(tensors):
    return hashlib.sha256(b"".join(tensor.detach().numpy().tobytes() for tensor in tensors)).hexdigest()


def part():
    return Part(np.random.default_rng(0).integers(0, 256, (160, 28, 28), np.uint8), np.arange(160, dtype=np.uint8) % 10)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)
    return False


def train(job):
    """Trains `modern` as one of the processes that share it."""
    if job.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    training.POOL = 64
    torch.manual_seed(1)
    model = networks.build(network="modern", widths=[4, 8, 8, 8], dropout=0.1, classes=10)
    if job.dies:
        training.has_bfloat16 = killed
    torch.manual_seed(99 if job.keep else 1)  # another one, as in a new process that resumes
    with ranks.joined(job.place, {}) as group:
        epochs = training.fit(model, part(), part(), group=group, keep=job.keep, **VARIED)
        records = [epoch[:-1] for epoch in islice(epochs, job.epochs)]
    yield Bits(sha256(model.parameters()), sha256(model.buffers()), records)


def together(folder, workers, **options):
    """What each of so many processes has after a training that they share."""
    places = [ranks.Rank(rank, workers, f"file://{folder}/{workers}") for rank in range(workers)]
    jobs = [Job(place, **options) for place in places]
    found = dict(side_by_side(train, jobs, team=workers, imports=IMPORTS))
    return [found[job] for job in jobs]


@pytest.fixture(scope="module")
def alone():
    """What one process has that computes all shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "POOL", training.POOL)
        [found] = train(Job())
    return found


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    """Which train sets in its process."""
    monkeypatch.setattr(training, "POOL", training.POOL)


@pytest.mark.cluster
@pytest.mark.parametrize(("workers", "cores"), [(2, None), (3, None), (4, 1)])
def test_the_number_of_processes_and_of_cores_changes_no_bit(alone, tmp_path, workers, cores):
    """Three share four shards unevenly. An order of sums, a draw or a statistic of the process shows here."""
    first, *others = together(tmp_path, workers, cores=cores)
    assert first == alone
    assert others == [alone._replace(records=[])] * (workers - 1)


TORCHRUN = """
from digitline.compute import processes, ranks
from tests.model.test_shards import Job, train
processes.alone()
for bits in train(Job(ranks.started())):
    print(bits, flush=True)
"""


@pytest.mark.cluster
def test_torchrun_s_processes_compute_the_same_bits(alone, tmp_path):
    (tmp_path / "train.py").write_text(TORCHRUN)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert sorted(done.stdout.splitlines()) == sorted([str(alone._replace(records=[])), str(alone)]), done.stderr


@pytest.mark.cluster
def test_a_training_resumes_to_the_same_bits_on_another_number_of_processes(alone, tmp_path):
    keep = tmp_path / "state"
    [interrupted] = train(Job(keep=keep, epochs=1))
    assert interrupted.records == alone.records[:1]
    assert [bits.weights for bits in together(tmp_path, 2, keep=keep)] == [alone.weights] * 2
    [resumed] = train(Job(keep=keep))  # of which nothing is left to do
    assert resumed == alone


@pytest.mark.cluster
def test_a_process_that_dies_ends_the_training_within_seconds_in_one_sentence(tmp_path):
    places = [ranks.Rank(rank, 2, f"file://{tmp_path}/meeting") for rank in range(2)]
    jobs = [Job(place, dies=place.rank == 1) for place in places]
    began = time.monotonic()
    with pytest.raises(InputError, match="a process ended with status -9; is there enough memory"):
        list(side_by_side(train, jobs, team=2, imports=IMPORTS))
    assert time.monotonic() - began < 60  # of a busy machine; without an end it would wait for a day


def test_without_draws_and_statistics_shards_learn_what_the_whole_batch_does(digits):
    own = {**RECIPE, "augmentation": {}, "bfloat16": False, "epochs": 1, "seed": 1}

    def weights(number):
        torch.manual_seed(1)
        model = networks.build(network="plain", filters=[4], hidden=16, activation="relu", classes=10)
        [epoch] = training.fit(model, digits.train, digits.test, shards=number, **own)
        return torch.cat([p.detach().flatten() for p in model.parameters()]), epoch

    (whole, one), (divided, same), (again, _) = weights(1), weights(4), weights(4)
    assert (divided - whole).abs().max() < 1e-5 < whole.abs().max()
    assert same.train_loss == pytest.approx(one.train_loss, rel=1e-5)
    assert torch.equal(divided, again)
    assert not torch.equal(divided, whole)


def test_batch_statistics_are_the_mean_of_the_shards_own_each_from_the_same_beginning():
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(4)
    model = torch.nn.Sequential(torch.nn.Flatten(), norm)
    divided = shards.divide(model, 2, 0, None)
    images = torch.rand(2, 8, 2, 2)
    generators = [drawing(0, shard, 1) for shard in range(2)]

    def learn(own, labels):
        loss = model(own).square().mean() * labels.sum()
        loss.backward()
        return loss.detach()

    shards.step(divided, tuple((own, torch.ones(1)) for own in images), generators, learn)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, 0.1 * images.flatten(2).mean((0, 1)))
    variances = torch.stack([own.flatten(1).var(0) for own in images])
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * variances.mean(0))
    assert norm.num_batches_tracked == 1


def test_each_shard_and_each_epoch_has_its_own_draws():
    drawn = {
        tuple(torch.rand(4, generator=drawing(seed, shard, epoch)).tolist())
        for seed in (-1, 1, 12)
        for shard in range(3)
        for epoch in (1, 2, 12)
    }
    assert len(drawn) == 27


def test_dropout_follows_the_shard_s_generator():
    def dropped(shard):
        shards.seed_dropout(torch.device("cpu"), drawing(1, shard, 1))
        return torch.nn.functional.dropout(torch.ones(64), 0.5)

    assert torch.equal(dropped(0), dropped(0))
    assert not torch.equal(dropped(0), dropped(1))
