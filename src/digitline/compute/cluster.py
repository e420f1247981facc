"""Runs jobs as tasks of a Ray cluster: the records and the files that they write come back as from processes here."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import ray
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError
from ray.util import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public, not marked as exported

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.compute import ranks, worker
from digitline.compute.tasks import Part, Task, end, ended, ready, receive

Job = TypeVar("Job")
Record = TypeVar("Record")

NODES = "DIGITLINE_NODES"  # label=value of the nodes that may work; without it, all
SILENCE = "DIGITLINE_SILENCE"  # seconds without a record after which a job goes elsewhere
DEFAULT = "900"
QUEUED = 120.0  # seconds after which a job that has not begun is submitted anew: its node may be out of reach
LOSSES = 3  # attempts in a row that end without a record


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
    """Drops what C++ writes to the standard error output, such as Ray's warning for each attempt to connect."""
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
    shards: int = 1,
    place: Callable[[Job, ranks.Rank], Job] = lambda job, rank: job,
    wanted: Callable[[Job], bool] = lambda job: True,
) -> Iterator[tuple[Job, Record]]:
    """Submits the jobs; a job whose worker, node or link is lost is submitted anew, with the files that it has sent.

    Up to `shards` processes share a job, as the cluster's cores allow; `place` tells one of them which it is.
    """
    cloudpickle.register_pickle_by_value(worker)
    serve = ray.remote(num_cpus=1, max_retries=0)(worker.serve)
    bound()
    driver = {name: read() for name, read in worker.SAME.items()}
    sent = {str(path): (digest(path), [ray.put(np.memmap(path, np.uint8, "r"))]) for path in shared}
    silent: set[str] = set()  # the ids of nodes that were lost
    tasks = [Task(job) for job in jobs]

    def size() -> int:
        return ranks.fewest(shards, cores(silent) // len(tasks)) if shards > 1 else 1

    def submit(task: Task[Job]) -> None:
        given = {str(path): path.read_bytes() for path in own(task.job) if path.exists()}
        where = labels(silent)
        options, shares = placed(task, size(), where), [task.job]
        if task.meeting:
            address = f"store://{task.meeting.host}:{task.meeting.port}"
            shares = [place(task.job, ranks.Rank(rank, len(options), address)) for rank in range(len(options))]
        task.repeats = task.taken
        for rank, (share, option) in enumerate(zip(shares, options, strict=True)):
            packed = cloudpickle.dumps((work, share))
            stream = serve.options(**option).remote(driver, packed, sent, {} if rank else given)
            task.parts.append(Part(stream, stream))

    def anew(task: Task[Job], why: str, node: str) -> None:
        give_up(task, why)
        silent.update([node] if node else [])
        submit(task)

    for task in tasks:
        submit(task)
    return records(tasks, anew, size, wanted)


def placed(task: Task[Any], size: int, where: dict[str, str]) -> list[dict[str, Any]]:
    """The options of the parts of a new attempt; several get their cores together, or two jobs could wait for ever."""
    if size == 1:
        return [{"label_selector": where}]
    with quiet():
        task.meeting = TCPStore(address(), 0, is_master=True, wait_for_workers=False)
    task.places = placement_group([{"CPU": 1}] * size, "PACK", bundle_label_selector=[where] * size)
    strategies = [PlacementGroupSchedulingStrategy(task.places, rank) for rank in range(size)]
    return [{"scheduling_strategy": strategy} for strategy in strategies]


def address() -> str:
    """Where the cluster's other nodes reach this one."""
    own = ray.get_runtime_context().get_node_id()
    return next(str(node["NodeManagerAddress"]) for node in ray.nodes() if node["NodeID"] == own)


def records(
    tasks: list[Task[Job]],
    anew: Callable[[Task[Job], str, str], None],
    size: Callable[[], int],
    wanted: Callable[[Job], bool],
) -> Iterator[tuple[Job, Any]]:
    """Yields what the tasks send until none is left, then leaves the cluster; so does closing the iterator."""
    try:
        while tasks:
            for task, part in ready(tasks):
                try:
                    if record := receive(task, part):
                        yield task.job, record[0]
                        if not wanted(task.job):
                            end(task)
                            tasks.remove(task)
                except StopIteration:
                    if ended(task, part):
                        tasks.remove(task)
                except RayTaskError:  # an error of the work itself
                    raise
                except (ranks.Lost, RayError) as error:
                    task.parts.remove(part)
                    anew(task, reason(error), part.node if isinstance(error, RayError) else "")
            for task, why, node in gone(tasks, size):
                anew(task, why, node)
    finally:
        ray.shutdown()  # which ends the tasks that are left


def give_up(task: Task[Job], why: str) -> None:
    """Ends an attempt, which is lost for that reason or else only waited; InputError if it was the last one."""
    end(task)
    if why:
        task.losses += 1
        print(f"a job goes on elsewhere: {why}", file=sys.stderr)
    if task.losses == LOSSES:
        raise InputError(f"a job ended {LOSSES} times without a result: {why}; is there enough memory?")


def gone(tasks: Sequence[Task[Job]], size: Callable[[], int]) -> Iterator[tuple[Task[Job], str, str]]:
    """The tasks to submit anew, why, and the id of the node that is to blame; "" where there is none."""
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    for task in tasks:
        if found := next(filter(None, (missing(task, part, alive, size) for part in task.parts)), None):
            yield task, *found


def missing(task: Task[Any], part: Part, alive: set[str], size: Callable[[], int]) -> tuple[str, str] | None:
    """Why to give up a part whose node is dead or from which nothing has come for too long; "" if it has not begun."""
    waited = time.monotonic() - part.heard
    if not part.node:  # since it was submitted, there may have become too few cores for all parts
        return ("", "") if waited > QUEUED or len(task.parts) > size() else None
    if part.node not in alive:
        return "its node has left the cluster", part.node
    if part is task.parts[0] and waited > bound():
        why = f"nothing came for {bound():g} s ({SILENCE} sets how long a record may take)"
        return why, part.node if len(task.parts) == 1 else ""
    return None


def bound() -> float:
    """The seconds that a record may take."""
    text = os.environ.get(SILENCE, DEFAULT)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{SILENCE} is {text}, expected a number of seconds") from None


def fitting() -> list[dict[str, Any]]:
    """The nodes that may work: those with the wanted label; InputError if there is none."""
    wanted = label().items()
    found = [node for node in ray.nodes() if node["Alive"] and wanted <= node["Labels"].items()]
    if wanted and not found:
        raise InputError(f"no node of the cluster has the label {os.environ[NODES]}, which {NODES} names")
    return found


def label() -> dict[str, str]:
    """The one that nodes need to work."""
    name, _, value = os.environ.get(NODES, "").partition("=")
    return {name: value} if name else {}


def cores(silent: set[str]) -> int:
    """Those of the nodes that may work, without those that were lost."""
    return sum(int(node["Resources"].get("CPU", 0)) for node in fitting() if node["NodeID"] not in silent)


def labels(silent: set[str]) -> dict[str, str]:
    """Which nodes may work: those with the wanted label, without those that were lost, unless no other is there."""
    if not {node["NodeID"] for node in fitting() if node["Resources"].get("CPU")} - silent:
        silent.clear()
    return label() | ({"ray.io/node-id": f"!in({','.join(sorted(silent))})"} if silent else {})
