"""Measures what a Ray cluster of this machine alone, already up, costs all train stages together.

Each round trains every variant in processes and on Ray, by turns, in a clone of the committed state.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.slots import cores
from digitline.compute.machine import processor
from digitline.config import params, paths

ADDRESS = "127.0.0.1:6379"
PLACES: dict[str, dict[str, str]] = {"processes": {}, "ray": {"RAY_ADDRESS": ADDRESS}}
MEMORY = 200_000_000  # bytes of Ray's object store


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """A cluster of this machine alone, which runs the code of the folder, until the end."""
    host, port = ADDRESS.split(":")
    words = ["ray", "start", "--head", "--block", "--node-ip-address", host, "--port", port, "--disable-usage-stats"]
    words += ["--include-dashboard=false", f"--num-cpus={cores()}", f"--object-store-memory={MEMORY}"]
    with tempfile.TemporaryFile() as log:
        own = {**os.environ, "PYTHONPATH": str(folder / "src")}
        process = subprocess.Popen(words, stdout=log, stderr=log, env=own)
        try:
            while b"Ray runtime started" not in output(log.fileno()):
                if process.poll() is not None:
                    raise SystemExit(output(log.fileno()).decode())
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()


def output(log: int) -> bytes:
    """What a process has written to its log so far."""
    return os.pread(log, 2**20, 0)


def train(folder: Path, variants: list[str], environment: dict[str, str]) -> tuple[float, dict[str, str]]:
    """The seconds of all train stages, one after the other, and the SHA-256 of each model."""
    shutil.rmtree(folder / paths.MODELS, ignore_errors=True)
    own = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    began = time.perf_counter()
    for variant in variants:
        words = [sys.executable, "-m", "pipeline.train", variant]
        subprocess.run(words, cwd=folder, env=own | environment, stderr=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - began
    return seconds, {str(path): digest(path) for path in sorted((folder / paths.MODELS).rglob("*.safetensors"))}


def main() -> None:
    """Runs the rounds and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    runs: list[dict[str, Any]] = []
    variants = list(params.read().variants)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", folder], check=True)
        (folder / paths.DATASET).symlink_to(paths.DATASET.resolve())
        with cluster(folder):
            for number in range(rounds):
                order = list(PLACES) if number % 2 == 0 else list(PLACES)[::-1]
                found = {place: train(folder, variants, PLACES[place]) for place in order}
                if found["ray"][1] != found["processes"][1]:
                    raise SystemExit("error: the models of the two places differ")
                runs.append({place: round(seconds, 1) for place, (seconds, _) in found.items()})
                print(runs[-1], flush=True)
    report = {
        "machine": f"{processor()}, {cores()} cores, torch {torch.__version__}",
        "variants": variants,
        "rounds": runs,  # seconds of all train stages
        "ray_to_processes": round(median(run["ray"] / run["processes"] for run in runs), 3),
    }
    files.write_json(Path("reports/bench/scale.json"), report)
    print(f"Ray takes {report['ray_to_processes']} of the time of processes, with the same models")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")
