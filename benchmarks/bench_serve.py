"""Measures the service: against other servers of the same champion, its runtimes, and its limits.

The same load (benchmarks/load.py) runs against each of them in turn, on this machine; results are medians over rounds.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import load
from benchmarks.bench_train import FOLDER
from benchmarks.servers import JSON, RAW, V2, Contender, Server, others, ours, started
from digitline.base import files
from digitline.base.loopback import bypass_proxy
from digitline.compute.machine import processor
from digitline.config import paths
from digitline.data import dataset
from digitline.model import checkpoint
from digitline.model.evaluation import predict
from digitline.registry import bento
from digitline.serving import runtime
from digitline.serving.runtime import Run
from service import work
from service.champion import Champion

CONNECTIONS = {1: 16, 256: 4}  # by images per request
NO_SERVER = "no server: ONNX Runtime in a process, a thread a core"
PORT = 18080
KINDS = ["modern", "conv2_relu"]  # compared in each runtime, like the champion's kind


def compare(images: NDArray[np.uint8], workers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Every server, started once, measured in turn with one and with many images per request; and no server."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {}
    run = runtime.Exported((paths.CHAMPION / bento.EXPORTED).read_bytes())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        single = ours(RAW)._replace(name="digitline, bytes, one worker")
        entries = [ours(RAW, workers), single, *others(folder, workers)]
        pairs: list[tuple[Contender, Server]] = []
        for number, contender in enumerate(entries):
            server = stack.enter_context(started(contender, PORT + number, folder / f"log{number}"))
            print(f"{contender.name}: ready after {server.seconds:.1f} s", flush=True)
            pairs.append((contender, server))
        pairs[1:1] = [(ours(form, workers), pairs[0][1]) for form in (V2, JSON)]
        for place in range(rounds + 1):
            length = seconds if place else seconds / 4  # the round before the first is a warm-up
            for count, connections in CONNECTIONS.items():
                rate = speed(run, images[:count], workers, length)
                turns = [(NO_SERVER, {"requests_per_second": rate / count, "images_per_second": rate})]
                for contender, server in pairs:
                    request = contender.request(images[:count])
                    turns.append((contender.name, measure(server, request, count, connections, length)))
                for name, figures in turns if place else []:
                    found.setdefault(name, {}).setdefault(count, []).append(figures)
            print(f"servers: round {place} of {rounds}", flush=True)
    return {name: {str(count): middle(each) for count, each in sizes.items()} for name, sizes in found.items()}


def measure(server: Server, request: bytes, images: int, connections: int, seconds: float) -> dict[str, float]:
    """One round of a closed loop; an answer other than 200 ends the benchmark."""
    before = server.cpu()
    outcome = whole(server, load.closed(server.port, request, connections=connections, seconds=seconds))
    count = len(outcome.latencies)
    return {
        "requests_per_second": count / outcome.seconds,
        "images_per_second": images * count / outcome.seconds,
        "p50_ms": percentile(outcome.latencies, 50),
        "p99_ms": percentile(outcome.latencies, 99),
        "server_cpu_ms": 1000 * (server.cpu() - before) / count,
        "load_cpu_ms": 1000 * outcome.cpu / count,
    }


def whole(server: Server, outcome: load.Outcome) -> load.Outcome:
    """The same outcome, after checking that no request failed."""
    if outcome.failures:
        raise SystemExit(f"{len(outcome.failures)} requests failed on port {server.port}")
    return outcome


def percentile(latencies: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return 1000 * float(np.percentile(latencies, percent))


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def alone(images: NDArray[np.uint8], rounds: int, seconds: float, soak: int) -> dict[str, Any]:
    """The service's limits: start-up time, latency at 70% and 150% of capacity, memory, batching."""
    request, few = ours(RAW).request(images[:1]), CONNECTIONS[1]
    with tempfile.TemporaryDirectory() as folder:
        log, starts = Path(folder) / "log", []
        for _ in range(rounds):
            with started(ours(RAW), PORT, log) as server:
                starts.append({"seconds": server.seconds, "cpu_seconds": server.cpu()})
        with started(ours(RAW), PORT, log) as server:
            steady, over = [], []
            for _ in range(rounds):
                capacity = measure(server, request, 1, few, seconds)["requests_per_second"]
                calm, rush = (
                    load.paced(server.port, request, connections=places, seconds=seconds, rate=share * capacity)
                    for share, places in ((0.7, work.CAPACITY), (1.5, 4 * work.CAPACITY))
                )
                steady.append({"capacity": capacity, **waits(whole(server, calm).latencies)})
                refused = {f"refused_{key}": value for key, value in waits(rush.failures or [0.0]).items()}
                answered = len(rush.latencies) / rush.seconds / capacity
                over.append({"answered_of_capacity": answered, **waits(rush.latencies), **refused})
            print(f"memory over {soak} requests", flush=True)
            before = server.memory()
            outcome = whole(server, load.closed(server.port, request, connections=few, requests=soak))
            grown = server.memory() - before
    memory = {"requests": len(outcome.latencies), "before_bytes": before, "grown_bytes": grown}
    return {"ready": middle(starts), "at_70_percent": middle(steady), "at_150_percent": middle(over), "memory": memory}


