"""Puts another data set to use: its own sections of params.yaml come to the top, those that they replace step aside.

The first entry of `datasets` owns what no other has: while another is in use, it keeps the sections that were replaced.
Whole lines move, with their comments, in the form that DVC's writer leaves alone.
"""

import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digitline.base import files
from digitline.base.errors import InputError
from digitline.config import params
from digitline.config.keys import choose
from digitline.data import entry

STEP = "    "  # from a section at the top to one of an entry


def use(path: Path, name: str) -> str:
    """Makes `name` the data set in use and says what moved; InputError if params.yaml would not be valid."""
    text = params.text(path)
    datasets = params.loaded(text, path).datasets
    choose("dataset", name, datasets)
    for one, options in datasets.items():
        params.described(f"datasets.{one}", options)
    came = entry.carried(datasets[name])
    if came and (absent := set(came) - set(parsed(text))):
        has = f"datasets.{name} has its own {', '.join(sorted(absent))}"
        raise InputError(f"{has}, but {path} has none at the top to change places with")
    try:
        new = exchanged(text, name)
    except YAMLError as error:  # an anchor that a moved line needs
        raise InputError(f"{path} could not be rearranged: {' '.join(str(error).split())}") from None
    params.parsed(new, path)
    files.write(path, new.encode())
    return f"dataset is {name}" + (f", with its own {', '.join(came)}" if came else "")


def exchanged(text: str, name: str) -> str:
    """The text with the sections of another data set at the top."""
    text = blocks(text)
    tree = parsed(text)
    before, home = in_use(tree), next(iter(tree["datasets"]))
    if before != home:
        text = swap(text, home, before)
    if name != home:
        text = swap(text, name, home)
    lines = text.splitlines(keepends=True)
    place = part(lines, parsed(text), "dataset")
    comment = re.search(r"(\s+#.*)?\n$", lines[place.start])
    lines[place] = [dumped({"dataset": name}).rstrip(), comment[0] if comment else "\n"]
    return dumped(parsed("".join(lines)))


def in_use(tree: Any) -> str:
    """The data set whose sections are at the top, which is not `dataset` where that was set by hand."""
    datasets, name = tree["datasets"], str(tree["dataset"])
    home = str(next(iter(datasets)))
    if name in datasets and not entry.carried(datasets[name]):
        return name
    if not (replaced := entry.carried(datasets[home])):
        return home
    possible = [str(one) for one in datasets if one != home and not set(replaced) & set(entry.carried(datasets[one]))]
    if len(possible) != 1:
        raise InputError(
            f"dataset was set to {name} by hand, and whose {', '.join(replaced)} params.yaml now has is unknown; "
            "set dataset back to that data set and run digitline use again"
        )
    return possible[0]


def swap(text: str, comes: str, goes: str) -> str:
    """Moves the sections of the entry `comes` to the top, and those there to the end of the entry `goes`."""
    lines, tree = text.splitlines(keepends=True), parsed(text)
    end = part(lines, tree, "datasets", goes).stop
    edits, sinking = [], []
    for section in entry.carried(tree["datasets"][comes]):
        old, new = part(lines, tree, section), part(lines, tree, "datasets", comes, section)
        edits += [(old, [line.removeprefix(STEP) for line in lines[new]]), (new, [])]
        sinking += [STEP + line if line.strip() else line for line in lines[old]]
    edits.append((slice(end, end), sinking))
    for place, content in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
        lines[place] = content
    return "".join(lines)


def without(text: str, *keys: str) -> str:
    """The text without what stands under the keys."""
    lines = text.splitlines(keepends=True)
    lines[part(lines, parsed(text), *keys)] = []
    return "".join(lines)


def part(lines: list[str], section: Any, *keys: str) -> slice:
    """The lines of what stands under the keys, without the empty lines and comments before the next key."""
    end = len(lines)
    for key in keys:
        names = list(section)
        start, column = section.lc.key(key)
        if key != names[-1]:
            end = section.lc.key(names[names.index(key) + 1])[0]
        section = section[key]
    while end > start + 1 and outside(lines[end - 1], column):
        end -= 1
    return slice(start, end)


def outside(line: str, column: int) -> bool:
    """Whether a line is empty, or a comment no deeper than the key."""
    rest = line.lstrip()
    return not rest or (rest.startswith("#") and len(line) - len(rest) <= column)


def blocks(text: str) -> str:
    """The text with the sections as lines of their own, and the entries that sections leave or enter."""
    tree = parsed(text)
    datasets, present = tree["datasets"], (next(iter(tree["datasets"])), in_use(tree))
    moving = [name for name in datasets if name in present or entry.carried(datasets[name])]
    for mapping in (tree, datasets, *(datasets[name] for name in moving)):
        mapping.fa.set_block_style()
    return dumped(tree)


def parsed(text: str) -> Any:
    """The tree with comments and places."""
    return YAML().load(text)


def dumped(tree: Any) -> str:
    """The tree's text."""
    stream = io.StringIO()
    YAML().dump(tree, stream)
    return stream.getvalue()
