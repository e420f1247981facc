"""digitline results: writes what git tracks besides the stages' files: times, machine, README's tables."""

from pathlib import Path

from digitline.base import files
from digitline.cli.leaderboard import TABLES
from digitline.config import paths, times
from digitline.config.params import Params

README = Path("README.md")


def results(params: Params) -> None:
    """Writes the times, the machine and README's tables."""
    files.write_json(paths.MACHINE, files.read_json(paths.MADE_ON))
    files.write_json(paths.REPORTED, {name: times.known().get(name, {}) for name in params.rows})
    text = README.read_text()
    for name, (draw, folder) in TABLES.items():
        if f"<!-- {name} -->" in text:
            before, _, after = marked(text, name)
            text = f"{before}{draw(folder)}\n{after}"
    files.write(README, text.encode())


def marked(text: str, name: str) -> list[str]:
    """The text before, between and after the markers of a table."""
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    within, end, after = rest.partition(f"<!-- /{name} -->")
    return [before + start, within, end + after]
