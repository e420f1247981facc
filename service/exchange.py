"""Replaces the champion by a new one while requests continue; each request is answered by only one of them."""

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import bentoml

from digitline.base.errors import InputError
from digitline.registry import bento

if TYPE_CHECKING:
    from starlette.datastructures import State

MODELS = Path(__file__).parents[1] / "models"
STUDY = MODELS / "study"
SECONDS = 1  # between two checks

log = logging.getLogger(__name__)


def folder() -> Path:
    """The champion's folder: DIGITLINE_CHAMPION, or this clone's."""
    return Path(os.environ.get("DIGITLINE_CHAMPION", MODELS / "champion"))


def begin(state: "State", stored: str) -> None:
    """Loads the first champion; in a Bento, the model stored under that tag."""
    source = folder()
    state.seen = stamp(source)
    load(state, source if (source / bento.MODEL).exists() else Path(bentoml.models.get(stored).path))


async def watch(state: "State") -> None:
    """Loads each new champion; logs a warning and keeps the old one if the new one is damaged or incomplete."""
    while True:
        await asyncio.sleep(SECONDS)
        try:
            if (found := stamp(folder())) != state.seen:
                state.seen = found
                await asyncio.to_thread(load, state, folder())
        except (InputError, OSError) as error:  # a file may also vanish meanwhile
            log.warning("kept the old champion: %s", error)


def load(state: "State", source: Path) -> None:
    """Loads the new champion beside the old one, then swaps them; InputError if the model does not fit its card."""
    from service import metrics  # NumPy and ONNX Runtime are for the workers alone
    from service.champion import Champion, Study

    champion = Champion(source)
    state.champion, state.study = champion, Study(STUDY, champion)
    metrics.serve(champion.sha256, champion.card["variant"])
    log.info("the champion is %s", champion.sha256)
    if state.study.apart:
        log.warning("no study is shown: %s", state.study.apart)


def stamp(source: Path) -> list[tuple[int, int, int]]:
    """Changes whenever a file of the champion or of the study changes."""
    paths = [*(source / name for name in bento.FILES), STUDY / bento.STUDY]
    found = [path.stat() for path in paths if path.exists()]
    return [(file.st_mtime_ns, file.st_ino, file.st_size) for file in found]
