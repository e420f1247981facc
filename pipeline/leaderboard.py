"""Prints the leaderboard; with --readme puts it, and the record's, into README.md."""

import sys
from pathlib import Path

from digitline import leaderboard
from pipeline import stage

TABLES = {"results": Path("reports"), **{name: Path("reports") / name for name in ("record", "ablation")}}


def table(folder: Path) -> str:
    """The results of a run, or those committed."""
    rows, timings = (stage.read_json(folder / path.name) for path in (stage.LEADERBOARD, stage.TIMINGS))
    return leaderboard.text(rows, timings)


def marked(text: str, name: str) -> list[str]:
    """The text before, between and after the marks of a table."""
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    within, end, after = rest.partition(f"<!-- /{name} -->")
    return [before + start, within, end + after]


def main() -> None:
    """Shows a table in the terminal or puts both into README.md."""
    if sys.argv[1:] != ["--readme"]:
        print(table(Path(*sys.argv[1:]) if sys.argv[1:] else TABLES["results"]))
        return
    readme = Path("README.md")
    text = readme.read_text()
    for name, folder in TABLES.items():
        if f"<!-- {name} -->" in text:
            before, _, after = marked(text, name)
            text = f"{before}{table(folder)}\n{after}"
    readme.write_text(text)


if __name__ == "__main__":
    main()
