"""Runs jobs as tasks of a Ray cluster: the records and the files that they write come back as from processes here."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import ray
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.compute import worker

Job = TypeVar("Job")
Record = TypeVar("Record")

NODES = "DIGITLINE_NODES"  # label=value of the nodes that may work; without it, all
SILENCE = "DIGITLINE_SILENCE"  # seconds without a record after which a job goes elsewhere
DEFAULT = "900"
QUEUED = 120.0  # seconds after which a job that has not begun is submitted anew: its node may be out of reach
LOSSES = 3  # attempts in a row that end without a record
SECONDS = 1.0  # between two looks at the nodes


@dataclass(eq=False)
class Task(Generic[Job]):
    """A job, and the attempt at it that runs."""

    job: Job
    stream: Any = None  # what the attempt yields
    awaited: Any = None  # the stream, or the message of it that is on its way
    node: str = ""  # its id, once the attempt has begun
    heard: float = 0.0  # when the last message came
    taken: int = 0  # records handed on
    repeats: int = 0  # records of this attempt that were handed on before
    losses: int = 0  # attempts since the last new record


def connect(address: str) -> None:
    """Joins the cluster; InputError if it refuses this machine."""
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # else uv run would install on every worker
    try:
        with quiet():
            ray.init(address, ignore_reinit_error=True, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        why = reason(error.__cause__ or error)
        why = "its token or RAY_AUTH_MODE is another one" if "Authentication" in why else why
        raise InputError(f"the Ray cluster at {address} refused this machine: {why}") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Drops what Ray's C++ writes to the standard error output, such as a warning for each attempt to connect."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def reason(error: BaseException) -> str:
    """What an exception says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def side_by_side(
    work: Callable[[Job], Iterable[Record]],
    jobs: Sequence[Job],
    *,
    shared: Sequence[Path] = (),
    own: Callable[[Job], Sequence[Path]] = lambda job: [],
    wanted: Callable[[Job], bool] = lambda job: True,
) -> Iterator[tuple[Job, Record]]:
    """Submits the jobs; a job whose worker, node or link is lost is submitted anew, with the files that it has sent."""
    cloudpickle.register_pickle_by_value(worker)
    serve = ray.remote(num_cpus=1, max_retries=0)(worker.serve)
    bound()
    driver = {name: read() for name, read in worker.SAME.items()}
    sent = {str(path): (digest(path), [ray.put(np.memmap(path, np.uint8, "r"))]) for path in shared}
    silent: set[str] = set()  # the ids of nodes that were lost

    def submit(task: Task[Job]) -> None:
        given = {str(path): path.read_bytes() for path in own(task.job) if path.exists()}
        packed = cloudpickle.dumps((work, task.job))
        begin(task, serve.options(label_selector=labels(silent)).remote(driver, packed, sent, given))

    def anew(task: Task[Job], why: str) -> None:
        count(task, why)
        silent.update([task.node] if task.node else [])
        submit(task)

    tasks = [Task(job) for job in jobs]
    for task in tasks:
        submit(task)
    return records(tasks, anew, wanted)


def records(
    tasks: list[Task[Job]], anew: Callable[[Task[Job], str], None], wanted: Callable[[Job], bool]
) -> Iterator[tuple[Job, Any]]:
    """Yields what the tasks send until none is left, then leaves the cluster; so does closing the iterator."""
    try:
        while tasks:
            for task in ready(tasks):
                try:
                    if record := receive(task):
                        yield task.job, record[0]
                        if not wanted(task.job):
                            ray.cancel(task.stream, force=True)
                            tasks.remove(task)
                except StopIteration:
                    tasks.remove(task)
                except RayTaskError:  # an error of the work itself
                    raise
                except RayError as error:
                    anew(task, reason(error))
            for task, why in gone(tasks):
                ray.cancel(task.stream, force=True)
                anew(task, why)
    finally:
        ray.shutdown()  # which ends the tasks that are left; to cancel one as it ends aborts this process in Ray 2.60


def begin(task: Task[Job], stream: Any) -> None:
    """Notes a new attempt."""
    task.stream = task.awaited = stream
    task.node, task.heard, task.repeats = "", time.monotonic(), task.taken


def count(task: Task[Job], why: str) -> None:
    """Counts an attempt that is lost for this reason, if it had begun; InputError if it was the last one."""
    if why:
        task.losses += 1
        print(f"a job goes on elsewhere: {why}", file=sys.stderr)
    if task.losses == LOSSES:
        raise InputError(f"a job ended {LOSSES} times without a result: {why}; is there enough memory?")


def ready(tasks: Sequence[Task[Job]]) -> list[Task[Job]]:
    """Those of which a message has been announced or has arrived; waits a moment for one."""
    found, _ = ray.wait([task.awaited for task in tasks], timeout=SECONDS)
    return [task for task in tasks if task.awaited in found]


def receive(task: Task[Job]) -> list[Any]:
    """The record that has arrived, in a list; empty if none has. StopIteration at the end, RayError on a loss."""
    task.heard = time.monotonic()
    if task.awaited is task.stream:
        task.awaited = next(task.stream)  # announced
        return []
    message: worker.Message = ray.get(task.awaited)
    task.awaited = task.stream
    return accept(task, *message)


def accept(task: Task[Job], what: str, content: Any, written: worker.Files) -> list[Any]:
    """Writes the files of a message; returns its record in a list, empty if it was handed on before or is none."""
    if what == "error":
        raise InputError(content)
    if what == "node":
        task.node = content
        return []
    if task.repeats:
        task.repeats -= 1
        return []
    for name, bytes_of in written.items():
        files.write(Path(name), bytes_of)
    task.taken, task.losses = task.taken + 1, 0
    return [content]


def gone(tasks: Sequence[Task[Job]]) -> Iterator[tuple[Task[Job], str]]:
    """The tasks whose node is dead or from which nothing has come for too long, and why; "" if they have not begun."""
    alive, now = {node["NodeID"] for node in ray.nodes() if node["Alive"]}, time.monotonic()
    for task in tasks:
        if not task.node:
            if now - task.heard > QUEUED:
                yield task, ""
        elif task.node not in alive:
            yield task, "its node has left the cluster"
        elif now - task.heard > bound():
            yield task, f"nothing came for {bound():g} s ({SILENCE} sets how long a record may take)"


def bound() -> float:
    """The seconds that a record may take."""
    text = os.environ.get(SILENCE, DEFAULT)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{SILENCE} is {text}, expected a number of seconds") from None


def labels(silent: set[str]) -> dict[str, str]:
    """Which nodes may work: those with the wanted label, without those that were lost, unless no other is there."""
    label, _, value = os.environ.get(NODES, "").partition("=")
    wanted = {label: value} if label else {}
    fitting = [node for node in ray.nodes() if node["Alive"] and wanted.items() <= node["Labels"].items()]
    if wanted and not fitting:
        raise InputError(f"no node of the cluster has the label {os.environ[NODES]}, which {NODES} names")
    if not {node["NodeID"] for node in fitting if node["Resources"].get("CPU")} - silent:
        silent.clear()
    return wanted | ({"ray.io/node-id": f"!in({','.join(sorted(silent))})"} if silent else {})
