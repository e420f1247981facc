"""Measures what one driver spends on a run, a stage and a node, and simulates how many nodes that lasts for.

PostgreSQL is Debian's, on this machine, as it comes.
"""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from mlflow import MlflowClient

from benchmarks import crowd
from benchmarks.bench_train import FOLDER
from digitline.base import files
from digitline.base.errors import InputError
from digitline.cli.results import marked, table
from digitline.compute.machine import processor
from digitline.config import params as file
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset
from digitline.data.dataset import Part
from digitline.model import checkpoint, networks
from digitline.model.training import Epoch, fit
from digitline.tracking.runs import points

VARIANT = "modern"
PAGE = Path("docs/scale.md")
LOGGED, ROUNDS = 10, 20  # epochs of a round; of the rounds the quickest counts, which others disturbed least
RERUNS = 3
STAGES = (5, 25)  # of two pipelines, whose difference is the cost of the stages alone
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
STAGE = {"cmd": "echo ${item} > ${item}", "outs": ["${item}"]}


def sizes(folder: Path, params: Params) -> dict[str, int]:
    """The bytes of a data set, an epoch's record and snapshot, and a model; of the last, the variant's own."""
    whole = dataset.load(paths.DATASET)
    variant = params.variants[VARIANT]
    network = {**variant.model, "classes": len(params.classes), **networks.of_shape(params.image)}
    part = Part(whole.train.images[:1000].copy(), whole.train.labels[:1000].copy())
    torch.manual_seed(1)
    model = networks.build(**network)
    kept = folder / "snapshot"
    record, _ = fit(model, part, part, seed=1, keep=kept, **{**variant.recipe, "epochs": 2})
    checkpoint.save(model, folder / "model", **network)
    return {
        "dataset_bytes": paths.DATASET.stat().st_size,
        "record_bytes": len(pickle.dumps(record)),
        "snapshot_bytes": kept.stat().st_size,
        "model_bytes": (folder / "model").stat().st_size,
    }


def epoch_seconds(params: Params) -> dict[str, float]:
    """How many epochs the variant trains, and the mean time of one, from the last run of the pipeline."""
    trained = files.read_json(paths.REPORTED)[VARIANT]["train_seconds"].values()
    epochs = int(params.variants[VARIANT].recipe["epochs"])
    return {"epochs": epochs, "epoch_seconds": round(fmean(trained) / epochs, 3)}


def logging(uri: str) -> float:
    """Seconds in which a store takes an epoch's metrics."""
    client = MlflowClient(uri)
    experiment = client.create_experiment("bench")
    rounds = []
    for _ in range(ROUNDS):
        run = client.create_run(experiment).info.run_id
        began = time.perf_counter()
        for step in range(LOGGED):
            client.log_batch(run, points(Epoch(step + 1, 0.5, 0.5, 0.5, 1.0)))
        rounds.append((time.perf_counter() - began) / LOGGED)
    return min(rounds)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URI of a new database."""
    if not POSTGRES:
        raise InputError("there is no PostgreSQL of Debian's; apt-get install postgresql")
    account: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    place = Path(tempfile.mkdtemp())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    if account:
        shutil.chown(place, "postgres", "postgres")
    control = [f"{POSTGRES}/pg_ctl", "-D", f"{place}/data", "-w"]
    settings = f"-p {port} -k {place} -c listen_addresses=127.0.0.1"
    subprocess.run([*control, "initdb", "-o", "-U bench -A trust"], cwd=place, **account, **SILENT, check=True)
    subprocess.run(
        [*control, "start", "-l", f"{place}/log", "-o", settings], cwd=place, **account, **SILENT, check=True
    )
    try:
        yield f"postgresql+psycopg://bench@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "stop", "-m", "immediate"], cwd=place, **account, **SILENT, check=True)
        shutil.rmtree(place)


def reruns(folder: Path) -> tuple[float, float]:
    """DVC's seconds a stage: to run and lock it beside its command, and to find it unchanged."""
    taken = []
    for stages in STAGES:
        place = folder / f"pipeline{stages}"
        place.mkdir()
        listed = [f"out{number}" for number in range(stages)]
        (place / "dvc.yaml").write_text(json.dumps({"stages": {"write": {"foreach": listed, "do": STAGE}}}))
        for words in (["git", "init"], ["dvc", "init"]):
            subprocess.run(words, cwd=place, **SILENT, check=True)
        taken.append([min(repro(place, *words) for _ in range(RERUNS)) for words in (["--force"], [])])
    (few, none_of_few), (many, none_of_many) = taken
    return (many - few) / (STAGES[1] - STAGES[0]), (none_of_many - none_of_few) / (STAGES[1] - STAGES[0])


