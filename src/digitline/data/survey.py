"""What a folder of pictures, or a table that lists pictures, holds: paths, classes, splits, and each picture's form."""

import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ExifTags

from digitline.base.errors import InputError
from digitline.data import prepare

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif"}
SUFFIXES |= {".avif", ".jp2", ".jxl"}  # of pictures, those that cannot be read included
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLITS |= dict.fromkeys(["val", "valid", "validation"], "val")
COLUMNS = ("path", "label", "split", "group")  # of a table; the last two are optional
MOST = 256  # classes, because a label is a byte
GREY = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"}  # modes


class Picture(NamedTuple):
    path: str  # from the folder of pictures
    label: str
    split: str = ""  # train, test or val; empty where nothing says so
    group: str = ""


class Left(NamedTuple):
    """A file that is left out."""

    path: str
    why: str


class Found(NamedTuple):
    """What a folder or table names."""

    root: Path
    pictures: list[Picture]
    left_out: list[Left]
    table: bool = False  # whether a table lists them


class Form(NamedTuple):
    """What a picture's file says of itself."""

    sha256: str
    height: int  # upright
    width: int
    mode: str  # of Pillow
    remarks: tuple[str, ...]  # animated, turned by EXIF, ...


def folder(root: Path) -> Found:
    """The pictures of a folder in the order of their paths: CLASS/… or SPLIT/CLASS/…, as torchvision's ImageFolder."""
    files = sorted(walked(root))
    depth = 1 if splits_on_top(root) else 0
    pictures, left_out = [], []
    for path in files:
        parts = path.split("/")
        if any(part.startswith(".") for part in parts):
            left_out.append(Left(path, "is hidden"))
        elif len(parts) < depth + 2:
            left_out.append(Left(path, "lies in no folder of a class"))
        else:
            pictures.append(Picture(path, parts[depth], SPLITS[parts[0].lower()] if depth else ""))
    filled(root, pictures, depth)
    return Found(root, pictures, left_out)


def splits_on_top(root: Path) -> bool:
    """Whether the folders in it are those of splits and not of classes."""
    names = {path.name.lower() for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return "train" in {SPLITS.get(name) for name in names} and names <= set(SPLITS)


def filled(root: Path, pictures: Iterable[Picture], depth: int) -> None:
    """InputError if there is no class, or if the folder of one is empty."""
    found = {picture.path.rsplit("/", 1)[0] for picture in pictures}
    named = sorted(
        path.relative_to(root).as_posix()
        for path in root.glob("/".join(["*"] * (depth + 1)))
        if path.is_dir() and not path.name.startswith(".")
    )
    if not named:
        raise InputError(f"{root} has no folders, expected one for each class, or train and test with those in them")
    for name in named:
        if not any(one == name or one.startswith(f"{name}/") for one in found):
            raise InputError(f"the folder {root / name} has no pictures; fill it or delete it")


def walked(root: Path) -> Iterator[str]:
    """The paths of all files in a folder, and of hidden folders, which are not looked into.

    InputError if a link leads out of it or a name cannot be written down.
    """
    inside = root.resolve()
    for place, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(place, name)
            written(path)
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(inside)):
                raise InputError(f"{path} is a symbolic link to {path.resolve()}; put a copy in its place")
        hidden = [name for name in folders if name.startswith(".")]
        folders[:] = [name for name in folders if name not in hidden]
        yield from (Path(place, name).relative_to(root).as_posix() for name in [*files, *hidden])


