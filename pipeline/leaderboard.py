"""Prints the leaderboard; with --readme puts it into README.md."""

import sys
from pathlib import Path

from digitline import leaderboard
from pipeline import stage

START, END = "<!-- results -->\n", "<!-- /results -->"


def table() -> str:
    """The results of the last run, or those committed."""
    return leaderboard.text(stage.read_json(stage.LEADERBOARD), stage.read_json(stage.TIMINGS))


def main() -> None:
    """Shows the table in the terminal or puts it into README.md."""
    if sys.argv[1:] == ["--readme"]:
        readme = Path("README.md")
        before, _, rest = readme.read_text().partition(START)
        readme.write_text(f"{before}{START}{table()}\n{END}{rest.partition(END)[2]}")
    else:
        print(table())


if __name__ == "__main__":
    main()
