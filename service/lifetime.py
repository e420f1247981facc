"""How the command and its workers begin and end: each worker has a connection to the command by which each side
notices what becomes of the other."""

import asyncio
import atexit
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import bentoml
import psutil
from bentoml.exceptions import BentoMLException

from digitline.base.errors import InputError

VARIABLE = "DIGITLINE_COMMAND"  # the path of the command's socket, for its workers
READY, STOPPED = "ready", "stopped"  # a worker says these, or in a sentence why it cannot start
UNKNOWN = "a worker could not start; the lines above say why"
CRASHED = "a worker has crashed"
PORT_SECONDS = 0.3  # after the signal; by then the workers have stopped to accept
ARRIVING_SECONDS = 5  # that a body has left when the service stops
STOP_SECONDS = 30  # until a worker ends whatever it still does


# In the process of bentoml serve.


def supervise() -> None:
    """Prepares the process of bentoml serve, before it starts its workers."""
    if threading.current_thread() is not threading.main_thread():
        return  # a program that serves in a thread handles its own signals
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # BentoML's supervisor, circus, will run in it
    place = Path(tempfile.mkdtemp(prefix="digitline-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.environ[VARIABLE] = str(place / "socket")
    loop.run_until_complete(asyncio.start_unix_server(attend, place / "socket"))
    endings = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        endings.append(signal.SIGHUP)
    loop.call_soon(take, endings)  # circus installs its handlers before the loop runs


def take(endings: list[signal.Signals]) -> None:
    """Makes all these signals stop the service; circus would reload it when a terminal is closed."""
    loop = asyncio.get_running_loop()
    circus: Any = signal.getsignal(signal.SIGTERM)
    if signal.SIGHUP not in endings:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in endings:
        loop.add_signal_handler(number, stop, circus)


def stop(circus: Callable[[int, FrameType | None], Any]) -> None:
    """Stops the workers and then refuses new callers; again each second, because circus refuses while it is busy."""
    loop = asyncio.get_running_loop()
    circus(signal.SIGTERM, None)
    loop.call_later(PORT_SECONDS, close_port)
    loop.call_later(1, stop, circus)


def close_port() -> None:
    """Closes the port, which would otherwise accept callers until the last worker has ended, and let them wait."""
    for each in psutil.Process().net_connections("tcp"):
        if each.status == psutil.CONN_LISTEN and os.get_inheritable(each.fd):  # circus's own ones are not inherited
            with suppress(OSError), socket.socket(fileno=os.dup(each.fd)) as port:
                port.shutdown(socket.SHUT_RDWR)


async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Follows one worker until its connection ends with it; ends the command if it could not start."""
    last = UNKNOWN
    async for line in reader:
        last = line.decode().rstrip("\n")
    writer.close()
    contained = "BENTOML_CONTAINERIZED" in os.environ  # elsewhere circus starts it again
    if last == READY and contained:
        fail(CRASHED)
    elif last not in (READY, STOPPED):
        fail(last)


def fail(sentence: str) -> None:
    """Ends the command with a sentence and the status 1; BentoML's own status would be 0."""
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    atexit.register(os._exit, 1)
    atexit.register(shutil.rmtree, Path(os.environ[VARIABLE]).parent, ignore_errors=True)  # before that
    signal.raise_signal(signal.SIGTERM)


# In a worker.


@cache
def command() -> socket.socket | None:
    """A worker's connection to its command; None in any other process."""
    if bentoml.server_context.worker_index is None or VARIABLE not in os.environ:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.environ[VARIABLE])
    except OSError:  # it is gone
        sys.exit(1)
    return connection


def join() -> None:
    """Connects a worker to its command, as early as possible."""
    if command():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leave)


def leave(number: int = 0, frame: FrameType | None = None) -> NoReturn:
    """Ends a worker that was told to stop; uvicorn calls it when it has finished."""
    say(STOPPED)
    os._exit(0)


def say(line: str) -> None:
    if connection := command():
        with suppress(OSError):  # it may be gone
            connection.sendall(f"{line}\n".encode())


@contextmanager
def starting() -> Iterator[None]:
    """Ends a worker that cannot start, and tells its command why."""
    try:
        yield
    except (BentoMLException, InputError, OSError) as error:
        if not command():
            raise
        say(" ".join(str(error).split()))
        os._exit(1)


def started(hurry: Callable[[float], None]) -> None:
    """Tells the command that the worker is ready; `hurry` is called when the worker has to stop."""
    if not (connection := command()):
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(connection, gone, loop, connection)
    uvicorn: Any = signal.getsignal(signal.SIGTERM)

    def stopping(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(hurry, ARRIVING_SECONDS)
        loop.call_soon_threadsafe(partial(loop.call_later, STOP_SECONDS, leave))
        uvicorn(number, frame)

    signal.signal(signal.SIGTERM, stopping)
    say(READY)


def gone(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    """Stops a worker whose command has ended without a word, so that it gives up the port."""
    loop.remove_reader(connection)
    shutil.rmtree(Path(os.environ[VARIABLE]).parent, ignore_errors=True)
    signal.raise_signal(signal.SIGTERM)
