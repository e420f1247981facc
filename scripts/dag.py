"""Draws docs/dag.svg from dvc.yaml: a box a stage, however many variants there are; --check only compares."""

import argparse
import sys
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

PICTURE = Path("docs/dag.svg")
REDRAW = "make format"

WIDTH, HEIGHT, GAP, MARGIN, LANE = 600, 84, 34, 12, 26  # of a box, the way between two, around all, between two arcs

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .name { font-size: 16px; font-weight: 600 }
  .quiet { fill: #59636e }
  .file { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12px; fill: #0b5cad }
  rect { fill: #f6f8fa; stroke: #59636e; stroke-width: 1.2 }
  path { fill: none; stroke: #59636e; stroke-width: 1.4; marker-end: url(#head) }
  marker path { fill: #59636e; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .quiet { fill: #9aa4af } .file { fill: #79b8ff }
    rect { fill: #1b222b; stroke: #9aa4af } path { stroke: #9aa4af } marker path { fill: #9aa4af }
  }
"""


class Stage(NamedTuple):
    name: str
    description: str
    each: str  # what a matrix runs over; empty for a single stage
    deps: list[str]
    outs: list[str]


def stages(tree: dict[str, Any]) -> list[Stage]:
    """The stages of dvc.yaml, each after those it depends on."""
    found = [stage(name, entry) for name, entry in tree["stages"].items()]
    ordered: list[Stage] = []
    while found:
        ready = [one for one in found if not any(feeds(other, one) for other in found)]
        if not ready:
            sys.exit(f"error: the stages {', '.join(one.name for one in found)} of dvc.yaml depend on each other")
        ordered += ready
        found = [one for one in found if one not in ready]
    return ordered


def stage(name: str, entry: dict[str, Any]) -> Stage:
    """One stage; what it runs over stands as <name> in its paths."""
    keys = list(entry.get("matrix", {}))
    paths: dict[str, list[str]] = {"deps": [], "outs": [], "metrics": [], "plots": []}
    for kind, listed in paths.items():
        for path in entry.get(kind, []):
            text = path if isinstance(path, str) else next(iter(path))
            for key in keys:
                text = text.replace(f"${{item.{key}}}", f"<{key}>")
            listed.append(text)
    outs = paths["outs"] + paths["metrics"] + paths["plots"]
    return Stage(name, entry.get("desc", ""), ", ".join(keys), paths["deps"], outs)


def feeds(source: Stage, target: Stage) -> bool:
    """Whether an output of the one is, holds or lies in a dependency of the other."""
    return source is not target and any(
        out == dep or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")
        for out in source.outs
        for dep in target.deps
    )


def draw(chain: list[Stage]) -> str:
    """The stages from top to bottom; what skips a stage goes round on the right."""
    edges = [(i, j) for i, a in enumerate(chain) for j, b in enumerate(chain) if i < j and feeds(a, b)]
    skips = [(i, j) for i, j in edges if j > i + 1]
    # A lane for each stage that is used further down; the longer its way, the further out.
    lanes = sorted({i for i, _ in skips}, key=lambda i: max(b - a for a, b in skips if a == i))
    lines = [straight(i) for i, j in edges if j == i + 1]
    lines += [around(i, j, lanes.index(i)) for i, j in skips]
    drawing = "\n".join(lines + [box(index, one) for index, one in enumerate(chain)])
    width = 2 * MARGIN + WIDTH + LANE * (len(lanes) + 1)
    height = 2 * MARGIN + len(chain) * (HEIGHT + GAP) - GAP
    names = escape(", ".join(one.name for one in chain))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<title>The stages of dvc.yaml and what feeds what: {names}</title>
<style>{STYLE}</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
  <path d="M0 0 8 4 0 8Z"/></marker></defs>
{drawing}
</svg>
"""


def top(index: int) -> int:
    return MARGIN + index * (HEIGHT + GAP)


def straight(index: int) -> str:
    """From a box to the next."""
    return f'<path d="M{MARGIN + 40} {top(index) + HEIGHT}v{GAP - 1}"/>'


def around(source: int, target: int, lane: int) -> str:
    """From a box to one further down, past those between."""
    right = MARGIN + WIDTH
    out, start, end = LANE * (lane + 1), top(source) + HEIGHT - 20, top(target) + 16 + 14 * lane
    return f'<path d="M{right} {start}h{out - 8}q8 0 8 8V{end - 8}q0 8 -8 8H{right + 1}"/>'


def box(index: int, one: Stage) -> str:
    """Name, description and outputs; a matrix stage as a small pile."""
    x, y = MARGIN, top(index)
    pile = [f'<rect x="{x + 5}" y="{y + 5}" width="{WIDTH - 5}" height="{HEIGHT}" rx="8"/>'] if one.each else []
    size = f'width="{WIDTH - 5}"' if one.each else f'width="{WIDTH}"'
    each = f'<tspan class="quiet" font-weight="400"> for each {escape(one.each)}</tspan>' if one.each else ""
    return "\n".join(
        [
            *pile,
            f'<rect x="{x}" y="{y}" {size} height="{HEIGHT}" rx="8"/>',
            f'<text x="{x + 14}" y="{y + 26}" class="name">{escape(one.name)}{each}</text>',
            f'<text x="{x + 14}" y="{y + 47}">{escape(one.description)}</text>',
            f'<text x="{x + 14}" y="{y + 69}" class="file">{escape(summary(one.outs))}</text>',
        ]
    )


def summary(outs: list[str], limit: int = 72) -> str:
    """As many outputs as fit on the line, and how many more there are."""
    shown = list(outs)
    while len(text := "  ".join(shown)) > limit and len(shown) > 1:
        shown.pop()
    more = len(outs) - len(shown)
    return f"{text}  +{more}" if more else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    picture = draw(stages(YAML(typ="safe").load(Path("dvc.yaml"))))
    if not parser.parse_args().check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture)
    elif not PICTURE.exists() or PICTURE.read_text() != picture:
        sys.exit(f"error: {PICTURE} is not what dvc.yaml says; {REDRAW} draws it anew")


if __name__ == "__main__":
    main()
