"""How a real `bentoml serve` begins, stops and ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from service import lifetime, schema
from tests.served import Clone, Server, free_port, new_clone, started, stopped, worker

pytestmark = pytest.mark.slow

HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {schema.RAW}\r\nContent-Length: 784\r\n\r\n".encode()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return new_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def server(clone: Clone) -> Iterator[Server]:
    """Of which first the worker, then the command is killed."""
    server = started(clone)
    yield server
    if server.process.poll() is None:
        stopped(server)


def upload(server: Server) -> socket.socket:
    """A connection on which half a request has arrived."""
    client = socket.create_connection(("127.0.0.1", port(server)), timeout=30)
    client.sendall(HEAD + bytes(400))
    httpx.get(f"{server.url}/livez")  # earlier bytes have been read by then
    return client


def port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def refused(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port(server)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def seconds_until_refused(server: Server) -> float:
    began = time.monotonic()
    while not refused(server):
        assert time.monotonic() - began < 20
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_worker_that_served_and_crashed_is_started_again(server: Server) -> None:
    """circus looks every ten seconds; meanwhile, callers wait."""
    crashed = worker(server)
    crashed.kill()
    assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200
    assert worker(server).pid != crashed.pid


def test_a_worker_gives_up_the_port_when_its_command_is_killed(server: Server) -> None:
    """After kill -9 of the command, its worker ends, and the next service gets the port."""
    orphan = worker(server)
    server.process.kill()
    server.process.wait()
    assert seconds_until_refused(server) < 3
    assert psutil.wait_procs([orphan], 5)[1] == []


def test_when_its_terminal_closes_the_port_closes_and_a_stalled_upload_is_cut(clone: Clone) -> None:
    """HUP stops the service: callers are refused at once, and half a request is refused after the stated time."""
    server = started(clone)
    with closing(upload(server)) as client:
        server.process.send_signal(signal.SIGHUP)
        began = time.monotonic()
        assert seconds_until_refused(server) < 2
        answer = client.makefile("rb").read()
        assert lifetime.ARRIVING_SECONDS - 1 < time.monotonic() - began < lifetime.ARRIVING_SECONDS + 3
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b'{"error":"the service is stopping, and the body has not arrived; try again"}')
    assert server.process.wait(10) == 0
    assert "Traceback" not in (server.clone.folder / "log").read_text()


def test_in_a_container_a_crashed_worker_ends_the_command(clone: Clone) -> None:
    server = started(clone, BENTOML_CONTAINERIZED="True")
    worker(server).kill()
    assert server.process.wait(10) == 1
    assert (clone.folder / "log").read_text().splitlines()[-1] == f"error: {lifetime.CRASHED}"


@pytest.mark.parametrize("killed", [False, True])
def test_a_worker_that_cannot_start_ends_the_command_with_its_sentence(
    clone: Clone, tmp_path: Path, killed: bool
) -> None:
    """One that says why, and one that is killed while it starts."""
    log = tmp_path / ("log" if killed else "missing/log")
    if killed:
        os.mkfifo(log)  # nobody reads it, so the worker waits
    words = [sys.executable, "-m", "bentoml", "serve", "--port", str(free_port())]
    environment = {**clone.environment, "DIGITLINE_LOG": str(log)}
    command = subprocess.Popen(words, cwd=clone.folder, env=environment, stderr=subprocess.PIPE, text=True)
    latest = time.monotonic() + 30
    while killed and command.poll() is None and time.monotonic() < latest:
        time.sleep(0.02)
        with suppress(psutil.Error):  # it may just have ended
            for child in psutil.Process(command.pid).children():
                if child.net_connections("unix"):  # it has connected to the command
                    child.kill()
    _, errors = command.communicate(timeout=30)
    assert command.returncode == 1
    expected = lifetime.UNKNOWN if log.parent == tmp_path else f"[Errno 2] No such file or directory: '{log}'"
    assert errors.splitlines()[-1] == f"error: {expected}"
    assert "Traceback" not in errors
