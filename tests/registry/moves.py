"""Moves of a champion in a folder of their own, each in a process of its own; prints what each left, as JSON.

`python -m tests.moves kill` kills the move from A to B by SIGKILL before its first effect, before its second, and so
on until one comes to its end; `full` and `refused` let it fail at the first and at the last file that it writes.
"""

import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digitline.base.errors import InputError
from digitline.registry import bento, ledger, promotion
from digitline.registry.promotion import Heir
from digitline.tracking import store
from tests.served import new_champion

WORLD, KEPT = Path("world").absolute(), Path("kept").absolute()
PLACES = promotion.Places(Path("models/champion"), Path("promotions.jsonl"))
EFFECTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect")
EXAMPLES = np.zeros((2, 28, 28), np.uint8)


def heir(name: str) -> Heir:
    folder = Path(name)
    return Heir(folder / bento.MODEL, bento.verified(folder))


def move(name: str) -> None:
    store = store.connect(Path(), dataset="mnist")
    with promotion.alone(PLACES, store):
        champion, card = promotion.present(PLACES), heir(name).card
        entry = dict.fromkeys(ledger.KEYS, "") | {"from": champion and champion.sha256, "to": card["sha256"]}
        promotion.move(PLACES, store, heir(name), entry, examples=EXAMPLES, validation="passed")


def prepare() -> None:
    """A world where A is champion and B is known to both stores."""
    store = store.connect(Path(), dataset="mnist")
    for seed, name in enumerate("AB"):
        new_champion(Path(name), seed=seed)
    move("A")
    store.register(store, heir("B").model, heir("B").card, name="b", examples=EXAMPLES, description="")
    bento.bento(Path("B"))


def killed(number: int) -> Callable[[], None]:
    """The move to B, until just before an effect of that number."""

    left = number

    def before(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in EFFECTS or (event == "open" and str(arguments[1])[0] in "wax"):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    def moved() -> None:
        sys.addaudithook(before)
        move("B")

    return moved


def full() -> None:
    """The move to B where no file may have more than a kilobyte."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    move("B")


def refused() -> None:
    """The move to B where the ledger cannot be written."""
    Path("promotions.jsonl.new").mkdir()
    move("B")


def state() -> None:
    """What the next call finds; A and B by their names."""
    store = store.connect(Path(), dataset="mnist")
    with promotion.alone(PLACES, store):
        names = {heir(name).sha256: name for name in "AB"}
        champion, entries = promotion.present(PLACES), ledger.read(PLACES.ledger)
        found = {
            "champion": names.get(champion.sha256) if champion else None,
            "alias": names.get(str(store.champion(store))),
            "ledger": [names[entry["to"]] for entry in entries],
            "kept": sorted(name for sha256, name in names.items() if bento.kept(sha256)),
            "left": PLACES.moving.exists(),
        }
    print(json.dumps(found), flush=True)


def apart(work: Callable[[], None]) -> int:
    """Does the work in a process of its own; returns how that ended, below 0 where by a signal."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    torch.set_num_threads(1)  # those of a process do not outlive its fork
    for folder, begin in ((Path("another").absolute(), prepare), (WORLD, lambda: apart(prepare))):
        folder.mkdir(exist_ok=True)  # the other one is for this process, which so has done once what it forks to do
        os.chdir(folder)
        begin()
    shutil.copytree(WORLD, KEPT)
    if sys.argv[1] == "kill":
        number, ended = 0, -signal.SIGKILL
        while ended == -signal.SIGKILL:
            number += 1
            os.chdir("/")
            shutil.rmtree(WORLD)
            shutil.copytree(KEPT, WORLD)
            os.chdir(WORLD)
            ended = apart(killed(number))
            apart(state)
        assert ended == 0
    else:
        apart({"full": full, "refused": refused}[sys.argv[1]])
        shutil.rmtree("promotions.jsonl.new", ignore_errors=True)
        apart(state)


if __name__ == "__main__":
    main()
