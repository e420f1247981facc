"""MLflow's view of a search: a run with a child for each trial that has ended, found by the search's identity."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import gethostname
from typing import Any, NamedTuple

from mlflow.entities import Metric, Param, Run

from digitline.model.training import Epoch
from digitline.tracking.failures import answering
from digitline.tracking.runs import Variant, flat, lineage, points
from digitline.tracking.store import Store, alone, search


class Tried(NamedTuple):
    number: int
    params: Mapping[str, Any]  # keys may be nested
    epochs: Sequence[Epoch]
    metrics: Mapping[str, float]  # of the finished model; empty if it was pruned
    note: str  # why it failed


@answering()
def follow(store: Store, variant: Variant, identity: str, tried: Sequence[Tried]) -> None:
    """Logs the trials that the store lacks, beneath a run for the search."""
    with alone(store):
        parent = open_run(store, variant, identity)
        children = search(store, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
        known = {run.data.tags.get("trial") for run in children}
        for trial in tried:
            if str(trial.number) not in known:
                log(store, parent, trial)


@answering()
def conclude(
    store: Store, variant: Variant, identity: str, *, metrics: Mapping[str, float], note: str, files: Sequence[Path]
) -> None:
    """Ends the search's run with its outcome and its figures."""
    with alone(store):
        run = open_run(store, variant, identity).info.run_id
        now = int(time.time() * 1000)
        store.client.log_batch(run, [Metric(key, value, now, 0) for key, value in metrics.items()])
        for file in files:
            store.client.log_artifact(run, str(file))
        store.client.set_tag(run, "mlflow.note.content", note)
        store.client.set_terminated(run)


def open_run(store: Store, variant: Variant, identity: str) -> Run:
    """The run of the search, created if missing; an interrupted one runs again."""
    client = store.client
    for run in search(store, f"tags.search = '{identity}' and tags.level = 'search'"):
        client.update_run(run.info.run_id, status="RUNNING")
        client.set_tag(run.info.run_id, "process", process())
        return run
    tags = {"level": "search", "search": identity, "variant": variant.name, "process": process()}
    run = client.create_run(store.experiment, run_name=f"search of {variant.name}", tags=store.tags | tags)
    client.log_batch(run.info.run_id, params=written(variant.params))
    client.log_inputs(run.info.run_id, [lineage(data) for data in variant.data])
    return run


def process() -> str:
    """This process, so that the next training ends its runs if it is killed."""
    return f"{gethostname()}:{os.getpid()}"


def log(store: Store, parent: Run, trial: Tried) -> None:
    """Logs a trial that has ended: FINISHED if it is complete, KILLED if it was pruned, FAILED if it is no training."""
    client, variant = store.client, parent.data.tags["variant"]
    state = "complete" if trial.metrics else "failed" if trial.note else "pruned"
    tags = {"level": "trial", "mlflow.parentRunId": parent.info.run_id, "variant": variant, "process": process()}
    tags |= {"state": state} | ({"mlflow.note.content": trial.note} if trial.note else {})
    name = f"{variant} · trial {trial.number}"
    run = client.create_run(store.experiment, run_name=name, tags=store.tags | tags).info.run_id
    now = int(time.time() * 1000)
    measured = [Metric(key, value, now, 0) for key, value in trial.metrics.items()]
    measured += [point for epoch in trial.epochs for point in points(epoch)]
    client.log_batch(run, measured, written(trial.params))
    client.set_tag(run, "trial", str(trial.number))  # a run that was killed before lacks it, and is logged again
    client.set_terminated(run, {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[state])


def written(params: Mapping[str, Any]) -> list[Param]:
    """Parameters as MLflow takes them."""
    return [Param(key, str(value)) for key, value in flat(params).items()]
