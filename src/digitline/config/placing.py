"""Where a data set's pictures are: in the checkout and ignored by git, or elsewhere and linked."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from digitline.base import files, git
from digitline.base.errors import InputError

DATA = Path("data")


def placed(root: Path, name: str, *, anywhere: bool = True) -> Path:
    """The folder as params.yaml names it, below the checkout, or only at data/NAME, which links to one elsewhere.

    InputError if data/NAME is another folder.
    """
    here = Path.cwd()
    if here.is_relative_to(root.resolve()):
        raise InputError(f"{root} has the checkout in it; give the folder of the pictures alone")
    link, inside = DATA / name, root.resolve()
    if inside.is_relative_to(here) and (anywhere or inside == link.absolute()):
        return inside.relative_to(here)
    if link.is_symlink() or not link.exists():
        return link
    raise InputError(f"{link} is there already and is not {root}; give another --name, or adopt {link}")


def ready(place: Path, root: Path) -> None:
    """Makes the link, if the pictures are elsewhere, and lets git ignore them unless it tracks them already."""
    if not place.exists() or (place.is_symlink() and place.resolve() != root.resolve()):
        place.unlink(missing_ok=True)
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(root.resolve())
    if not tracked(place) and not ignored(place):
        ignore(place)


def tracked(place: Path) -> bool:
    """Whether git has files of that folder."""
    return bool(git.ask(Path(), "ls-files", "--", str(place)))


def ignored(place: Path) -> bool:
    """Whether git ignores that folder or link."""
    kinds = ["--others", "--ignored", "--exclude-standard", "--directory"]
    return bool(git.ask(Path(), "ls-files", *kinds, "--", str(place)))


def ignore(place: Path) -> None:
    """Adds the folder to the .gitignore beside it, as dvc add does."""
    file, line = place.parent / ".gitignore", f"/{place.name}\n"
    before = file.read_text() if file.exists() else ""
    if line not in before.splitlines(keepends=True):
        files.write(file, f"{before}{'' if not before or before.endswith(chr(10)) else chr(10)}{line}".encode())


def to_share(place: Path, written: Sequence[Path]) -> list[str]:
    """What to type so that a second clone and CI have the pictures; `written` is what git is to keep beside them."""
    add = " ".join(["git add params.yaml", *map(str, written)])
    if tracked(place):
        return [f"{add} && git commit   # git has the pictures already"]
    commit = f"{add} {place.parent / '.gitignore'}"
    add = f"dvc add {place}"
    if place.is_symlink():
        add = f"rm {place} && dvc add {shlex.quote(str(place.resolve()))} --out {place}   # copies them here"
    return [
        add,
        f"{commit} {place}.dvc && git commit",
        "dvc push   # needs a remote: dvc remote add --default NAME PLACE",
        f"dvc pull {place}.dvc   # in a second clone and in CI",
    ]
