"""A new champion in the place of the old one, while requests go on: each is answered whole by one of them."""

import asyncio
import logging
import os
from pathlib import Path

import bentoml
from starlette.datastructures import State

from digitline.base.errors import InputError
from digitline.registry import bento
from service import metrics

MODELS = Path(__file__).parents[1] / "models"
STUDY = MODELS / "study"
SECONDS = 1  # between two looks

log = logging.getLogger(__name__)


def folder() -> Path:
    """Where champions come from: the folder that DIGITLINE_CHAMPION names, or this clone's."""
    return Path(os.environ.get("DIGITLINE_CHAMPION", MODELS / "champion"))


def begin(state: State, stored: str) -> None:
    """Loads what is answered with at first; in a Bento that is the model stored under that tag."""
    source = folder()
    state.seen = stamp(source)
    load(state, source if (source / bento.MODEL).exists() else Path(bentoml.models.get(stored).path))


async def watch(state: State) -> None:
    """Takes up what is put in the champion's place; what is damaged or half there is left, and said so."""
    while True:
        await asyncio.sleep(SECONDS)
        try:
            if (found := stamp(folder())) != state.seen:
                state.seen = found
                await asyncio.to_thread(load, state, folder())
        except (InputError, OSError) as error:  # also of a file that was there a moment ago
            log.warning("the champion stays: %s", error)


def load(state: State, source: Path) -> None:
    """Loads beside what answers, then puts it in its place at once; InputError where it is not what its card names."""
    from service.champion import Champion, Study  # they take PyTorch along, which the command need not wait for

    champion, study = Champion(source), Study(STUDY)
    state.champion, state.study = champion, study
    metrics.serve(champion.sha256, champion.card["variant"])
    log.info("the champion is %s", champion.sha256)


def stamp(source: Path) -> list[tuple[int, int, int]]:
    """Is another one as soon as a file of the champion or of the study is."""
    paths = [source / bento.MODEL, source / bento.CARD, STUDY / bento.STUDY]
    found = [path.stat() for path in paths if path.exists()]
    return [(file.st_mtime_ns, file.st_ino, file.st_size) for file in found]
