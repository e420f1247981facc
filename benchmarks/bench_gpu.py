"""Measures the champion's service on a GPU against the same service on the processor; without a GPU, on that alone.

It needs the packages, the champion and its data set (stage fetch), and no results.
"""

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.bench_serve import PORT, measure
from benchmarks.bench_train import FOLDER
from benchmarks.servers import RAW, Contender, Server, ours, started
from digitline.base import files
from digitline.base.loopback import bypass_proxy
from digitline.compute.machine import processor
from digitline.config import paths
from digitline.data import dataset
from digitline.registry import bento
from digitline.serving import runtime

COUNTS = {1: 16, 256: 4, 4096: 4}  # connections, by images per request


def on(device: str) -> Contender:
    """The service with one worker, on that device."""
    usual = ours(RAW)
    hidden = {} if device == "GPU" else {"CUDA_VISIBLE_DEVICES": ""}
    return usual._replace(name=device, settings={**usual.settings, **hidden})


def labels(server: Server, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the service answers to any number of images."""
    found = []
    for start in range(0, len(images), max(COUNTS)):
        part = images[start : start + max(COUNTS)]
        url, headers = f"http://127.0.0.1:{server.port}/predict", {"Content-Type": RAW}
        answer = httpx.post(url, content=part.tobytes(), headers=headers, timeout=60).raise_for_status()
        found.append(np.frombuffer(answer.content[: len(part)], np.uint8))
    return np.concatenate(found)


def main() -> None:
    """Measures and writes the results."""
    bypass_proxy()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds of one load")
    given = parser.parse_args()
    images = dataset.load(paths.DATASET).test.images.copy()
    expected = runtime.Exported((paths.CHAMPION / bento.EXPORTED).read_bytes())(images).argmax(1)
    devices = ["GPU", "processor"] if runtime.on_cuda() else ["processor"]
    found = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            device: stack.enter_context(started(on(device), PORT + place, folder / device))
            for place, device in enumerate(devices)
        }
        for device, server in servers.items():
            began = time.perf_counter()
            other = int((labels(server, images) != expected).sum())
            found[device] = {"ready_seconds": server.seconds, "other_labels": other}
            print(f"{device}: ready after {server.seconds:.1f} s, {other} of {len(images)} labels differ", flush=True)
            print(f"  the first {len(images)} images took {time.perf_counter() - began:.2f} s", flush=True)
        for count, connections in COUNTS.items():
            rates: dict[str, list[float]] = {device: [] for device in devices}
            for _ in range(given.rounds):
                for device, server in servers.items():
                    request = ours(RAW).request(images[:count])
                    figures = measure(server, request, count, connections, given.seconds)
                    rates[device].append(figures["images_per_second"])
            for device, each in rates.items():
                found[device][f"images_per_second_at_{count}"] = median(each)
                print(f"{device}: {median(each):,.0f} images a second, {count} a request", flush=True)
    if "GPU" not in devices:
        print("no GPU was found, so no result was written")
        return
    report = {
        "machine": f"{torch.cuda.get_device_name()}, {processor()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "champion": bento.read_card(paths.CHAMPION)["variant"],
        **vars(given),
        "devices": found,
    }
    files.write_json(FOLDER / "gpu.json", report)
    print(f"wrote {FOLDER / 'gpu.json'}")


if __name__ == "__main__":
    main()
