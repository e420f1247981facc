"""digitline start: begins a project of one's own, with the code of this checkout and without its results."""

import re
import shutil
import subprocess
from pathlib import Path

from digitline.base import git
from digitline.base.errors import InputError
from digitline.config import own, params

EXAMPLE = "mnist"  # what the new project trains until it has images of its own, and what its tests work with
VARIANTS = {"conv2_relu", "modern"}  # of the example's: one of each kind of network
# What is the example's alone: its results, who was champion, what was studied and found.
LEFT = (
    *("reports/", "models/", "dvc.lock", "promotions.jsonl", "studies/record.yaml", "tests/params.yaml"),
    *("README.md", "docs/results.md", "docs/tried.md", "docs/images/"),
)
GONE = r"\[([^]]*)\]\((?:results\.md#|tried\.md)[^)]*\)"  # a link to what was found
README = """\
# {name}

A DVC pipeline that trains variants of a neural network, compares them, and serves the best one; begun with
`digitline start`.

<!-- summary -->
<!-- /summary -->

<!-- duration -->
<!-- /duration -->

## Start

    make setup                 # install
    source .venv/bin/activate
    digitline adopt FOLDER --name NAME --use    # your pictures become the data set; without, it is MNIST
    make                       # train, compare, promote, report
    make serve                 # http://127.0.0.1:3000/ui/
    make results               # after a run: the tables of this page and of docs/results.md

`make help` lists all commands. `params.yaml` has every setting; `tests/params.yaml` has those of MNIST, with which the
tests of the code work.

## Read on

{pages}
"""
RESULTS = """\
# Results

<!-- results -->
<!-- /results -->
"""


def start(folder: str) -> None:
    """Fills an empty folder and makes the first commit; all of it, or nothing."""
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError(f"{place} is not an empty folder, expected one, or a name that is free")
    names = tracked()
    git.ask(Path("/"), "var", "GIT_AUTHOR_IDENT")  # InputError where git does not know who commits
    new = place.with_name(f"{place.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    for name in names:
        copy(Path(name), new / name)
    written = {"README.md": README.format(name=place.resolve().name, pages=pages(names)), "docs/results.md": RESULTS}
    written |= settings(params.text(params.FILE))
    for name, text in written.items():
        (new / name).write_text(text, encoding="utf-8")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Begun with digitline start"]):
        done = subprocess.run(["git", "-C", str(new), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"git {words[0]} fails in {new}: {' '.join(done.stderr.split())}")
    new.replace(place)
    print(f"begun: cd {place}, then make setup; its README.md says how to go on")


def tracked() -> list[str]:
    """The files of this checkout to copy; InputError if it is no checkout of digitline."""
    names = (git.ask(Path(), "ls-files", "-z") or "").split("\0")[:-1]
    if "src/digitline/cli/start.py" not in names:
        raise InputError("digitline start copies a checkout of digitline that git tracks; run it in the root of one")
    return [name for name in names if not name.startswith(LEFT) and Path(name).is_file()]


def pages(names: list[str]) -> str:
    """Links to the pages of the project."""
    found = [name for name in names if name.startswith("docs/") and name.endswith(".md")]
    return "\n".join(f"- [{name}]({name})" for name in [*sorted([*found, "docs/results.md"]), "CONTRIBUTING.md"])


def copy(path: Path, to: Path) -> None:
    """Copies a file with its mode; the pages of docs/ without links to those that are left out."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, to, follow_symlinks=False)
    if path.parent == Path("docs"):
        text = re.sub(GONE, r"digitline's \1", path.read_text(encoding="utf-8"))
        to.write_text(text, encoding="utf-8")


def settings(text: str) -> dict[str, str]:
    """The parameters of the new project, with few variants, and those of the tests, with the example's."""
    example = own.exchanged(text, EXAMPLE)
    few = example
    if set(own.parsed(example)["variants"]) > VARIANTS:
        for name in [name for name in own.parsed(example)["variants"] if name not in VARIANTS]:
            few = own.without(few, "variants", name)
            few = own.without(few, "search", name) if name in own.parsed(few).get("search", {}) else few
    tests = Path("tests/params.yaml")
    params.parsed(few, params.FILE)
    return {"params.yaml": few, "tests/params.yaml": tests.read_text("utf-8") if tests.exists() else example}
