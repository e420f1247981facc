"""How long each step took on this machine; kept apart from what DVC hashes, because no two runs take the same."""

from pathlib import Path
from typing import Any

from filelock import FileLock

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import paths

WHOLE = "digitline run"  # among the rows: its time for all stages


def note(name: str, **figures: Any) -> None:
    """Saves times of a row."""
    with FileLock(paths.TIMINGS.with_suffix(".lock")):  # several stages may end at once
        found = read(paths.TIMINGS)
        files.write_json(paths.TIMINGS, found | {name: found.get(name, {}) | figures})


def known() -> dict[str, Any]:
    """The times of each row: this machine's, or else the committed ones."""
    return read(paths.REPORTED) | read(paths.TIMINGS)


def read(path: Path) -> dict[str, Any]:
    """The times in a file; empty if it is missing or damaged: times are no reason to fail."""
    try:
        found: Any = files.read_json(path) if path.exists() else {}
    except InputError:
        return {}
    return {name: row for name, row in found.items() if isinstance(row, dict)} if isinstance(found, dict) else {}
