"""How far a stage is: in a bar of its own, or told to the command that runs several stages at once."""

import json
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

VARIABLE = "DIGITLINE_DISPLAY"  # the path of that command's socket
SECONDS = 0.1  # between two looks at the stages


class Progress:
    """Of one stage."""

    def __init__(self, name: str, total: int, unit: str) -> None:
        self.path, self.name, self.total, self.done = os.environ.get(VARIABLE), name, total, 0
        self.bar = tqdm(total=total, desc=name, unit=unit, mininterval=1, disable=bool(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.bar.close()

    def step(self, text: str) -> None:
        """One step more, and a text about it."""
        self.done += 1
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update()
        if self.path:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as display:
                display.sendto(json.dumps([self.name, f"{self.done}/{self.total} {text}"]).encode(), self.path)


class Display:
    """Of several stages: a line for each that has ended, and one about those that run."""

    def __init__(self, stages: int, folder: Path) -> None:
        self.total = stages
        self.path = folder / "display"  # relative, because a socket's path may have about a hundred letters
        self.texts: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self.socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            self.socket.bind(str(self.path))
            stack.callback(self.path.unlink, missing_ok=True)
            self.socket.settimeout(SECONDS)
            form = "{n} of {total} stages, {elapsed}{postfix}"
            self.bar: Any = stack.enter_context(
                tqdm(total=self.total, bar_format=form, disable=None, dynamic_ncols=True)
            )
            self.closing = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self.closing.close()

    def listen(self, running: list[str]) -> None:
        """Waits a moment for what stages tell, and shows it."""
        with suppress(TimeoutError):
            name, text = json.loads(self.socket.recv(4096))
            self.texts[name] = text
        shown = (f"{name} {self.texts.get(name.partition('@')[2], '')}".rstrip() for name in running)
        self.bar.set_postfix_str("; ".join(shown))

    def ended(self, name: str, seconds: float, warnings: list[str]) -> None:
        """One stage has ended."""
        self.bar.update()
        tqdm.write("\n".join([f"{name:30} {seconds:6.0f} s", *warnings]))
