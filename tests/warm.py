"""Starts python -m, dvc, digitline, fork servers and pytest's workers at once, by forks of a process that has imported
their needs.

Starting up is most of what a small pipeline takes. `folder()` goes onto PATH. Nothing of digitline is imported before
the fork, so a stage uses the library of its checkout, as it does without this.
"""

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import importlib.util
import json
import multiprocessing
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
import weakref
from fcntl import F_DUPFD, fcntl
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, NoReturn

from psutil import pid_exists

EARLY = [  # before pytest's workers start
    *("torch", "torch._dynamo", "scipy.stats", "scipy.optimize", "pandas", "matplotlib.figure", "jinja2", "psutil"),
    *("matplotlib.backends.backend_agg", "safetensors.numpy", "safetensors.torch", "onnxruntime", "mlflow.pyfunc"),
    *("uvicorn", "httpx", "playwright.sync_api"),
]
LATER = [  # while they collect the tests
    *("mlflow.store.tracking.sqlalchemy_workspace_store", "mlflow.store.model_registry.sqlalchemy_workspace_store"),
    *("alembic.command", "dvc.cli.parser", "dvc.repo.index", "dvc.repo.stage", "dvc.repo.plots"),
    *("dvc_data.hashfile.db.local", "dulwich.porcelain", "scmrepo.git.backend.pygit2.filter", "networkx"),
    *("flatten_dict", "fsspec.implementations.memory", "great_expectations", "sklearn.manifold"),
    *("dvc.repo.experiments.queue.celery", "celery.worker.worker", "fastapi", "flask", "graphene", "psycopg"),
]
MEMORY, ROOM = Path("/dev/shm"), 8 * 2**30  # bytes  # noqa: S108
VARIABLE = "DIGITLINE_WARM"  # by which pytest's workers find the folder
ASIDE = 1000  # no command has so many descriptors
LARGE, MADV_COLLAPSE = 2**21, 25  # bytes; of linux/mman.h, since 6.1
MAINS = {"dvc": "dvc.cli", "digitline": "digitline.cli.main"}
FORK_SERVER = "from multiprocessing.forkserver import main; main("  # then two descriptors, as multiprocessing starts it
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
if sys.argv[0].endswith("python") and sys.argv[1:2] != ["-m"] and not sys.argv[-1].startswith("{fork_server}"):
    os.execv("{python}", ["{python}", *sys.argv[1:]])
descriptors = []
for number in map(int, os.listdir("/dev/fd")):
    try:
        os.fstat(number)
        descriptors.append(number)
    except OSError:  # of the listing itself
        pass