def repro(place: Path, *words: str) -> float:
    began = time.perf_counter()
    subprocess.run(["dvc", "repro", "--quiet", *words], cwd=place, **SILENT, check=True)
    return time.perf_counter() - began


def constants(written: Mapping[str, Any]) -> str:
    """What one driver spends on a node, a run, an epoch and a stage, as a table."""
    found = written["constants"]
    logged = found["mlflow_seconds"]
    rows = [
        ["the data set, once a node", f"{found['dataset_bytes'] / 1e6:.1f} MB"],
        ["a run's snapshot, every epoch", f"{found['snapshot_bytes'] / 1e3:.0f} kB"],
        ["a run's record, every epoch", f"{found['record_bytes']} bytes"],
        ["a run's model, at its end", f"{found['model_bytes'] / 1e3:.0f} kB"],
        ["MLflow: epochs logged a second, sqlite", f"{1 / logged['sqlite']:.0f}"],
        ["MLflow: epochs logged a second, PostgreSQL", f"{1 / logged['postgresql']:.0f}"],
        ["DVC: a stage that runs, beside its command", f"{found['dvc_seconds'] * 1e3:.0f} ms"],
        ["DVC: a stage without a change", f"{found['dvc_unchanged_seconds'] * 1e3:.1f} ms"],
        ["an epoch of `modern`, one core", f"{found['epoch_seconds']:.1f} s"],
    ]
    return table(["what", "measured"], rows)


def breaks(written: Mapping[str, Any]) -> str:
    """What limits many nodes first, and what each remedy brings, as a table."""
    rows = [
        [f"{row['nodes']:,}", row["setup"], f"{row['training']:.0%}", f"{row['first']}, {row['busy']:.0%}"]
        for row in written["breaks"]
    ]
    return table(["nodes", "changed, beside the rows above", "cores' time in training", "the busiest"], rows)


TABLES = {"constants": constants, "breaks": breaks}


def show(written: Mapping[str, Any]) -> None:
    """Writes the tables into their page."""
    text = PAGE.read_text()
    for name, draw in TABLES.items():
        before, _, after = marked(text, name)
        text = f"{before}{draw(written)}\n{after}"
    files.write(PAGE, text.encode())


def main() -> None:
    """Writes the constants and what the simulation finds, and the tables of docs/scale.md."""
    torch.set_num_threads(1)
    params = file.read()
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        found: dict[str, Any] = {**sizes(folder, params), **epoch_seconds(params)}
        seconds = {"sqlite": logging(f"sqlite:///{folder}/mlflow.db")}
        with postgresql() as uri:
            seconds["postgresql"] = logging(uri)
        found["mlflow_seconds"] = {name: round(each, 5) for name, each in seconds.items()}
        runs, unchanged = reruns(folder)
        found |= {"dvc_seconds": round(runs, 3), "dvc_unchanged_seconds": round(unchanged, 4)}
    machine = f"{processor()}, {os.cpu_count()} cores"
    written = {"machine": machine, "rounds": ROUNDS, "reruns": RERUNS, "constants": found, "breaks": crowd.table(found)}
    files.write_json(FOLDER / "constants.json", written)
    show(written)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
