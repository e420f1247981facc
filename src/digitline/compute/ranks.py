"""Joins the processes that share one training, on this machine or on many."""

import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, cast

import psutil
import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public, not marked as exported

from digitline.base.errors import InputError
from digitline.base.slots import cores
from digitline.compute import machine

Group = dist.ProcessGroup

HERE, ELSEWHERE = timedelta(days=1), timedelta(minutes=5)  # longest wait for another process; here one may lack a core
PAUSE = 2.0  # seconds before a process says that it lost another one, so that the cause is told first
TEXT = 1024  # bytes in which a process describes itself


class Rank(NamedTuple):
    """One of the processes that share a training."""

    rank: int  # from 0, which alone yields records and writes files
    workers: int
    # Where they meet: file:///a/new/file on one machine, store://HOST:PORT on a cluster, env:// under torchrun.
    address: str


class Lost(InputError):
    """Another process of the training has ended or is out of reach."""


def started() -> Rank | None:
    """What torchrun has started this process as, if it has."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return Rank(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "env://")


def workers(shards: int, trainings: int) -> int:
    """How many processes share each of so many trainings: as few as end at the same time on this machine's cores."""
    return fewest(shards, torch.cuda.device_count() or cores() // trainings)


def fewest(shards: int, places: int) -> int:
    """How many processes are enough for the shards to take no longer than on so many places; at least one."""
    return math.ceil(shards / math.ceil(shards / max(1, places)))


@contextmanager
def joined(place: Rank | None, facts: Mapping[str, str]) -> Iterator[Group | None]:
    """Joins the others, whose facts have to be the same; InputError names the first that is not."""
    if place is None:
        yield None
        return
    local = place.address.startswith("file:")
    if local:
        os.environ["GLOO_SOCKET_IFNAME"] = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", place.rank % torch.cuda.device_count())))
    if dist.is_initialized():  # an earlier job of this process has ended with an error
        dist.destroy_process_group()
    try:
        where: dict[str, Any] = {"init_method": place.address}
        if place.address.startswith("store:"):
            where = {"store": store(place.address)}
        dist.init_process_group(
            backend, **where, rank=place.rank, world_size=place.workers, timeout=HERE if local else ELSEWHERE
        )
    except (OSError, RuntimeError, ValueError) as error:
        what = str(error).splitlines()[0]
        raise Lost(f"process {place.rank} did not find the others at {place.address}: {what}") from error
    group = cast("Group", dist.group.WORLD)
    agree(group, {**kind(), **facts})
    yield group
    dist.destroy_process_group()  # after an error the end of the process does it, when the error has been told


def store(address: str) -> TCPStore:
    """The store at store://HOST:PORT; from then on Gloo uses the network interface that leads there."""
    host, _, port = address.removeprefix("store://").rpartition(":")
    with socket.create_connection((host, int(port)), ELSEWHERE.seconds) as there:
        own = there.getsockname()[0]
    found = psutil.net_if_addrs().items()
    os.environ["GLOO_SOCKET_IFNAME"] = next(name for name, has in found if own in {each.address for each in has})
    return TCPStore(host, int(port), is_master=False, timeout=ELSEWHERE)


@contextmanager
def together(group: Group) -> Iterator[None]:
    """Lost, with what PyTorch says, if another process of the group ends meanwhile."""
    try:
        yield
    except RuntimeError as error:
        time.sleep(PAUSE)
        what = str(error).splitlines()[0]
        raise Lost(f"process {group.rank()} lost another one of its training: {what}") from error


def kind() -> dict[str, str]:
    """What decides which bits a processor computes."""
    return {"processor": machine.processor(), "instructions": machine.instructions(), "torch": torch.__version__}


def agree(group: Group, facts: Mapping[str, str]) -> None:
    """InputError if another process of the group has other facts than the first."""
    place = "cuda" if torch.cuda.is_available() else "cpu"
    own = torch.frombuffer(bytearray("\n".join(facts.values()).encode().ljust(TEXT)[:TEXT]), dtype=torch.uint8)
    everyones = [torch.empty(TEXT, dtype=torch.uint8, device=place) for _ in range(group.size())]
    with together(group):
        dist.all_gather(everyones, own.to(place), group)
    first, *others = (bytes(text.cpu().tolist()).decode(errors="replace").strip().split("\n") for text in everyones)
    for rank, other in enumerate(others, 1):
        for name, one, another in zip(facts, first, other, strict=True):
            if one != another:
                raise InputError(
                    f"{name} is {one} for process 0 and {another} for process {rank}, expected the same: "
                    "processes of one training compute the same bits"
                )
