"""What took how long on this machine: kept apart from what DVC hashes and git keeps, for no two runs take the same."""

from pathlib import Path
from typing import Any

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import paths


def note(name: str, **figures: Any) -> None:
    """Keeps times of a row."""
    found = read(paths.TIMINGS)
    files.write_json(paths.TIMINGS, found | {name: found.get(name, {}) | figures})


def known() -> dict[str, Any]:
    """The times of each row: this machine's, or else those that are committed."""
    return read(paths.REPORTED) | read(paths.TIMINGS)


def read(path: Path) -> dict[str, Any]:
    """The times in a file; none where it is not there or damaged: they are no reason to fail."""
    try:
        found: dict[str, Any] = files.read_json(path) if path.exists() else {}
    except InputError:
        return {}
    return found
