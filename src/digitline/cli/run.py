"""digitline run: dvc repro with several stages at once."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

from filelock import FileLock, Timeout

from digitline.base.errors import InputError
from digitline.base.slots import cores
from digitline.compute import plan, stages
from digitline.compute.jobs import VARIABLE, on_cluster, reach
from digitline.config import times
from digitline.config.params import Params

LOGS = Path(".dvc/tmp/digitline")  # what the stages print
ON_CLUSTER = 32  # stages at once whose runs are elsewhere; each has a process of a few hundred megabytes here
GUESS = 15.0  # seconds of a stage whose time is not known


def run(params: Params) -> None:
    """Runs what dvc repro would run, as many stages at once as there are cores; DVC runs each and keeps dvc.lock."""
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOGS / "lock", timeout=0):
            all_stages()
    except Timeout:
        raise InputError("another digitline run is running here") from None


def all_stages() -> None:
    """Runs the stages that have to run."""
    if on_cluster():
        reach(os.environ[VARIABLE])
    edges = graph(dvc("dag", "--dot"))
    wanted = plan.needed(edges, json.loads(dvc("status", "--json")))
    known = {
        f"train@{name}": max(row.get("train_seconds", {}).values(), default=GUESS)
        for name, row in times.known().items()
    }
    expected = {name: known.get(name, GUESS) for name in wanted}
    at_once = ON_CLUSTER if on_cluster() else cores()
    began = time.monotonic()
    seconds = stages.follow(wanted, command, LOGS, expected, at_once)
    if seconds.keys() == edges.keys():
        times.note(times.WHOLE, seconds=round(time.monotonic() - began))
    if seconds:
        chain = max(plan.chains(wanted, seconds).values(), key=lambda chain: plan.length(chain, seconds))
        print(f"the longest chain: {', '.join(chain)}: {plan.length(chain, seconds):.0f} s")
    dvc("--wait-for-lock", "repro")  # runs nothing, unless a stage's output changed another one
    if not seconds:
        print("Data and pipelines are up to date.")


def command(name: str) -> list[str]:
    """What runs a stage."""
    return ["dvc", "--wait-for-lock", "repro", "-s", name]


def dvc(*words: str) -> str:
    """What a command of dvc prints; InputError with what it says of its failure."""
    done = subprocess.run(["dvc", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"dvc {' '.join(words)} failed: {' '.join(done.stderr.split())}")
    return done.stdout


def graph(dot: str) -> dict[str, list[str]]:
    """Each stage and the stages that it waits for, from dvc dag --dot."""
    edges: dict[str, list[str]] = {name: [] for name in re.findall(r'^"([^"]+)";', dot, re.MULTILINE)}
    for before, name in re.findall(r'^"([^"]+)" -> "([^"]+)";', dot, re.MULTILINE):
        edges[name].append(before)
    return {
        name: [one for one in before if not one.endswith(".dvc")]
        for name, before in edges.items()
        if not name.endswith(".dvc")
    }
