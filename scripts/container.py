"""Builds the champion's container image: its Bento and what serving needs, on a slim Python; writes its SBOM.

Everything is first collected in .container/, so that the engine's build fetches only the base image, and pip's
settings, proxies and certificates stay out of the image.
"""

import argparse
import hashlib
import os
import platform
import shutil
import stat
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import paths
from digitline.registry import bento
from digitline.registry.bento import Card
from scripts import engine, sbom

FOLDER = Path(".container")
PYTHON = "3.11"
BASE = os.environ.get("BASE", f"docker.io/library/python:{PYTHON}-slim")  # or a mirror's name for it
ROOM = {"cuda": 16, "cpu": 2}  # gigabytes of disk: the libraries, the image and intermediate layers
VERSIONS = ("bentoml", "numpy", "onnxruntime", "torch")  # that labels name
GROUPS = {"cuda": "serve-cuda", "cpu": "serve", "mlflow": "mlflow"}  # of pyproject.toml


def main() -> None:
    """Builds the image with PyTorch for CUDA, which also serves on a CPU, or without PyTorch for the CPU alone."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("torch", choices=list(ROOM))
    parser.add_argument("--name", default="digitline", help="name of the image")
    words = parser.parse_args()
    torch = words.torch
    os.umask(0o022)  # another user reads the files in the image
    name, card, context = engine.find(), bento.servable(paths.CHAMPION), FOLDER / torch
    require_room(ROOM[torch])
    commit = revision()
    libraries(torch, context)
    built = lay_out_bento(context / "bento")
    tags = [f"{words.name}:{card['sha256'][:16]}-{torch}", f"{words.name}:{torch}"]
    engine.build(name, context, BASE, tags, labels(card, commit, built, installed(context / "lib")))
    files.write_json(bill(torch), sbom.bill(name, tags[0], context / "lib", card))
    print(f"\n{' and '.join(tags)}: {engine.size(name, tags[0]) / 1e9:.2f} GB; contents listed in {bill(torch)}")


def bill(torch: str) -> Path:
    """The path of the image's bill of materials."""
    return FOLDER / f"sbom-{torch}.cdx.json"


def require_room(gigabytes: int) -> None:
    """InputError if the disk has less space."""
    free = shutil.disk_usage(Path()).free / 1e9
    if free < gigabytes:
        raise InputError(f"the disk has {free:.1f} GB free, expected {gigabytes} for libraries and image; free some")


def revision() -> str:
    """The commit checked out, marked if files differ from it; InputError outside of a repository."""
    return engine.answer("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def libraries(kind: str, context: Path) -> None:
    """Installs a group's part of requirements.lock for the base's Python, unless it is already there."""
    stamp, folder = context / "installed", context / "lib"
    project = tomllib.loads(Path("pyproject.toml").read_text())
    lock = Path("requirements.lock").read_text()
    wanted = hashlib.sha256(f"{PYTHON} {lock} {project['dependency-groups']}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(context, ignore_errors=True)
    words = ["install", "--no-compile", "--target", str(folder), "-c", "requirements.lock", "--group", GROUPS[kind]]
    if kind == "cuda":
        version = next(line for line in lock.splitlines() if line.startswith("torch=="))
        words.append(version.replace("==", "==="))  # === excludes versions with a suffix, which == would accept
    pip(*words)
    for part in ("bin", "torch/include", "torch/test"):  # commands for the wrong Python; 150 MB for C++
        shutil.rmtree(folder / part, ignore_errors=True)
    stamp.write_text(wanted)


def pip(*words: str) -> None:
    """Runs pip as for the base's Python, whatever this one is; InputError if it fails."""
    machine = platform.machine().replace("arm64", "aarch64")
    names = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37))]  # up to the C library of the base
    platforms = [word for name in reversed(names) for word in ("--platform", f"{name}_{machine}")]
    target = ["--python-version", PYTHON, *platforms, "--only-binary", ":all:"]
    engine.follow([sys.executable, "-m", "pip", *words, *target, "--progress-bar", "off"])


def installed(folder: Path) -> dict[str, str]:
    """Versions by name."""
    return {found.name.lower(): found.version for found in distributions(path=[str(folder)])}


def lay_out_bento(folder: Path) -> str:
    """Builds the Bento with its model in the folder; returns its tag."""
    import bentoml

    built = engine.answer(sys.executable, "-m", "bentoml", "build", "--output", "tag")
    tag = built.splitlines()[-1].removeprefix("__tag__:")
    take_contents(Path(bentoml.bentos.get(tag).path))
    shutil.rmtree(folder, ignore_errors=True)
    bentoml.bentos.export_bento(tag, str(folder.resolve()), output_format="folder")
    for path in folder.rglob("*"):  # here, because in the image each change of a mode would store the file again
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tag


def take_contents(bento: Path) -> None:
    """Replaces what is a link into DVC's cache, or read-only like the cache, by a file of the Bento's own."""
    for path in bento.rglob("*"):
        if path.is_file() and (path.is_symlink() or not path.stat().st_mode & stat.S_IWUSR):
            files.write(path, path.read_bytes())


def labels(card: Card, commit: str, bento: str, versions: dict[str, str]) -> dict[str, str]:
    """The image's labels."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    return {
        "org.opencontainers.image.title": project["name"],
        "org.opencontainers.image.description": project["description"],
        "org.opencontainers.image.version": project["version"],
        "org.opencontainers.image.licenses": project["license"],
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.base.name": BASE,
        "digitline.model.sha256": card["sha256"],
        "digitline.model.variant": str(card["variant"]),
        "digitline.dataset.sha256": str(card.get("dataset_sha256", "")),
        "digitline.bento": bento,
        **{f"digitline.version.{name}": versions[name] for name in VERSIONS if name in versions},
    }


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; make container continues from here")
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