server = socket.socket(socket.AF_UNIX)
server.connect("{folder}/socket")
socket.send_fds(server, [b"."], descriptors)
with server.makefile("rwb", 0) as stream:
    stream.write(json.dumps([sys.argv, os.getcwd(), dict(os.environ), descriptors]).encode() + b"\\n")
    pid = int(stream.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    ended = int(stream.readline())
if ended < 0:
    if ended != -signal.SIGKILL:
        signal.signal(-ended, signal.SIG_DFL)
    os.kill(os.getpid(), -ended)
sys.exit(ended)
"""


def folder() -> Path:
    """The folder of the commands; the process behind them serves all of pytest's workers and ends with pytest.

    The tests' own files are in it too, in memory where there is room, because databases wait for a disk at each write.
    """
    if VARIABLE not in os.environ:
        roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
        found = Path(tempfile.mkdtemp(prefix="digitline-warm-", dir=MEMORY if roomy else None))
        if roomy and "TMPDIR" not in os.environ:
            os.environ["TMPDIR"] = tempfile.tempdir = str(found)
            found.chmod(0o711)  # PostgreSQL does not run as root
        for name in ("python", *MAINS):
            (found / name).write_text(CLIENT.format(python=sys.executable, folder=found, fork_server=FORK_SERVER))
            (found / name).chmod(0o755)
        words = [sys.executable, str(Path(__file__)), str(found), str(os.getpid())]
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with (found / "log").open("w") as log:
            subprocess.run(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
        os.environ[VARIABLE] = str(found)
    return Path(os.environ[VARIABLE])


def serve(place: Path, pytest: int) -> None:
    """Forks for each command that connects, as long as pytest runs."""
    gc.set_threshold(500_000, 20, 50)  # of forks too: looking for garbage took a tenth of all tests' time
    for name in EARLY:
        importlib.import_module(name)
    torch = sys.modules["torch"]
    exporter: Any = importlib.import_module("torch.onnx._internal.exporter._registration").onnxscript_apis
    exporter.get_torchlib_ops = functools.cache(exporter.get_torchlib_ops)  # a third of the export of a small network
    with warnings.catch_warnings(action="ignore"):  # of what an export imports only then
        torch.onnx.export(torch.nn.Identity(), (torch.zeros(2, 1),), dynamo=True, verbose=False)
    runpy.run_path(str(Path(__file__).parents[1] / "src/digitline/measure/vision.py"))  # imports torchvision
    gc.freeze()  # a fork then copies fewer pages
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as watched:
        server.bind(str(place / "socket"))
        server.listen(64)
        if os.fork():
            return  # who started it has waited for this
        watched.register(server, selectors.EVENT_READ)
        ended, ending = socket.socketpair()
        ending.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ending.fileno())  # so that select returns when a command ends
        watched.register(ended, selectors.EVENT_READ)
        commands: dict[int, socket.socket] = {}  # who asked, by process
        later = list(LATER)
        while pid_exists(pytest):
            ready = watched.select(timeout=0 if later else 1)
            for key, _ in ready:
                if key.fileobj is server:
                    begin(server, watched, commands)
                elif key.fileobj is ended:
                    ended.recv(4096)
                else:  # who asked for the command has been killed, so it is too
                    os.kill(key.data, signal.SIGKILL)
                    watched.unregister(key.fileobj)
            report(watched, commands)
            if later and not ready:
                importlib.import_module(later.pop(0))
                if not later:
                    settle()
    shutil.rmtree(place, ignore_errors=True)  # somebody may have emptied the folder for temporary files
    os._exit(0)  # the interpreter's end would wait for threads that this fork does not have


def settle() -> None:
    """Makes forks cheap, after the last import."""
    from mlflow.utils import requirements_utils  # which pytest's own process need not import

    requirements_utils.warn_dependency_requirement_mismatches(["mlflow"])  # lists what is installed
    # What these left to do at the end of a process takes each fork longer than its work.
    atexit.unregister(sys.modules["torch._dynamo.utils"].dump_compile_times)
    for each in weakref.finalize._registry:  # type: ignore[attr-defined]
        each.atexit = False
    gc.collect()
    gc.freeze()
    in_large_pages()


def in_large_pages() -> None:
    """Moves this process's memory into pages of 2 MiB where Linux can, because a fork copies a table of all pages."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    call = ctypes.CDLL(None).madvise
    for line in maps.read_text().splitlines():
        addresses, rights, _, _, file, *_ = line.split()
        first, last = (int(address, 16) for address in addresses.split("-"))
        start, stop = -(-first // LARGE) * LARGE, last // LARGE * LARGE
        if rights == "rw-p" and file == "0" and start < stop:
            call(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), MADV_COLLAPSE)


def begin(server: socket.socket, watched: selectors.BaseSelector, commands: dict[int, socket.socket]) -> None:
    """Runs a command in a fork, and tells who asked for it its process."""
    client, _ = server.accept()
    _, given, _, _ = socket.recv_fds(client, 1, 250)
    with client.makefile("rb", 0) as stream:
        asked = stream.readline()
    if asked.endswith(b"\n"):  # else who asked has been killed meanwhile
        words, cwd, environment, numbers = json.loads(asked)
        if not (child := os.fork()):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            aside = [fcntl(descriptor, F_DUPFD, ASIDE) for descriptor in given]
            os.closerange(3, ASIDE)
            for number, descriptor in zip(numbers, aside, strict=True):
                os.dup2(descriptor, number)
            os.closerange(ASIDE, max(aside) + 1)
            run(words, cwd, environment)
        commands[child] = client
        watched.register(client, selectors.EVENT_READ, child)
        send(client, child)
    for descriptor in given:
        os.close(descriptor)


def report(watched: selectors.BaseSelector, commands: dict[int, socket.socket]) -> None:
    """Reports how commands ended."""
    while commands:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            break
        client = commands.pop(child)
        send(client, os.waitstatus_to_exitcode(status))
        with contextlib.suppress(KeyError):
            watched.unregister(client)
        client.close()


def send(client: socket.socket, number: int) -> None:
    """Sends a number to who asked for a command, unless they have been killed."""
    with contextlib.suppress(OSError):
        client.send(b"%d\n" % number)


def run(words: list[str], cwd: str, environment: dict[str, str]) -> NoReturn:
    """The command, as a process that has just begun would run it."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = str(Path(sys.argv[1]) / "python")  # for commands that it starts
    sys.path[:1] = [cwd, *filter(None, environment.get("PYTHONPATH", "").split(":"))]
    multiprocessing.set_executable(sys.executable)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, *words = words[2:] if words[0].endswith("python") else (Path(words[0]).name, *words[1:])
    sys.argv = [module, *words]
    status: Any = 0
    try:
        if module.startswith(FORK_SERVER):
            exec(module, {})  # noqa: S102  # of multiprocessing
        elif module in MAINS:
            status = importlib.import_module(MAINS[module]).main()
        else:
            spec = importlib.util.find_spec(module)
            assert spec
            if spec.submodule_search_locations:  # a package
                spec = importlib.util.find_spec(f"{module}.__main__")
                assert spec
            assert isinstance(spec.loader, SourceFileLoader)
            code = spec.loader.get_code(spec.name)
            assert code
            main = sys.modules["__main__"].__dict__  # which other processes look up what is in it by
            main.update(__spec__=spec, __file__=spec.origin, __package__=spec.parent)
            exec(code, main)  # noqa: S102  # of this repository
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001  # which Python itself would print
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        print(status, file=sys.stderr)
    # Not by the interpreter's own end, which takes apart all that was imported: half a second.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if isinstance(status, str) else int(status or 0))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
