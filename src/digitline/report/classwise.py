"""The report's section of measures per class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digitline.base import files
from digitline.measure import classes
from digitline.measure.rows import ClassLine, Row, Run

SHOWN = 10  # classes, the worst first; the page folds the others


def sections(board: Sequence[Row], champion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What the page shows of the leader and of the champion; none that was not measured."""
    found = {run["sha256"]: (row, run) for row in board for run in row["runs"] if "test_classes" in row}
    leader, own = board[0], found.get(champion["sha256"]) if champion else None
    both = own is not None and own[0] is leader and len(leader["runs"]) == 1
    shown = []
    if "test_classes" in leader:
        shown.append(section(leader, None, "the leader and champion" if both else "the leader"))
    if own and not both:
        shown.append(section(*own, "the champion"))
    return shown


def section(row: Row, run: Run | None, role: str) -> dict[str, Any]:
    """A table's variables: of one run, or of all runs of a row."""
    lines = classes.of_model(row, run, "test") if run else row["test_classes"]
    of = f"seed {run['seed']}" if run and "members" not in run else f"mean over {len(row['runs'])} seeds"
    seeds = "" if len(row["runs"]) == 1 else f", {of}"
    averages: dict[str, Any] = {classes.TITLES[name]: dict(row)[f"test_{name}"] for name in classes.AVERAGES}
    return {
        "title": f"{row['variant']}, {role}{seeds}",
        "variant": row["variant"],
        "lines": sorted(lines, key=worst),
        "shown": SHOWN,
        "unseen": [line["name"] for line in lines if not line["images"]],
        "averages": averages,
        "confusions": row["test_confusions"],
        "runs": len(row["runs"]),
    }


def worst(line: ClassLine) -> tuple[bool, float, int]:
    """The order of the classes: the lowest F1 first, those without images last."""
    return not line["images"], line["f1"] or 0, line["images"]


def tables(board: Sequence[Row], folder: Path) -> None:
    """Writes each row's measures per class."""
    for row in board:
        if "test_classes" in row:
            lines = classes.table({"val": row["val_classes"], "test": row["test_classes"]})
            files.write_csv(folder / f"classes-{row['variant']}.csv", lines)
