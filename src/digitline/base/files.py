"""Writes files atomically; reads and writes JSON and CSV."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from digitline.base import git
from digitline.base.errors import InputError


def write(path: Path, content: bytes) -> None:
    """Writes the file, and its folder if missing; raises an InputError that names the file if the write fails."""
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # otherwise a power loss could leave the name without the content
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise InputError(f"{path} could not be written: {error.strerror}") from None


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON."""
    write(path, f"{json.dumps(content, indent=2, ensure_ascii=False)}\n".encode())


def read_json(path: Path) -> Any:
    """Reads JSON; InputError if the file is not valid JSON."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); {restoring(path)}") from None


def restoring(path: Path) -> str:
    """What restores a damaged file, even one that a merge has left in conflict."""
    committed = git.ask(path.parent, "cat-file", "-e", f"HEAD:./{path.name}") is not None
    return f"git checkout HEAD -- {path} restores it" if committed else "delete it and run dvc repro"


def write_csv(path: Path, lines: Iterable[Iterable[Any]]) -> None:
    """Writes a table for plotting; the first line names the columns."""
    write(path, csv_text(lines).encode())


def csv_text(lines: Iterable[Iterable[Any]]) -> str:
    """Such a table as text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def read_csv(path: Path) -> list[list[str]]:
    """The lines of such a table, without the column names."""
    return [list(line.values()) for line in read_table(path)]


def read_table(path: Path) -> list[dict[str, str]]:
    """The lines of such a table by column; InputError names a line that does not fit, as a merge leaves them."""
    with path.open(newline="") as file:
        names, *lines = list(csv.reader(file)) or [[]]
    for number, line in enumerate(lines, 2):
        if len(line) != len(names):
            raise InputError(f"{path}, line {number} is not {','.join(names)}; {restoring(path)}")
    return [dict(zip(names, line, strict=True)) for line in lines]
