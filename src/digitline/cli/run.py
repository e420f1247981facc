"""digitline run: dvc repro with several stages at once."""

import json
import re
import subprocess
import time
from pathlib import Path

from digitline.base.errors import InputError
from digitline.base.slots import cores
from digitline.compute import plan, stages
from digitline.compute.jobs import on_cluster
from digitline.config import times
from digitline.config.params import Params

LOGS = Path(".dvc/tmp/digitline")  # what the stages print
ON_CLUSTER = 32  # stages at once whose runs are elsewhere; each has a process of a few hundred megabytes here
WHOLE = "digitline run"  # among the times of rows
GUESS = 15.0  # seconds of a stage whose time is not known


def run(params: Params) -> None:
    """Runs what dvc repro would run, as many stages at once as there are cores; DVC runs each and keeps dvc.lock."""
    edges = graph(dvc("dag", "--dot"))
    wanted = plan.needed(edges, json.loads(dvc("status", "--json")))
    known = {f"train@{name}": max(row.get("train_seconds", {0: GUESS}).values()) for name, row in times.known().items()}
    expected = {name: known.get(name, GUESS) for name in wanted}
    at_once = ON_CLUSTER if on_cluster() else cores()
    began = time.monotonic()
    seconds = stages.follow(wanted, command, LOGS, expected, at_once)
    if seconds.keys() == edges.keys():
        times.note(WHOLE, seconds=round(time.monotonic() - began))
    if seconds:
        chain = max(plan.chains(wanted, seconds).values(), key=lambda chain: plan.length(chain, seconds))
        print(f"the longest chain: {', '.join(chain)}: {plan.length(chain, seconds):.0f} s")
    # A stage whose output changed another one is run by this, which otherwise runs nothing.
    if subprocess.run(["dvc", "repro", "--quiet"], check=False).returncode:
        raise InputError("dvc repro failed, for the reason above")


def command(name: str) -> list[str]:
    """What runs a stage."""
    return ["dvc", "--wait-for-lock", "repro", "-s", name]


def dvc(*words: str) -> str:
    """What a command of dvc prints; InputError with its last line if it fails."""
    done = subprocess.run(["dvc", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"dvc {words[0]} failed: {(done.stderr.strip().splitlines() or [''])[-1]}")
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
