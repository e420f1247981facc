"""Prints, as Markdown, what differs between the commit $BASE and the working tree: the champion's verdict first."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from digitline.base import files
from digitline.base.errors import InputError

MARKER = "<!-- digitline: difference -->"  # by which the workflow finds its own comment on a pull request
VERDICT, BOARD, VALIDATION = "reports/promotion.md", "reports/leaderboard.json", "reports/validation.json"
CHARTS = {"val_accuracy": "Accuracy on validation", "test_corrupted": "Accuracy on corrupted test images"}


def ask(*words: str) -> str | None:
    """What a command prints, or nothing where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout


def against() -> str:
    """The commit to compare with, by seven digits: $BASE, or the last one where this clone does not have it."""
    given = os.environ.get("BASE") or "HEAD"
    found = ask("git", "rev-parse", "--short=7", f"{given}^{{commit}}") or ask("git", "rev-parse", "--short=7", "HEAD")
    return (found or "HEAD").strip()


def verdict(now: str | None, before: str | None, base: str) -> str:
    """What the change did to the verdict on the champion, from the two texts of it."""
    (headline, details), (other, _) = parted(now), parted(before)
    if headline == other:
        return f"The verdict is that of {base}: {headline}."
    return f"**Now: {headline}.** In {base}: {other}.\n\n{details}"


def parted(text: str | None) -> tuple[str, str]:
    """A verdict's headline and the rest."""
    headline, _, details = (text or "# there is no verdict").removeprefix("# ").partition("\n")
    return headline, details.strip()


def picture(board: list[dict[str, Any]], before: list[dict[str, Any]], measure: str, base: str) -> str:
    """A measure of all rows as a chart that GitHub draws: bars now, a line for the commit before."""
    now, then = ({row["variant"]: 100 * mean(row[measure]) for row in rows} for rows in (board, before))
    lined = now.keys() <= then.keys()
    low = min([*now.values(), *then.values()])
    lines = [
        "```mermaid",
        "xychart-beta",
        f'  title "{CHARTS[measure]}, percent: bars now{f", line in {base}" if lined else ""}"',
        f"  x-axis [{', '.join(now)}]",
        f"  y-axis {low - (100 - low) / 10:.2f} --> 100",
        f"  bar [{', '.join(f'{value:.2f}' for value in now.values())}]",
    ]
    if lined:
        lines.append(f"  line [{', '.join(f'{then[name]:.2f}' for name in now)}]")
    return "\n".join([*lines, "```"])


def dataset(text: str | None) -> str | None:
    """The data set of which the results are, by the report of the validation."""
    return str(json.loads(text)["dataset"]) if text else None


def mean(value: Any) -> float:
    """A measure's mean over seeds."""
    return float(value["mean"] if isinstance(value, dict) else value)


def read(path: str) -> str | None:
    """A file's text, where there is one."""
    return Path(path).read_text() if Path(path).exists() else None


def table(*words: str) -> str:
    """A table of DVC's, or that it has no line."""
    found = (ask("dvc", *words) or "").strip()
    return found if found.count("\n") > 1 else "No difference."


def main() -> None:
    """Prints the verdict, two charts, parameters, metrics and whether dvc.lock changed."""
    base = against()
    board = files.read_json(Path(BOARD)) if Path(BOARD).exists() else []
    before = json.loads(ask("git", "show", f"{base}:{BOARD}") or "[]")
    now, then = (dataset(text) for text in (read(VALIDATION), ask("git", "show", f"{base}:{VALIDATION}")))
    other = then is not None and now != then
    print(f"{MARKER}\n## Against {base}\n\n{verdict(read(VERDICT), ask('git', 'show', f'{base}:{VERDICT}'), base)}")
    if other:
        print(f"\nThe results of {base} are of another data set, {then}: no figure of {now} is compared with them.")
    if board:
        for measure in CHARTS:
            print(f"\n{picture(board, [] if other else before, measure, base)}")
    for title, what in [("Parameters", "params"), *([] if other else [("Metrics", "metrics")])]:
        print(f"\n### {title}\n\n{table(what, 'diff', '--md', base)}")
    same = ask("git", "diff", "--quiet", base, "--", "dvc.lock") is not None
    print(f"\n### dvc.lock\n\n{'No difference.' if same else f'Inputs or outputs differ from those in {base}.'}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
