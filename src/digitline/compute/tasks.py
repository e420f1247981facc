"""The attempts at jobs on a Ray cluster: what they send, and how they end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray
from ray.util import remove_placement_group
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public, not marked as exported

from digitline.base import files
from digitline.base.errors import InputError
from digitline.compute import ranks, worker

Job = TypeVar("Job")

SECONDS = 1.0  # between two looks at the nodes


@dataclass(eq=False)
class Part:
    """One process of an attempt at a job."""

    stream: Any  # what it yields
    awaited: Any  # the stream, or the message of it that is on its way
    node: str = ""  # its id, once the process has begun
    heard: float = field(default_factory=time.monotonic)  # when the last message came


@dataclass(eq=False)
class Task(Generic[Job]):
    """A job, and the attempt at it that runs."""

    job: Job
    parts: list[Part] = field(default_factory=list)  # of the attempt; the first one yields the records
    places: Any = None  # the placement group of several parts
    meeting: TCPStore | None = None  # through which they find each other
    taken: int = 0  # records handed on
    repeats: int = 0  # records of this attempt that were handed on before
    losses: int = 0  # attempts since the last new record


def ready(tasks: Sequence[Task[Job]]) -> list[tuple[Task[Job], Part]]:
    """Those of which a message has been announced or has arrived; waits a moment for one."""
    parts = [(task, part) for task in tasks for part in task.parts]
    found, _ = ray.wait([part.awaited for _, part in parts], timeout=SECONDS)
    return [(task, part) for task, part in parts if part.awaited in found]


def receive(task: Task[Job], part: Part) -> list[Any]:
    """The record that has arrived, in a list; empty if none has. StopIteration at the end, RayError or Lost on a loss.

    InputError if the work ended with one.
    """
    if part not in task.parts:  # of an attempt that was given up since
        return []
    part.heard = time.monotonic()
    if part.awaited is part.stream:
        part.awaited = next(part.stream)  # announced
        return []
    message: worker.Message = ray.get(part.awaited)
    part.awaited = part.stream
    if message[0] == "node":
        part.node = message[1]
        return []
    return accept(task, *message)


def accept(task: Task[Job], what: str, content: Any, written: worker.Files) -> list[Any]:
    """Writes the files of a message; returns its record in a list, empty if it was handed on before."""
    if what != "record":
        raise ranks.Lost(content) if what == "lost" else InputError(content)
    if task.repeats:
        task.repeats -= 1
        return []
    for name, bytes_of in written.items():
        files.write(Path(name), bytes_of)
    task.taken, task.losses = task.taken + 1, 0
    return [content]


def ended(task: Task[Any], part: Part) -> bool:
    """Whether the end of that part is the end of the job, which is then noted."""
    last = part is task.parts[0]
    task.parts.remove(part)
    if last:
        end(task)
    return last


def end(task: Task[Any]) -> None:
    """Ends what is left of an attempt."""
    if task.places:
        remove_placement_group(task.places)  # and what runs there: to cancel a task as it ends aborts Ray 2.60
    else:
        for part in task.parts:
            ray.cancel(part.stream, force=True)
    task.parts, task.places, task.meeting = [], None, None
