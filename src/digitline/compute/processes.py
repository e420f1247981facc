"""Runs jobs in parallel, each in its own process on one thread: results do not depend on the number of cores."""

import ctypes
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from digitline.base.errors import InputError
from digitline.base.slots import core, cores
from digitline.compute.orphans import end_with

Job = TypeVar("Job")
Record = TypeVar("Record")

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def at_once(jobs: int) -> int:
    """How many jobs to run at once: up to two per core, in rounds of equal size, so that no core idles."""
    rounds = math.ceil(jobs / (2 * cores()))
    return math.ceil(jobs / rounds)


def side_by_side(
    work: Callable[[Job], Iterable[Record]],
    jobs: Sequence[Job],
    *,
    team: int = 1,
    imports: Sequence[str] = ("torch",),
    wanted: Callable[[Job], bool] = lambda job: True,
) -> Iterator[tuple[Job, Record]]:
    """Starts the jobs at once and yields each record when it arrives; closing the iterator kills the processes.

    Each `team` jobs in succession work together: they start together, and the first of them waits for all their cores.
    The modules in `imports` are imported once, not in every process. After each record `wanted` says whether its job
    is to go on; if not, its process is killed.
    """
    waiting, processes = deque(jobs), max(team, at_once(len(jobs)))
    running: dict[Connection, tuple[Job, BaseProcess]] = {}

    def fill() -> None:
        while waiting and len(running) + team <= processes:
            for place in range(team):
                job = waiting.popleft()
                here, process = start(work, job, imports, team if place == 0 else 0)
                running[here] = job, process

    def records() -> Iterator[tuple[Job, Record]]:
        try:
            while running:
                ready = wait(running)
                for here in [connection for connection in running if connection in ready]:
                    job, process = running[here]
                    if record := receive(here, process):
                        yield job, record[0]
                        if wanted(job):
                            continue
                        kill(process)
                    del running[here]
                    fill()
        finally:
            for _, left in running.values():
                kill(left)

    fill()
    return records()


def kill(process: BaseProcess) -> None:
    """Ends a process and waits for its end."""
    process.kill()
    process.join()


def start(
    work: Callable[[Job], Iterable[Record]], job: Job, imports: Sequence[str], wanted: int
) -> tuple[Connection, BaseProcess]:
    """Starts a job's process, which takes so many cores for each record; returns the connection for its records."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(imports))
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=send, args=(there, work, job, wanted), daemon=True)
    process.start()
    there.close()
    return here, process


def receive(here: Connection, process: BaseProcess) -> list[Any]:
    """The next record in a list, empty at the end of the work; raises what the work raised."""
    try:
        record = here.recv()
    except EOFError:
        process.join()
        if process.exitcode:
            raise InputError(f"a process ended with status {process.exitcode}; is there enough memory?") from None
        return []
    if isinstance(record, Exception):
        raise record
    return [record]


def send(there: Connection, work: Callable[[Job], Iterable[Record]], job: Job, wanted: int) -> None:
    """Does one job in its process, on one thread; sends each record, and an InputError or OSError."""
    if parent := parent_process():
        end_with(parent.join)
    alone()
    try:
        records = iter(work(job))
        while record := following(records, wanted):
            there.send(record[0])
    except (InputError, OSError) as error:
        there.send(error)
    except KeyboardInterrupt:
        sys.exit(1)


def alone() -> None:
    """Settings of a process that computes on one core."""
    torch.set_num_threads(1)
    keep_memory()


def following(records: Iterator[Record], wanted: int) -> list[Record]:
    """The next record in a list, empty at the end; computed when so many cores are free for it."""
    with core(wanted):
        return list(islice(records, 1))


def keep_memory() -> None:
    """Lets this process keep the memory that it frees: a training's tensors otherwise get new pages at every step.

    Up to a quarter of a step's time was spent on them. Only glibc's allocator has these settings (mallopt(3)).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
