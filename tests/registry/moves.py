"""Runs promotions in a separate repository, each in its own process; prints the state after each, as JSON.

First the promotion of B after A fails because it cannot write, and A is not exported. Then one promotion that completes
counts its effects, and SIGKILL ends it before three of the effects that precede the ledger's line and before every one
that follows it.
`python -m tests.registry.moves PYTHON`, where PYTHON runs DVC.
"""

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from digitline.base.errors import InputError
from digitline.registry import bento, ledger, promotion
from digitline.registry.promotion import Model, Views
from digitline.tracking import models, store
from tests.served import new_champion

WORLD, KEPT = Path("world").absolute(), Path("kept").absolute()
PLACES = promotion.Places(Path("models/champion"), Path("promotions.jsonl"))
EFFECTS = ("os.rename", "os.mkdir", "os.rmdir", "sqlite3.connect", "subprocess.Popen")
COUNTED = Path("counted").absolute()  # per effect, how many lines the ledger had before it


def views() -> Views:
    to = store.connect(Path(), dataset="mnist")
    return Views(to, lambda: np.zeros((2, 28, 28), np.uint8), lambda: {"validation": "passed"})


def model(name: str) -> Model:
    folder = Path(name)
    return promotion.of_folder(folder, bento.verified(folder))


def promote(name: str) -> None:
    with promotion.alone(PLACES):
        to = views()
        before = promotion.complete(PLACES, dict, to)
        entry: dict[str, Any] = dict.fromkeys(ledger.KEYS, "") | {"when": datetime.now(UTC).isoformat()}
        entry |= {"from": before and before.sha256, "to": model(name).sha256}
        promotion.promote(PLACES, model(name), cast("ledger.Entry", entry), to)


def prepare() -> None:
    """A repository where A is champion and MLflow has B."""
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(words, check=True)
    for seed, name in enumerate("AB"):
        new_champion(Path(name), seed=seed)
    promote("A")
    b, to = model("B"), views()
    exported = Path("B") / bento.EXPORTED
    models.register(to.store, b.file, b.card, exported=exported, description="", examples=to.examples)


def watched(effect: Callable[[], object]) -> Callable[[], None]:
    """The promotion of B, which calls the function before each effect."""

    def before(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EFFECTS:
            effect()

    def moved() -> None:
        sys.addaudithook(before)
        promote("B")

    return moved


def count() -> None:
    """Notes an effect."""
    with COUNTED.open("a") as file:
        print(PLACES.ledger.read_text().count("\n"), file=file)


def killed(number: int) -> Callable[[], None]:
    """The promotion of B, killed before the effect of that number."""
    left = itertools.count(number, -1)

    def end() -> None:
        if not next(left):
            os.kill(os.getpid(), signal.SIGKILL)

    return watched(end)


def full() -> None:
    """The promotion of B with a limit of one kilobyte per file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    promote("B")


def refused() -> None:
    """The promotion of B with an unwritable ledger."""
    Path("promotions.jsonl.new").mkdir()
    promote("B")


def former() -> None:
    """A champion as earlier versions of digitline left it: not exported."""
    (PLACES.champion / bento.EXPORTED).unlink()
    card = PLACES.champion / bento.CARD
    known = json.loads(card.read_text())
    del known["onnx_sha256"]
    card.write_text(json.dumps(known))
    promotion.keep(PLACES)


def state(how: str) -> None:
    """The state after the next call has completed the promotion; A and B by their names."""
    names = {model(name).sha256: name for name in "AB"}
    to = views()
    with promotion.alone(PLACES):
        champion = promotion.complete(PLACES, dict, to)
    bento.servable(PLACES.champion)
    name = names.get(champion.sha256) if champion else None
    found = {
        "how": how,
        "champion": name,
        "alias": names.get(str(models.champion(to.store))),
        "ledger": [names[entry["to"]] for entry in ledger.read(PLACES.ledger)],
        "kept by DVC": PLACES.pointer.read_text() == added(f"{name}"),
        "left": PLACES.draft.exists(),
    }
    print(json.dumps(found), flush=True)


def added(name: str) -> str:
    """DVC's file of the champion after `dvc add`, which is run once per model."""
    after = WORLD.with_name(f"{name}.dvc")
    if not after.exists():
        promotion.keep(PLACES)
        shutil.copy(PLACES.pointer, after)
    return after.read_text()


def apart(work: Callable[[], None]) -> int:
    """Does the work in its own process; returns the exit code, negative after a signal."""
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
    sys.executable = sys.argv[1]  # which runs DVC
    torch.set_num_threads(1)  # threads do not survive a fork
    for folder, begin in ((Path("another").absolute(), prepare), (WORLD, lambda: apart(prepare))):
        os.chdir(folder)  # the first one by this process itself, so that it has done everything once before it forks
        begin()
    shutil.copytree(WORLD, KEPT)
    for work in (full, refused, former):
        anew()
        apart(work)
        shutil.rmtree("promotions.jsonl.new", ignore_errors=True)
        apart(partial(state, work.__name__))
    anew()
    assert apart(watched(count)) == 0
    lines = [int(line) for line in COUNTED.read_text().split()]
    decided = lines.index(2)
    for number in (0, decided // 2, *range(decided - 1, len(lines))):
        anew()
        assert apart(killed(number)) == -signal.SIGKILL
        apart(partial(state, "killed"))


def anew() -> None:
    """Restores the prepared repository."""
    os.chdir("/")
    shutil.rmtree(WORLD)
    shutil.copytree(KEPT, WORLD)
    os.chdir(WORLD)


if __name__ == "__main__":
    main()
