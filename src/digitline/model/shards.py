"""One training whose batches are divided: its bits depend on the number of shards, not on who computes which.

Each shard has its own draws and its own batch statistics; what the shards computed is summed in their order.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn

from digitline.base import files
from digitline.compute.ranks import together
from digitline.model import snapshot

Batch = tuple[Tensor, Tensor]  # images, labels
Group = dist.ProcessGroup


class Shards(NamedTuple):
    """The shards of a training, and the memory through which they are averaged."""

    number: int
    seed: int
    group: Group | None  # the processes that share the training; None: this one alone
    shares: list[range]  # the shards of each process
    buffers: list[Tensor]  # of the model
    vector: Tensor  # gradients, which the parameters have as theirs, then batch statistics, then the loss
    statistics: list[tuple[Tensor, Tensor]]  # buffers, each with its place in the vector
    rows: Tensor  # [shards of one process, values]: the vector of each of this process's shards
    gathered: Tensor  # [processes, shards of one process, values]

    @property
    def rank(self) -> int:
        return self.group.rank() if self.group else 0


def divide(model: nn.Module, number: int, seed: int, group: Group | None) -> Shards:
    """Divides a training among the processes of the group; makes the gradients views of one vector."""
    workers = group.size() if group else 1
    shares = [range(rank * number // workers, (rank + 1) * number // workers) for rank in range(workers)]
    parameters, buffers = list(model.parameters()), list(model.buffers())
    floating = [buffer for buffer in buffers if buffer.is_floating_point()]
    sizes = [tensor.numel() for tensor in [*parameters, *floating]]
    vector = torch.zeros(sum(sizes) + 1, device=parameters[0].device)
    *places, _ = torch.split(vector, [*sizes, 1])
    for parameter, place in zip(parameters, places, strict=False):
        parameter.grad = place.as_strided(parameter.shape, parameter.stride(), place.storage_offset())
    statistics = [(own, place.view_as(own)) for own, place in zip(floating, places[len(parameters) :], strict=True)]
    rows = vector.new_zeros(math.ceil(number / workers), len(vector))
    return Shards(number, seed, group, shares, buffers, vector, statistics, rows, rows.repeat(workers, 1, 1))


def run_through(
    state: snapshot.Training,
    shards: Shards,
    order: Tensor,
    *,
    epoch: int,
    seen: Callable[[Tensor, Generator], Iterator[Batch]],
    learn: Callable[[Tensor, Tensor], Tensor],
) -> float:
    """Takes one step per batch of the images `order` [batches, shards, images]; returns the sum of the losses.

    `seen` draws a shard's batches, `learn` adds the gradients of one and returns its loss.
    """
    wait(shards)
    generators = [drawing(shards.seed, shard, epoch) for shard in shards.shares[shards.rank]]
    own = order[:, shards.shares[shards.rank]].unbind(1)
    streams = [seen(places.flatten(), each) for places, each in zip(own, generators, strict=True)]
    total = torch.zeros((), device=state.device)
    state.model.train()
    for batches in zip(*streams, strict=True):
        total += step(shards, batches, generators, learn)
        state.optimizer.step()
        state.schedule.step()
    return total.item()


def drawing(seed: int, shard: int, epoch: int) -> Generator:
    """The generator of all that a shard draws in an epoch; a resumed training needs no state of it."""
    digest = hashlib.sha256(f"{seed} {shard} {epoch}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def step(
    shards: Shards,
    batches: tuple[Batch, ...],
    generators: list[Generator],
    learn: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Sets the gradients and the batch statistics to their means over all shards; returns the mean loss."""
    before = [buffer.clone() for buffer in shards.buffers]
    for row, batch, generator in zip(shards.rows, batches, generators, strict=False):
        for buffer, old in zip(shards.buffers, before, strict=True):
            buffer.copy_(old)
        shards.vector.zero_()
        seed_dropout(shards.vector.device, generator)
        shards.vector[-1] += learn(*batch)
        for buffer, place in shards.statistics:
            place.copy_(buffer)
        row.copy_(shards.vector)
    first, *others = everyones(shards)
    shards.vector.copy_(first)
    for row in others:
        shards.vector.add_(row)
    shards.vector.div_(shards.number)
    for buffer, place in shards.statistics:
        buffer.copy_(place)
    return shards.vector[-1].clone()


def seed_dropout(place: torch.device, generator: Generator) -> None:
    """Seeds the global generator, which dropout draws from, by the shard's own."""
    number = int(torch.randint(2**32, (), generator=generator))
    if place.type == "cuda":
        torch.cuda.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)  # torch.manual_seed looks for accelerators: 0.1 ms


def everyones(shards: Shards) -> list[Tensor]:
    """The vectors of all shards, in their order."""
    if not shards.group:
        return list(shards.rows)
    gather(list(shards.gathered), shards.rows, shards.group)
    return [row for share, rows in zip(shards.shares, shards.gathered, strict=True) for row in rows[: len(share)]]


def gather(places: list[Tensor], own: Tensor, group: Group) -> None:
    """Fills a place for each process with what it has; Lost if one has ended."""
    with together(group):
        dist.all_gather(places, own, group)


def wait(shards: Shards) -> None:
    """Waits until all processes are here: none begins an epoch before the first has cores for all."""
    if shards.group:
        own = shards.vector.new_zeros(1)
        gather([own.clone() for _ in shards.shares], own, shards.group)


def load(state: snapshot.Training, keep: Path, group: Group | None) -> list[Any]:
    """Restores the training of every process from the snapshot of the first one; returns the records of its epochs."""
    if not group:
        return snapshot.load(state, keep)
    content = keep.read_bytes() if not group.rank() and keep.exists() else b""
    size = torch.tensor([len(content)], device=state.device)
    with together(group):
        dist.broadcast(size, 0, group)
    sent = torch.frombuffer(bytearray(content or int(size)), dtype=torch.uint8) if size else torch.empty(0)
    sent = sent.to(state.device)
    with together(group):
        dist.broadcast(sent, 0, group)
    if not group.rank():
        return snapshot.load(state, keep)
    own = keep.with_name(f"{keep.name}.{group.rank()}")  # processes of one machine share the folder
    files.write(own, sent.cpu().numpy().tobytes())
    epochs = snapshot.load(state, own)
    own.unlink()
    return epochs
