"""digitline predict: answers a folder of pictures with the champion, without a server."""

import hashlib
from pathlib import Path

from digitline.base.errors import InputError
from digitline.config import paths
from digitline.registry import bento
from digitline.serving import bulk, runtime

FORMS = (".parquet", ".csv")
NAMED = 3  # pictures without an answer that are named in the sentence


def predict(folder: str, *, to: str) -> None:
    """Writes a row for each file; InputError, after all are written, if some could not be answered."""
    place, file = Path(folder), Path(to)
    card = bento.servable(paths.CHAMPION)
    draft = draft_of(file, place, card["sha256"])
    found = pictures(place, file)
    exported = runtime.Exported((paths.CHAMPION / bento.EXPORTED).read_bytes())
    answering = bulk.Answering(
        runtime.fastest(exported, paths.CHAMPION / bento.MODEL),
        exported.shape,
        card.get("preparation", "mnist"),
        card["classes"],
        card.get("doubt_above", float("inf")),
    )
    bulk.answer(answering, place, found, draft)
    failed = bulk.failed(draft)
    bulk.finish(draft, file, card["classes"])
    print(f"{file} has the answers of {card['variant']} {card['sha256'][:16]} to {len(found) - len(failed)} pictures")
    if failed:
        some = "; ".join(f"{path}: {reason}" for path, reason in failed[:NAMED])
        more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        raise InputError(f"{len(failed)} of {len(found)} files have no answer, {file} says why: {some}{more}")


def pictures(folder: Path, file: Path) -> list[str]:
    """The files to answer; InputError if there are none, or if there is no place for the answers."""
    if file.suffix not in FORMS:
        raise InputError(f"--to is {file}, expected a name that ends in {' or '.join(FORMS)}")
    if not file.absolute().parent.is_dir():
        raise InputError(f"there is no folder {file.parent} for {file.name}")
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    own = file.name  # also of the draft, where it lies in that folder
    found = [path for path in bulk.pictures(folder) if not (folder / path).name.startswith(own)]
    if not found:
        raise InputError(f"{folder} has no files")
    return found


def draft_of(file: Path, folder: Path, model: str) -> Path:
    """Where the answers are collected: another one for another model or folder."""
    whose = hashlib.sha256(f"{model} {folder.resolve()}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return file.with_name(f"{file.name}.{whose}.partial")
