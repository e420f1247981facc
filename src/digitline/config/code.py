"""The code that a stage runs, as dvc.yaml lists it; a test compares the lists with the scripts' imports."""

import hashlib
from pathlib import Path

from ruamel.yaml import YAML

from digitline.base.digest import digest

FILE = Path("dvc.yaml")


def listed(stage: str, file: Path = FILE) -> list[Path]:
    """The Python files and folders among a stage's dependencies."""
    deps = YAML(typ="safe").load(file)["stages"][stage]["deps"]
    return [path for path in map(Path, deps) if path.suffix == ".py" or path.is_relative_to("src")]


def stages(file: Path = FILE) -> list[str]:
    """The names of the stages; a matrix counts as one."""
    return list(YAML(typ="safe").load(file)["stages"])


def identity(stage: str) -> str:
    """The SHA-256 of that code: if it changes, an interrupted training starts over."""
    found: list[Path] = []
    for path in listed(stage):
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return hashlib.sha256("".join(map(digest, found)).encode()).hexdigest()
