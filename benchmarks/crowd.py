"""Many nodes train for one driver: a simulation with queues, which finds what limits them first.

Every core trains runs one after the other. Three servers take one request at a time, in the order of arrival: DVC's
lock (a request a stage), the driver's network (the data set to each node; a record and a snapshot back an epoch; the
model at the end) and MLflow's store (a request an epoch). A run waits for the first two; MLflow's queue has to be empty
only at the end. Nothing is random.
"""

from collections.abc import Generator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

CORES, SEEDS, WAVES = 16, 3, 2  # of a node, of a stage, runs a core
LINK = 125e6  # bytes a second: 1 Gbit/s
NODES = (10, 100, 1000)
ENOUGH = 0.9  # of the cores' time in training
NAMES = {"dvc": "DVC's lock", "link": "the driver's network", "mlflow": "MLflow's store"}


class Setup(NamedTuple):
    """What a site has changed; by default nothing."""

    store: str = "sqlite"
    whole: bool = False  # MLflow gets a run's epochs in one request, at its end
    carried: bool = False  # the data set is in the image
    aside: bool = False  # snapshots go to an object store, past the driver
    checkouts: int = 1  # with a DVC of their own


REMEDIES: dict[str, list[tuple[str, dict[str, Any]]]] = {  # by what limits, the cheapest first
    "mlflow": [("PostgreSQL in place of sqlite", {"store": "postgresql"}), ("MLflow once a run", {"whole": True})],
    "link": [("the data set in the image", {"carried": True}), ("snapshots to the object store", {"aside": True})],
    "dvc": [("10 checkouts, each with some of the variants", {"checkouts": 10}), ("100 checkouts", {"checkouts": 100})],
}

Requests = Generator[tuple[str, float], float, None]  # yields what it asks for, and gets the time when that is done


class Farm(NamedTuple):
    """What the cores share."""

    found: Mapping[str, Any]  # the measured constants
    setup: Setup
    runs: "count[int]"
    mapped: set[int]  # the nodes that have the data set


class Outcome(NamedTuple):
    seconds: float  # until everything is done
    training: float  # share of the cores' time
    busy: dict[str, float]  # share of the time, by server

    @property
    def first(self) -> str:
        """The busiest server."""
        return max(self.busy, key=lambda name: self.busy[name])


def simulate(nodes: int, found: Mapping[str, Any], setup: Setup, *, cores: int = CORES, waves: int = WAVES) -> Outcome:
    """Trains `waves` runs on each core, with the measured constants."""
    free, worked = (dict.fromkeys(NAMES, 0.0) for _ in range(2))
    farm = Farm(found, setup, count(), set())
    waiting: list[tuple[float, int, Requests, tuple[str, float]]] = []
    for place in range(nodes * cores):
        own = core(place // cores, farm, waves)
        heappush(waiting, (0.0, place, own, next(own)))
    last = 0.0
    while waiting:
        now, place, own, (server, seconds) = heappop(waiting)
        done = now + seconds
        if server in free:
            worked[server] += seconds
            done = free[server] = max(now, free[server]) + seconds
        try:
            heappush(waiting, (now if server == "mlflow" else done, place, own, own.send(done)))
        except StopIteration:
            last = max(last, now if server == "mlflow" else done)
    last = max(last, *free.values())
    trained = waves * found["epochs"] * found["epoch_seconds"]
    return Outcome(last, trained / last, {name: each / last for name, each in worked.items()})


def core(node: int, farm: Farm, waves: int) -> Requests:
    """What one core asks for: its runs, one after the other."""
    found, setup = farm.found, farm.setup
    back = found["record_bytes"] + (0 if setup.aside else found["snapshot_bytes"])
    for _ in range(waves):
        if next(farm.runs) % SEEDS == 0:
            yield "dvc", found["dvc_seconds"] / setup.checkouts
        if not (setup.carried or node in farm.mapped):
            farm.mapped.add(node)  # its other cores begin with what has arrived
            yield "link", found["dataset_bytes"] / LINK
        for _ in range(found["epochs"]):
            yield "core", found["epoch_seconds"]
            yield "link", back / LINK
            if not setup.whole:
                yield "mlflow", found["mlflow_seconds"][setup.store]
        yield "link", found["model_bytes"] / LINK
        if setup.whole:
            yield "mlflow", found["mlflow_seconds"][setup.store]


def table(found: Mapping[str, Any], counts: Sequence[int] = NODES) -> list[dict[str, Any]]:
    """For each number of nodes: as it comes, then with a remedy after the other for what limits it most."""
    rows = []
    for nodes in counts:
        setup, changed = Setup(), "as it comes"
        left = {name: list(each) for name, each in REMEDIES.items()}
        while True:
            outcome = simulate(nodes, found, setup)
            shown = {"training": round(outcome.training, 3), "busy": round(outcome.busy[outcome.first], 3)}
            rows.append({"nodes": nodes, "setup": changed, "first": NAMES[outcome.first], **shown})
            if outcome.training >= ENOUGH or not left[outcome.first]:
                break
            changed, change = left[outcome.first].pop(0)
            setup = setup._replace(**change)
    return rows
