"""Starts, measures and ends the service and other servers of the same champion."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks import load
from digitline.config import paths

RAW, JSON = "application/octet-stream", "application/json"
V2 = "the Open Inference Protocol, with bytes"
HERE = [sys.executable, "-m"]
PATIENCE = 180  # seconds for a server to start


class Contender(NamedTuple):
    name: str
    command: list[str]  # {port} in it stands for the port
    form: str  # the format of its images
    path: str = "/predict"
    ready: str = "/predict"  # requested until it answers
    key: str = "images"
    settings: Mapping[str, str] = {}

    def request(self, images: NDArray[np.uint8]) -> bytes:
        """The request for these images [N, 28, 28]."""
        if self.form == V2:
            tensor = {"name": "images", "shape": images.shape, "datatype": "UINT8"}
            given = {**tensor, "parameters": {"binary_data_size": images.nbytes}}
            wanted = {"name": "probabilities", "parameters": {"binary_data": True}}
            head = json.dumps({"inputs": [given], "outputs": [wanted]}).encode()
            length = f"Inference-Header-Content-Length: {len(head)}"
            return load.post(self.path, head + images.tobytes(), RAW, length)
        body = images.tobytes() if self.form == RAW else json.dumps({self.key: images.tolist()}).encode()
        return load.post(self.path, body, self.form)


class Server(NamedTuple):
    port: int
    process: psutil.Process
    seconds: float  # from its start until it answered

    def family(self) -> list[psutil.Process]:
        """The server's process and its workers."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu(self) -> float:
        """The CPU seconds of all processes."""
        return float(sum(sum(each.cpu_times()[:2]) for each in self.family()))

    def memory(self) -> int:
        """The memory of all processes in bytes."""
        return sum(int(each.memory_info().rss) for each in self.family())


def ours(form: str, workers: int = 1) -> Contender:
    """The service as started by `make serve`, with that many workers."""
    command = [*HERE, "bentoml", "serve", "--port", "{port}"]
    name = {RAW: "digitline, bytes", JSON: "digitline, JSON", V2: "digitline, V2 with bytes"}[form]
    path = "/v2/models/digitline/infer" if form == V2 else "/predict"
    return Contender(name, command, form, path, ready="/readyz", settings=processes("digitline", workers))


def others(folder: Path, workers: int) -> list[Contender]:
    """The other servers, tuned as their documentation says, with that many workers; MLflow's model is in the folder."""
    flow, each = folder / "flow", str(workers)
    subprocess.run([*HERE, "benchmarks.contenders.flow", str(flow)], check=True, capture_output=True)
    uvicorn = [*HERE, "uvicorn", "--port", "{port}", "--workers", each, "--no-access-log", "--log-level", "warning"]
    default = [*HERE, "bentoml", "serve", "benchmarks.contenders.default:Default", "--port", "{port}"]
    mlflow = [*HERE, "mlflow", "models", "serve", "--model-uri", str(flow), "--env-manager", "local"]
    mlflow += ["--workers", each, "--port", "{port}"]
    return [
        Contender("bare Starlette and uvicorn, bytes", [*uvicorn, "benchmarks.contenders.bare:app"], RAW),
        Contender("FastAPI, JSON", [*uvicorn, "benchmarks.contenders.fast:app"], JSON),
        Contender("BentoML's array API, JSON", default, JSON, settings=processes("default", workers)),
        Contender("LitServe, JSON", [*HERE, "benchmarks.contenders.lit", "{port}", each], JSON, ready="/health"),
        Contender("mlflow models serve, JSON", mlflow, JSON, path="/invocations", ready="/ping", key="inputs"),
    ]


def processes(service: str, workers: int) -> dict[str, str]:
    """BentoML's setting for the number of workers."""
    return {"BENTOML_CONFIG_OPTIONS": f"services.{service}.workers={workers}"}


@contextmanager
def started(contender: Contender, port: int, log: Path) -> Iterator[Server]:
    """Runs the server until it answers; ends it with all its workers."""
    words = [word.format(port=port) for word in contender.command]
    settings = {"CHAMPION": str(paths.CHAMPION.resolve()), "PYTHONPATH": f"src{os.pathsep}.", "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    with log.open("w") as lines:
        environment = {**os.environ, **settings, **contender.settings}
        process = psutil.Popen(words, env=environment, stdout=lines, stderr=subprocess.STDOUT)
    try:
        while not answers(f"http://127.0.0.1:{port}{contender.ready}"):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise SystemExit(f"{contender.name} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield Server(port, process, time.perf_counter() - began)
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        for each in family[:1]:  # it ends its workers
            each.terminate()
        for each in psutil.wait_procs(family, timeout=20)[1]:
            each.kill()


def answers(url: str) -> bool:
    """Whether the server answers and is ready."""
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False
