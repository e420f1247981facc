"""What a worker of a cluster does: one job, in a folder of its own with the files that the job reads.

Ray carries this module's functions as code, so that they also run where another digitline is installed, and say so.
Until then they import nothing of it.
"""

import contextlib
import hashlib
import platform
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Files = dict[str, bytes]  # by their paths in the checkout
Message = tuple[str, Any, Files]  # "node" with its id, "record" with the job's, "error" or "lost" with a sentence


def serve(
    driver: Mapping[str, str], packed: bytes, shared: Mapping[str, tuple[str, list[Any]]], own: Files
) -> Iterator[Message]:
    """Does a job where everything is as on the driver; sends each record with the files written before it."""
    import ray

    yield "node", ray.get_runtime_context().get_node_id(), {}
    if sentence := difference(driver):
        yield "error", sentence, {}
        return
    from digitline.base.errors import InputError
    from digitline.compute.ranks import Lost

    try:
        yield from records(packed, shared, own)
    except Lost as error:
        yield "lost", str(error), {}
    except (InputError, OSError) as error:
        yield "error", str(error), {}


def code() -> str:
    """The SHA-256 of the installed digitline's code."""
    spec = find_spec("digitline")
    if not spec or not spec.submodule_search_locations:
        return "none"
    folder, total = Path(spec.submodule_search_locations[0]), hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        total.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def kind() -> str:
    """The kind of processor."""
    from digitline.compute import machine

    return machine.kind()


SAME = {
    "digitline": code,
    "Python": platform.python_version,
    "torch": lambda: version("torch"),
    "Ray": lambda: version("ray"),
    "processor": kind,
}  # what the bits depend on, the cause of other differences first


def difference(driver: Mapping[str, str]) -> str | None:
    """A sentence about the first of these that is not as on the driver."""
    for name, read in SAME.items():
        if (here := read()) != driver[name]:
            return (
                f"the {name} of node {platform.node()} is {here}, expected {driver[name]} as on this machine, "
                "because another one may give other bits"
            )
    return None


def records(packed: bytes, shared: Mapping[str, tuple[str, list[Any]]], own: Files) -> Iterator[Message]:
    """Does the job on one thread, in a folder of its own."""
    from ray import cloudpickle

    from digitline.base import files
    from digitline.compute.processes import alone, following

    alone()
    with tempfile.TemporaryDirectory(prefix="digitline-") as folder, contextlib.chdir(folder):
        for name, content in own.items():
            files.write(Path(name), content)
        for name, (digest, reference) in shared.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).symlink_to(kept(digest, reference))
        work, job = cloudpickle.loads(packed)
        before, found = written(), iter(work(job))
        while record := following(found, 1):
            after = written()
            yield (
                "record",
                record[0],
                {name: Path(name).read_bytes() for name in after if after[name] != before.get(name)},
            )
            before = after


def kept(sha256: str, reference: list[Any]) -> Path:
    """The node's copy of a file of that SHA-256; the first job on the node fetches it."""
    import ray
    from filelock import FileLock

    from digitline.base import files, slots
    from digitline.base.digest import digest

    path = slots.ours() / sha256
    with FileLock(path.with_suffix(".lock")):
        if not path.exists() or digest(path) != sha256:
            files.write(path, ray.get(reference[0]).data)
    return path


def written() -> dict[str, tuple[int, int]]:
    """The files in this folder, with what changes when one is written again."""
    found = {str(path): path.stat() for path in Path().rglob("*") if path.is_file() and not path.is_symlink()}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}
