"""A slot for each core, shared by all processes of one user, so that they compute on no more threads than cores.

Processes of another niceness have slots of their own: one in the background would keep a slot for long.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from digitline.base.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

FOLDER = Path(tempfile.gettempdir()) / f"digitline-{os.getuid()}"
SECONDS = 0.005  # between two looks for a free core


def cores() -> int:
    """How many cores this process may use: those of its affinity, at most as many as its control group allows."""
    from joblib import cpu_count  # a tenth of a second, which few commands need

    return int(cpu_count())


def places() -> list[int]:
    """The numbers of these cores."""
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(cores())
    return list(own)[: cores()]


def ours() -> Path:
    """The folder that this user's processes share on this machine; InputError if somebody else has made it."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    if FOLDER.lstat().st_uid != os.getuid() or FOLDER.is_symlink():
        raise InputError(f"{FOLDER} is not this user's own folder; remove it, or set TMPDIR to another one")
    return FOLDER


def folder() -> Path:
    """The folder of the slots for this process."""
    return FOLDER / f"nice{os.nice(0)}"


@contextmanager
def core(count: int = 1) -> Iterator[None]:
    """Waits until so many cores are free, in the order of asking, and keeps them; a killed process frees its cores."""
    with held(folder() / "next"):
        mine = [free() for _ in range(min(count, cores()))]
    try:
        yield
    finally:
        for file in mine:
            os.close(file)


class Pool(ThreadPoolExecutor):
    """Threads that each wait for a core before they work."""

    def __init__(self) -> None:
        super().__init__(cores())

    def submit(self, work: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        """Does the work in a thread, as soon as a core is free."""

        def waiting() -> T:
            with core():
                return work(*arguments, **options)

        return super().submit(waiting)


def free() -> int:
    """The open lock file of a core that nobody else had."""
    while True:
        for number in places():
            file = opened(folder() / str(number))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                os.close(file)
        time.sleep(SECONDS)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds a lock file, after all who asked for it before."""
    file = opened(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def opened(path: Path) -> int:
    ours().joinpath(path.parent.name).mkdir(mode=0o700, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