def waits(latencies: Sequence[float]) -> dict[str, float]:
    """The median and the 99th percentile."""
    return {f"p{each}_ms": percentile(latencies, each) for each in (50, 99)}


class Files(NamedTuple):
    """A model and its exported form."""

    weights: Path
    exported: Path


def in_pytorch(model: Files) -> Run:
    return runtime.in_pytorch(checkpoint.load(model.weights))


def bfloat16(model: Files) -> Run:
    """PyTorch in bfloat16 where autocast allows it, in channels-last memory."""
    run: Run = torch.autocast("cpu", torch.bfloat16)(in_pytorch(model))
    return run


RUNTIMES: dict[str, Callable[[Files], Run]] = {
    "PyTorch": in_pytorch,
    "PyTorch, bfloat16": bfloat16,
    "ONNX Runtime": lambda model: runtime.Exported(model.exported.read_bytes()),
}


def runtimes(images: NDArray[np.uint8], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Images per second in this process, for each kind of model in each runtime, in turn, on several threads.

    Also the number of images with another label than in evaluation.
    """
    torch.set_num_threads(1)
    first = {kind: paths.model_path(kind, 1) for kind in KINDS}
    models = {
        "champion": Files(paths.CHAMPION / bento.MODEL, paths.CHAMPION / bento.EXPORTED),
        **{kind: Files(path, paths.exported_path(path)) for kind, path in first.items() if path.exists()},
    }
    runs = {(kind, name): make(model) for kind, model in models.items() for name, make in RUNTIMES.items()}
    expected = {kind: predict(checkpoint.load(model.weights), images).argmax(1) for kind, model in models.items()}
    other = {key: int((labels(run, images) != expected[key[0]]).sum()) for key, run in runs.items()}
    found: dict[tuple[str, str, int, int], list[float]] = {}
    for _ in range(rounds):
        for (kind, name), run in runs.items():
            for count in CONNECTIONS:
                for threads in (1, 2):
                    rate = speed(run, images[:count], threads, seconds / 10)
                    found.setdefault((kind, name, count, threads), []).append(rate)
    keys = ("model", "runtime", "batch", "threads")
    return [
        {**dict(zip(keys, key, strict=True)), "images_per_second": median(rates), "other_labels": other[key[:2]]}
        for key, rates in found.items()
    ]


def labels(run: Run, images: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The labels of any number of images."""
    size = max(CONNECTIONS)
    return np.concatenate([run(images[at : at + size]).argmax(1) for at in range(0, len(images), size)])


def speed(run: Run, images: NDArray[np.uint8], threads: int, seconds: float) -> float:
    """Images per second of that many threads in a loop."""
    run(images)
    began = time.perf_counter()

    def repeat(_: int) -> int:
        count = 0
        while time.perf_counter() - began < seconds or not count:
            run(images)
            count += len(images)
        return count

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(repeat, range(threads))) / (time.perf_counter() - began)


def batching(image: NDArray[np.uint8], rounds: int, seconds: float) -> list[dict[str, float]]:
    """Images per second from the service's queue for single images, by maximum batch size."""
    champion, usual = Champion(paths.CHAMPION), work.BATCH
    found: dict[tuple[int, int], list[float]] = {}
    for _ in range(rounds):
        for callers in (1, *CONNECTIONS.values(), work.CAPACITY):
            for work.BATCH in (1, usual):
                rate = asyncio.run(recognised(champion, image, callers, seconds / 3))
                found.setdefault((callers, work.BATCH), []).append(rate)
    return [
        {"callers": callers, "batch": batch, "images_per_second": median(rates)}
        for (callers, batch), rates in found.items()
    ]


async def recognised(champion: Champion, image: NDArray[np.uint8], callers: int, seconds: float) -> float:
    """Answers per second to that many callers in a loop."""
    queue, began = work.Work(), time.perf_counter()

    async def ask() -> int:
        count = 0
        while time.perf_counter() - began < seconds:
            await queue.recognise(champion, image)
            count += 1
        return count

    counts = await asyncio.gather(*(ask() for _ in range(callers)))
    queue.threads.shutdown()
    return sum(counts) / (time.perf_counter() - began)


def main() -> None:
    """Measures everything and writes the results."""
    bypass_proxy()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds of one load")
    parser.add_argument("--soak", type=int, default=100_000, help="requests over which memory is measured")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="workers of each compared server")
    given = parser.parse_args()
    images, rounds, seconds = dataset.load(paths.DATASET).test.images.copy(), given.rounds, given.seconds
    began = time.perf_counter()
    report = {
        "machine": f"{processor()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "champion": bento.read_card(paths.CHAMPION)["variant"],
        **vars(given),
        "connections": CONNECTIONS,
        "runtimes": runtimes(images, rounds, seconds),
        "batching": batching(images[:1], rounds, seconds),
        **alone(images, rounds, seconds, given.soak),
        "servers": compare(images, given.workers, rounds, seconds),
    }
    files.write_json(FOLDER / "serving.json", report)
    print(f"wrote {FOLDER / 'serving.json'} after {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")
