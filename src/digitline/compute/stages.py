"""Runs the stages of a pipeline as commands, several at once; ends all of them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from digitline.base.errors import InputError
from digitline.compute.plan import Edges, chains, length
from digitline.compute.progress import VARIABLE, Display

GRACE = 10.0  # seconds that an interrupted stage has
Processes = dict[str, "Stage"]


class Stage(NamedTuple):
    process: "subprocess.Popen[bytes]"
    log: Path
    began: float


def follow(
    edges: Edges, command: Callable[[str], list[str]], logs: Path, expected: Mapping[str, float], at_once: int
) -> dict[str, float]:
    """Runs each stage after those that it waits for, so many at once; returns the seconds of each. Of several, that
    with the longest chain of `expected` seconds begins first. If one fails, the others are ended, with an InputError.
    """
    ways = {name: length(chain, expected) for name, chain in chains(edges, expected).items()}
    order, waiting, seconds = TopologicalSorter(edges), list[str](), dict[str, float]()
    order.prepare()
    with noted() as arrived, running() as stages, Display(len(edges), logs) as display:
        while order.is_active():
            if arrived:
                raise KeyboardInterrupt
            waiting = sorted([*waiting, *order.get_ready()], key=lambda name: -ways[name])
            while waiting and len(stages) < at_once:
                name = waiting.pop(0)
                stages[name] = begin(command(name), logs / f"{name}.log", display.path)
            display.listen(list(stages))
            for name, stage in list(stages.items()):
                if stage.process.poll() is not None:
                    del stages[name]
                    seconds[name] = ended(name, stage)
                    display.ended(name, seconds[name], warnings(stage.log))
                    order.done(name)
    return seconds


def begin(words: list[str], log: Path, display: Path) -> Stage:
    """Starts a stage's command in a group of its own, so that Ctrl-C reaches it through this process alone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, VARIABLE: str(display)},
            start_new_session=True,
        )
    return Stage(process, log, time.monotonic())


def ended(name: str, stage: Stage) -> float:
    """The seconds of a stage that has ended; InputError with its own words if it failed."""
    if stage.process.returncode:
        print(stage.log.read_text(errors="replace").rstrip(), file=sys.stderr)
        raise InputError(f"the stage {name} failed, for the reason above; the others were ended and can be resumed")
    return time.monotonic() - stage.began


def warnings(log: Path) -> list[str]:
    """What a stage printed as a warning."""
    return [line for line in log.read_text(errors="replace").splitlines() if line.startswith("warning: ")]


@contextmanager
def noted() -> Iterator[list[int]]:
    """The signals to end that have arrived: as an exception one could come between a stage's start and its entry."""
    arrived: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}  # as nohup does
    for number in before:
        signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def running() -> Iterator[Processes]:
    """The stages that run; at the end, also by Ctrl-C, those that are left are interrupted, and killed if they stay."""
    stages: Processes = {}
    try:
        yield stages
    finally:
        left = [stage for stage in stages.values() if stage.process.poll() is None]
        for stage in left:
            os.killpg(stage.process.pid, signal.SIGINT)
        latest = time.monotonic() + GRACE
        for stage in left:
            try:
                stage.process.wait(max(0, latest - time.monotonic()))
            except subprocess.TimeoutExpired:  # a shell that starts a command in the background has it ignore Ctrl-C
                os.killpg(stage.process.pid, signal.SIGKILL)
                stage.process.wait()
