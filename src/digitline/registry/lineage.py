"""Traces models and data through the repository's commits; reads the model that an answer or image names."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digitline.base import files, git
from digitline.base.errors import InputError

DIGITS = 4  # of a hash, at least
ENGINES = {  # the command of each that prints an image's labels
    "docker": ["image", "inspect", "--format", "{{json .Config.Labels}}"],
    "podman": ["image", "inspect", "--format", "{{json .Config.Labels}}"],
    "buildah": ["inspect", "--type", "image", "--format", "{{json .OCIv1.Config.Labels}}"],
}


class Record(NamedTuple):
    """The leaderboard and validation report of a commit, or of the present files."""

    commit: str  # "" for the present files
    board: list[dict[str, Any]]
    validation: dict[str, Any]


class Origin(NamedTuple):
    """The first record of a model, with its row and run."""

    record: Record
    row: dict[str, Any]
    run: dict[str, Any]


def history(folder: Path, board: str, validation: str) -> list[Record]:
    """These two files as they are, then in each of the repository's commits, newest first.

    InputError if one of them is damaged as it is; commits in which one was damaged are left out.
    """
    log = git.ask(folder, "log", "--format=%H", "--", board, validation) or ""
    present = [folder / board, folder / validation]
    found = [Record("", *map(files.read_json, present))] if all(path.exists() for path in present) else []
    for commit in log.split():
        with contextlib.suppress(ValueError):
            found.append(Record(commit, *(json.loads(text(folder, commit, path)) for path in (board, validation))))
    return found


def text(folder: Path, commit: str, path: str) -> str:
    """A file in a commit, or as it is now; empty if it is missing."""
    if commit:
        return git.ask(folder, "show", f"{commit}:{path}") or ""
    return (folder / path).read_text() if (folder / path).exists() else ""


def models(records: Sequence[Record]) -> dict[str, Origin]:
    """Each model by its SHA-256, with the oldest record of it."""
    found: dict[str, Origin] = {}
    for record in records:
        for row in record.board:
            found |= {run["sha256"]: Origin(record, row, run) for run in row["runs"]}
    return found


def whole(prefix: str, known: Mapping[str, str]) -> str:
    """The hash with that prefix among the known ones, which have names; InputError if none or several match."""
    wanted = prefix.lower()
    found = [digest for digest in known if digest.startswith(wanted)] if len(wanted) >= DIGITS else []
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{prefix} is ambiguous: {listed(found, known)}; give more digits")
    raise InputError(f"{prefix} is unknown, expected {DIGITS} or more digits of {listed(known, known)}")


def listed(digests: Iterable[str], known: Mapping[str, str]) -> str:
    """Some hashes as text."""
    words = [f"{digest[:16]} ({known[digest]})" for digest in digests]
    more = [f"{len(words) - 8} more"] if len(words) > 8 else []
    return ", ".join(words[:8] + more) or "a model, but there is none"


def named(subject: str) -> tuple[str, dict[str, str]]:
    """The hash given by an answer's file, a container image or the word itself; for an image also its labels."""
    path = Path(subject)
    if path.is_file():
        return in_answer(path), {}
    if not set(subject.lower()) <= set("0123456789abcdef"):
        labels = image_labels(subject)
        if "digitline.model.sha256" not in labels:
            raise InputError(f"the image {subject} does not name its model, expected the label digitline.model.sha256")
        return labels["digitline.model.sha256"], labels
    return subject, {}


def in_answer(path: Path) -> str:
    """The model that an answer of the service names."""
    try:
        return str(json.loads(path.read_bytes())["model"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is not an answer of the service, expected JSON with the key model") from None


def image_labels(name: str) -> dict[str, str]:
    """The labels of a container image, from the first engine that has it."""
    engines = [engine for engine in ENGINES if shutil.which(engine)]
    for engine in engines:
        done = subprocess.run([engine, *ENGINES[engine], name], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return dict(json.loads(done.stdout) or {})
    asked = f"an image in {' or '.join(engines)}" if engines else "an image (no container engine is installed)"
    raise InputError(f"{name} is neither a file nor a hash nor {asked}")
