"""Who was champion, since when and why: a line of JSON for each promotion and rollback."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digitline.errors import InputError

Entry = dict[str, Any]

PROMOTION, ROLLBACK = "promotion", "rollback"
KEYS = ["when", "who", "action", "from", "to", "variant", "dataset_sha256", "gate", "reason"]


def read(path: Path) -> list[Entry]:
    """The entries, oldest first; none where there is no file. InputError names a line that is no entry."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def parse(line: str, where: str) -> Entry:
    """One line as an entry."""
    try:
        entry: Entry = json.loads(line)
        if [type(entry[key]) for key in ("when", "who", "action", "to", "reason")] == [str] * 5 and list(entry) == KEYS:
            return entry
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{where} is no entry of a ledger, expected JSON with {', '.join(KEYS)}; git can restore it")


def line(entry: Entry) -> bytes:
    """An entry as its line."""
    return f"{json.dumps(entry, ensure_ascii=False)}\n".encode()


def champion(entries: Sequence[Entry]) -> str | None:
    """The SHA-256 of the champion by the ledger."""
    return entries[-1]["to"] if entries else None


def before(entries: Sequence[Entry]) -> str:
    """The champion before the present one, those rolled back left out; InputError where there was none."""
    reigns: list[str] = []
    for entry in entries:
        if entry["action"] == ROLLBACK:
            kept = reigns[: reigns.index(entry["to"])] if entry["to"] in reigns else reigns
            reigns = [reign for reign in kept if reign != entry["from"]]
        reigns.append(entry["to"])
    if len(reigns) < 2:
        raise InputError("the ledger knows of no champion before the present one; name the model to go back to")
    return reigns[-2]


def withdrawn(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The rollback of each model that was rolled back and has not been promoted since."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.pop(entry["to"], None)
        if entry["action"] == ROLLBACK and entry["from"]:
            found[entry["from"]] = entry
    return found