def written(path: Path) -> None:
    """InputError if a name is not UTF-8, and so can stand in no manifest."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"the name {os.fsencode(path)!r} is not UTF-8; rename the file or folder") from None


def table(path: Path, root: Path) -> Found:
    """The pictures that a CSV or Parquet table lists, in its order; the paths in it start at root."""
    lines = list(rows(path))
    pictures: dict[str, Picture] = {}
    for number, line in enumerate(lines, 2):
        one = Picture(**{key: text(line.get(key)) for key in COLUMNS})
        where = f"{path}, line {number}"
        if not one.path or not one.label:
            raise InputError(f"{where}: {'label' if one.path else 'path'} is empty")
        if one.split and one.split.lower() not in SPLITS:
            raise InputError(f"{where}: the split is {one.split!r}, expected train, test or val")
        one = one._replace(path=within(where, one.path, root), split=SPLITS.get(one.split.lower(), ""))
        if one.path in pictures:
            raise InputError(f"{where}: {one.path} is listed twice")
        pictures[one.path] = one
    if not pictures:
        raise InputError(f"{path} lists no pictures")
    if len({bool(one.split) for one in pictures.values()}) > 1:
        raise InputError(f"{path} gives a split for some pictures only, expected one for all or none")
    return Found(root, list(pictures.values()), unlisted(root, pictures), table=True)


def text(value: Any) -> str:
    """A value of a table; numbers are labels too."""
    return "" if value is None else str(value).strip()


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a table by column; InputError if it cannot be read or lacks a column."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            import pandas as pd

            frame = pd.read_parquet(path)
            found, names = frame.astype(object).where(frame.notna(), "").to_dict("records"), list(frame.columns)
        else:
            text = path.read_text(encoding="utf-8-sig")
            head = text.partition("\n")[0]
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
            found, names = list(reader), list(reader.fieldnames or [])
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    for name in COLUMNS[:2]:
        if name not in names:
            raise InputError(f"{path} has the columns {', '.join(map(str, names))}, expected {name} among them")
    yield from found


def within(where: str, name: str, root: Path) -> str:
    """A path of a table, from root; InputError if it leads out of it."""
    path = Path(os.path.normpath(root / name))
    top = Path(os.path.normpath(root))
    if not path.is_relative_to(top):
        raise InputError(f"{where}: {name} leads out of {root}; name the folder of all pictures with --pictures")
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path} is a symbolic link to {path.resolve()}; put a copy in its place")
    return path.relative_to(top).as_posix()


def unlisted(root: Path, pictures: dict[str, Picture]) -> list[Left]:
    """The pictures that lie beside listed ones and are not listed themselves."""
    places = sorted({Path(path).parent.as_posix() for path in pictures})
    beside = [path.relative_to(root).as_posix() for place in places for path in sorted((root / place).glob("*"))]
    return [
        Left(path, "is not listed") for path in beside if path not in pictures and Path(path).suffix.lower() in SUFFIXES
    ]


def form(path: Path) -> Form | str:
    """What a picture's file says of itself, or why it cannot be read; nothing is decoded."""
    try:
        data = path.read_bytes()
        with prepare.refusals():
            picture = prepare.undecoded(data)
            known = picture.format != "PNG" or "exif" in picture.info  # else Pillow would decode the PNG to look for it
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1) if known else 1
            several = getattr(picture, "is_animated", False) and picture.format != "MPO"  # a camera's preview
    except FileNotFoundError:
        return "there is no such file"
    except (InputError, OSError) as error:
        return str(error)
    width, height = picture.size if orientation not in (5, 6, 7, 8) else picture.size[::-1]
    remarks = {
        "animated: the first frame is used": several,
        "turned as EXIF says": orientation in prepare.TURNS,
        "colours brought to sRGB": bool(picture.info.get("icc_profile")),
        "transparent: on white": picture.has_transparency_data,
    }
    told = tuple(remark for remark, holds in remarks.items() if holds)
    return Form(hashlib.sha256(data).hexdigest(), height, width, picture.mode, told)


def classes(pictures: Iterable[Picture]) -> list[str]:
    """The classes' names, sorted: numbers by size."""
    names = {picture.label for picture in pictures}
    if all(name.isascii() and name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def settled(pictures: Sequence[Picture]) -> tuple[list[Picture], str]:
    """The pictures with train, test or no split, and what was made of the validation part, if there is one."""
    names = {picture.split for picture in pictures}
    if "val" not in names:
        return list(pictures), ""
    to = "train" if "test" in names else "test"
    remark = {
        "train": "the validation pictures join the training pictures; split.validation holds out its own",
        "test": "the validation pictures are the test pictures; split.validation holds out its own",
    }[to]
    return [one._replace(split=to) if one.split == "val" else one for one in pictures], remark


def usable(pictures: Sequence[Picture], where: Path) -> None:
    """InputError unless there are 2 to 256 classes, each with enough pictures in every split."""
    names = classes(pictures)
    if not 2 <= len(names) <= MOST:
        raise InputError(f"{where} has {len(names)} class{'es' * (len(names) != 1)}, expected 2 to {MOST}")
    counts = Counter((picture.label, picture.split) for picture in pictures)
    splits = sorted({picture.split for picture in pictures})
    for name in names:
        found = {split: counts[name, split] for split in splits}
        if splits == [""] and found[""] < 2:
            raise InputError(f"the class {name} of {where} has one picture, expected at least two: one is for testing")
        if splits == ["test", "train"] and not found["train"]:
            raise InputError(f"the class {name} of {where} is in test ({found['test']}) and never in training")
        if splits == ["test", "train"] and not found["test"]:
            raise InputError(f"the class {name} of {where} is in training ({found['train']}) and never in test")
