"""Opens a moved store and is killed before one of its effects: `python -m tests.tracking.killed ROOT NUMBER`.

An effect is a file that takes its place or a statement of the move's transaction; before the number 0 comes nothing.
"""

import os
import signal
import sqlite3
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from digitline.tracking.store import connect

EFFECTS = count(1)


class Database(sqlite3.Connection):
    """Counts what it does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_trace_callback(effect)


def effect(statement: str = "") -> None:
    if not statement.startswith(("select", "--")) and next(EFFECTS) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


def before(event: str, _: tuple[Any, ...]) -> None:
    if event == "os.rename":
        effect()


if __name__ == "__main__":
    sys.addaudithook(before)
    setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Database))  # noqa: B010  # SQLAlchemy has its own name
    connect(Path(sys.argv[1]), dataset="mnist")
