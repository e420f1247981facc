"""Ends a process when the one that it works for has ended."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil


def end_with(wait: Callable[[], object]) -> None:
    """Ends this process when the wait for another one is over, so that no orphan keeps writing."""

    def end() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def end_with_dvc() -> None:
    """Ends this process when the dvc or digitline that started it has ended, for whatever reason, if one did."""
    with suppress(psutil.Error):  # the command of another user's process may be unreadable
        for ancestor in psutil.Process().parents():
            if any(Path(word).name in ("dvc", "digitline") for word in ancestor.cmdline()[:3]):
                end_with(ancestor.wait)
