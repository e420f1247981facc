"""Where jobs run: in processes of this machine, or on the cluster that RAY_ADDRESS names; with the same bits."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from digitline.base.errors import InputError

if TYPE_CHECKING:
    from digitline.compute import ranks  # it imports torch, which on_cluster need not

Job = TypeVar("Job")
Record = TypeVar("Record")

VARIABLE = "RAY_ADDRESS"
SECONDS = 5.0  # for the head to answer


def side_by_side(
    work: Callable[[Job], Iterable[Record]],
    jobs: Sequence[Job],
    *,
    imports: Sequence[str] = ("torch",),
    shared: Sequence[Path] = (),
    own: Callable[[Job], Sequence[Path]] = lambda job: [],
    shards: int = 1,
    place: "Callable[[Job, ranks.Rank], Job]" = lambda job, rank: job,
    wanted: Callable[[Job], bool] = lambda job: True,
) -> Iterator[tuple[Job, Record]]:
    """Starts the jobs at once and yields each record when it arrives; closing the iterator ends the jobs.

    Up to `shards` processes share each job, as many as end at the same time; `place` tells one of them which it is.

    Jobs read the relative paths `shared`, and each its `own` if they exist; on a cluster they see no other file of the
    checkout. The modules in `imports` are imported once on this machine, not in every process. After each record
    `wanted` says whether its job is to go on; if not, it is ended.
    """
    if not on_cluster():
        return here(work, jobs, imports=imports, shards=shards, place=place, wanted=wanted)
    address = os.environ[VARIABLE]
    if not find_spec("ray"):
        raise InputError(
            f"{VARIABLE} is set but Ray is not installed: pip install -e '.[cluster]' in the checkout, or unset it"
        )
    reach(address)
    from digitline.compute import cluster

    cluster.connect(address)
    return cluster.side_by_side(work, jobs, shared=shared, own=own, shards=shards, place=place, wanted=wanted)


def here(
    work: Callable[[Job], Iterable[Record]],
    jobs: Sequence[Job],
    *,
    imports: Sequence[str],
    shards: int,
    place: "Callable[[Job, ranks.Rank], Job]",
    wanted: Callable[[Job], bool],
) -> Iterator[tuple[Job, Record]]:
    """In processes of this machine, of which those of one job meet in a file."""
    from digitline.compute import processes, ranks

    team = ranks.workers(shards, len(jobs)) if shards > 1 else 1
    if team == 1:
        return processes.side_by_side(work, jobs, imports=imports, wanted=wanted)
    folder = tempfile.TemporaryDirectory(prefix="digitline-")
    shares = [
        place(job, ranks.Rank(rank, team, f"file://{folder.name}/{number}"))
        for number, job in enumerate(jobs)
        for rank in range(team)
    ]
    records = processes.side_by_side(work, shares, team=team, imports=imports, wanted=wanted)

    def until_the_end() -> Iterator[tuple[Job, Record]]:
        with folder:
            yield from records

    return until_the_end()


def on_cluster() -> bool:
    """Whether jobs go to a cluster."""
    return bool(os.environ.get(VARIABLE))


def reach(address: str) -> None:
    """InputError unless something listens at this HOST:PORT; Ray itself would try for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or "/" in host:
        raise InputError(f"{VARIABLE} is {address}, expected the head as HOST:PORT, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise InputError(f"no Ray cluster answers at {VARIABLE} {address} ({error}); is its head running?") from None
