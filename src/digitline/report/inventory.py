"""What adopt found, in words and tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from digitline.data import pictures, survey
from digitline.data.entry import Shape
from digitline.data.intake import Seen, Sides
from digitline.data.survey import Picture

LISTED = 12  # lines of a table that the terminal shows

Table = list[list[Any]]  # the first line is the head


def notes(seen: Seen, sided: Sides, image: Shape, remarks: Sequence[str], listed: Path) -> list[str]:
    """What one should know, a line each; what is left out is listed in that file."""
    kind = "grey" if image.channels == 1 else "colour"
    of = f"{len(sided.pictures):,} pictures of {len(survey.classes(sided.pictures))} classes"
    counts = {"damaged pictures": len(seen.damaged), "other files": len(seen.others)}
    left = ", ".join(f"{what}: {count:,}" for what, count in counts.items() if count)
    return [
        f"{of}, as {kind} images of {image.height}x{image.width} (height x width)",
        *remarks,
        *sided.notes,
        *([f"left out, and listed in {listed}: {left}"] if left else []),
    ]


def tables(seen: Seen, sided: Sides, torn: Sequence[tuple[Picture, Picture]]) -> dict[str, Table]:
    """Classes, sizes, modes, remarks, equal pictures of two classes, and what is left out."""
    return {
        "Classes": counted(sided.pictures),
        "Sizes": tallied("height x width", (f"{form.height}x{form.width}" for form in seen.forms)),
        "Modes": tallied("mode", (form.mode for form in seen.forms)),
        "Remarks": tallied("remark", (remark for form in seen.forms for remark in form.remarks)),
        "Another class": [
            ["picture", "class", "has the same pixels as", "class"],
            *([later.path, later.label, first.path, first.label] for later, first in torn),
        ],
        "Left out": [["path", "why"], *map(list, [*seen.damaged, *seen.others])],
    }


def text(notes: Sequence[str], tables: Mapping[str, Table]) -> str:
    """The same for a terminal, which shows the beginning of long tables."""
    spare = [shortened(lines) if title == "Classes" else begun(lines) for title, lines in tables.items()]
    return "\n\n".join(["\n".join(notes), *(aligned(lines) for lines in spare if len(lines) > 1)])


def counted(found: Sequence[Picture]) -> Table:
    """The number of pictures by class and split."""
    counts = Counter((picture.label, picture.split) for picture in found)
    lines = [[name, *(counts[name, split] for split in pictures.SPLITS)] for name in survey.classes(found)]
    return [["class", *pictures.SPLITS], *lines]


def shortened(table: Table) -> Table:
    """The classes, if there are many only the largest and the smallest ones."""
    head, *lines = table
    if len(lines) <= LISTED:
        return table
    ordered = sorted(lines, key=lambda line: -line[1])
    dots = [f"… {len(lines) - LISTED + 1} more", "", ""]
    return [head, *ordered[: LISTED // 2], dots, *ordered[1 - LISTED // 2 :]]


def begun(table: Table) -> Table:
    """The beginning of a table, and how many more lines it has."""
    more = len(table) - 1 - LISTED
    return table[: LISTED + 1] + ([[f"… {more:,} more", *[""] * (len(table[0]) - 1)]] if more > 0 else [])


def tallied(title: str, values: Iterable[str]) -> Table:
    """How often each value occurs, the most frequent first."""
    return [[title, "pictures"], *(list(pair) for pair in Counter(values).most_common())]


def aligned(lines: Table) -> str:
    """A table in columns."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
