"""The ledger of champions: one line of JSON for each promotion and rollback, with time and reason.

The entry with the latest `when` decides, wherever it is: a merge may put the lines of two branches in any order.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from digitline.base import files
from digitline.base.errors import InputError

Entry = TypedDict(
    "Entry",
    {
        "when": str,  # ISO 8601, UTC
        "who": str,
        "action": str,  # promotion or rollback
        "from": str | None,  # the SHA-256 of the previous champion
        "to": str,  # the SHA-256 of the new champion
        "variant": str,
        "dataset_sha256": str,
        "gate": dict[str, Any],  # the measurements of the gate
        "reason": str,
    },
)
PROMOTION, ROLLBACK = "promotion", "rollback"
KEYS = list(Entry.__annotations__)
MARKS = ("<<<<<<<", "=======", ">>>>>>>")  # of an unresolved merge


def read(path: Path) -> list[Entry]:
    """The entries, oldest first; empty without a file. InputError names a line that is not an entry."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [parse(line, path, number) for number, line in enumerate(lines, 1)]
    once = {json.dumps(entry): entry for entry in found}  # both branches of a merge may have the same line
    return sorted(once.values(), key=lambda entry: datetime.fromisoformat(entry["when"]))


def parse(line: str, path: Path, number: int) -> Entry:
    """Parses one line as an entry."""
    where = f"{path}, line {number}"
    if line.startswith(MARKS):
        raise InputError(
            f"{where} is a merge marker; delete the lines {', '.join(MARKS)} and keep the entries of both branches"
        )
    try:
        entry: Entry = json.loads(line)
        texts = [type(entry[key]) for key in ("who", "action", "to", "reason")]
        if texts == [str] * 4 and list(entry) == KEYS and datetime.fromisoformat(entry["when"]).tzinfo:
            return entry
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(
        f"{where} is not a ledger entry, expected JSON with {', '.join(KEYS)}; correct it, or run git checkout HEAD -- "
        f"{path} to go back to the committed ledger"
    )


def append(path: Path, entry: Entry) -> None:
    """Adds an entry."""
    lines = path.read_bytes() if path.exists() else b""
    files.write(path, lines + (b"\n" if lines and not lines.endswith(b"\n") else b"") + line(entry))


def line(entry: Entry) -> bytes:
    """An entry as a line of JSON."""
    return f"{json.dumps(entry, ensure_ascii=False)}\n".encode()


def latest(entries: Sequence[Entry]) -> Entry | None:
    """The entry that decides who is champion."""
    return entries[-1] if entries else None


def before(entries: Sequence[Entry]) -> str:
    """The previous champion of the same data set, without those that were rolled back.

    InputError if there was none.
    """
    reigns: list[str] = []
    for entry in entries:
        if entry["dataset_sha256"] != entries[-1]["dataset_sha256"]:
            continue
        if entry["action"] == ROLLBACK:
            kept = reigns[: reigns.index(entry["to"])] if entry["to"] in reigns else reigns
            reigns = [reign for reign in kept if reign != entry["from"]]
        reigns.append(entry["to"])
    if len(reigns) < 2:
        raise InputError("the ledger has no previous champion; name the model to roll back to")
    return reigns[-2]


def withdrawn(entries: Sequence[Entry]) -> dict[str, Entry]:
    """For each model that was rolled back and not promoted since, the entry of its rollback."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.pop(entry["to"], None)
        if entry["action"] == ROLLBACK and entry["from"]:
            found[entry["from"]] = entry
    return found


def variants(entries: Sequence[Entry]) -> dict[str, str]:
    """Every model that was ever champion, with its variant."""
    return {entry["to"]: entry["variant"] for entry in entries}
