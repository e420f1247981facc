"""A Ray cluster in network namespaces of its own: nothing listens outside them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
HEAD, SECOND, PORT = "10.77.0.1", "10.77.0.2", "6379"
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105  # of the test's own cluster
MEMORY = "100000000"  # of the object store, in bytes
TRIES = 3  # of a node that has not joined within the 30 s that Ray allows it
SECONDS = 200.0  # for a node to start, on a machine with much else to do


class Namespace:
    """A network of its own, as long as a process sleeps in it."""

    def __init__(self, within: "Namespace | None" = None) -> None:
        words = ["unshare", "--net"] if within else ["unshare", "--map-root-user", "--net"]
        words = [*(within.enter if within else []), *words]
        self.process = subprocess.Popen([*words, "sleep", "infinity"], stderr=subprocess.PIPE, text=True)
        self.enter: list[str] = ["nsenter", "-t", str(self.process.pid), "-U", "-n", "--preserve-credentials", "--"]
        while psutil.Process(self.process.pid).name() != "sleep":
            if self.process.poll() is not None:
                assert self.process.stderr
                pytest.skip(f"no right to make a network namespace: {self.process.stderr.read().strip()}")
            time.sleep(0.01)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**surroundings(), **environment}
        return subprocess.run(
            [*self.enter, *words], env=env, capture_output=True, text=True, check=False, timeout=SECONDS
        )

    def link(self, *words: str) -> None:
        done = self.run("ip", *words)
        assert done.returncode == 0, done.stderr

    def kill(self) -> None:
        """Kills all processes in it, as when a node loses its power."""
        own = Path(f"/proc/{self.process.pid}/ns/net").readlink()
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if process.pid != self.process.pid and Path(f"/proc/{process.pid}/ns/net").readlink() == own:
                    process.send_signal(signal.SIGKILL)


def surroundings() -> dict[str, str]:
    """Of all commands of the cluster."""
    own = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    return {**os.environ, **own, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}


class Cluster:
    """A head with one core, and in a second namespace, linked to the first, nodes as they are wanted."""

    def __init__(self) -> None:
        self.first = Namespace()
        self.second = Namespace(self.first)
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))  # a short path: sockets lie in it
        self.nodes = 0

    def __enter__(self) -> Self:
        self.first.link("link", "set", "lo", "up")
        self.second.link("link", "set", "lo", "up")
        peer = ["type", "veth", "peer", "name", "to-first", "netns", str(self.second.process.pid)]
        self.first.link("link", "add", "to-second", *peer)
        for namespace, name, address in ((self.first, "to-second", HEAD), (self.second, "to-first", SECOND)):
            namespace.link("address", "add", f"{address}/24", "dev", name)
            namespace.link("link", "set", name, "up")
        alone = ["--head", "--port", PORT, "--include-dashboard=false", "--temp-dir", str(self.folder)]
        try:
            self.start(self.first, HEAD, alone)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        for namespace in (self.second, self.first):
            namespace.kill()
            namespace.process.kill()
            namespace.process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, where: Namespace, address: str, words: list[str], **environment: str) -> Path:
        """Starts a node; returns its folder of temporary files."""
        self.nodes += 1
        own = self.folder / f"node-{self.nodes}"
        own.mkdir()
        common = ["--node-ip-address", address, "--num-cpus=1", "--disable-usage-stats"]
        common += ["--object-store-memory", MEMORY]
        for _ in range(TRIES):
            done = where.run("ray", "start", *common, *words, TMPDIR=str(own), **environment)
            if not done.returncode:
                break
            if where is self.first:  # its other processes have started
                where.kill()
        assert done.returncode == 0, done.stdout + done.stderr
        return own

    def join(self, label: str = "", **environment: str) -> Path:
        """Starts a node in the second namespace."""
        words = ["--address", f"{HEAD}:{PORT}", *([f"--labels={label}"] if label else [])]
        return self.start(self.second, SECOND, words, **environment)
