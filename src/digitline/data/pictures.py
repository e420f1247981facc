"""Pictures listed in a manifest: its lines, and the data set's file, which all cores fill."""

import csv
import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.base.slots import Pool, cores
from digitline.data import prepare
from digitline.data.dataset import Bytes, Part, mapped, sizes, writing
from digitline.data.entry import Preparation, Sha256, Shape

SPLITS = ("train", "test")
WORK = 64  # pictures that a thread takes at a time

Given = TypeVar("Given")
Made = TypeVar("Made")


class Line(NamedTuple):
    """A line of the manifest; the manifest's order is the order of the images."""

    path: str  # of the picture, from the folder of pictures
    label: str
    split: str
    group: str  # of pictures that stay on one side of a split; empty for a picture of its own
    sha256: str  # of the picture's file


def fetch(
    path: Path,
    classes: list[str],
    image: Shape,
    preparation: Preparation,
    *,
    folder: str | None = None,
    decoded: Path | None = None,
    name: str,
    manifest: str,
    pictures: str,
    sha256: Sha256,
) -> None:
    """Writes the pictures of a manifest as the data set's file, whose SHA-256 must be `sha256`.

    `folder` has the pictures instead of `pictures`. `decoded` may be that file already; then it is moved. InputError
    names a picture that is missing or has changed.
    """
    if decoded and decoded.exists() and digest(decoded) == sha256:
        decoded.replace(path)
        return
    lines = read(Path(manifest), classes)
    root = Path(folder or pictures)
    present(root, lines, manifest)
    images = Images(root, image, preparation)
    write(path, lines, classes, image, lambda some: on_all_cores(images.of, some, "decoding"))
    if (found := digest(path)) != sha256:
        path.unlink()
        raise InputError(
            f"the pictures of {manifest} give a data set with SHA-256 {found}, but datasets.{name}.source.sha256 is "
            f"{sha256}: the manifest, classes, image or preparation was edited; run digitline adopt again"
        )


class Images(NamedTuple):
    """The images of a manifest's lines, each decoded when it is asked for."""

    root: Path
    image: Shape
    preparation: Preparation

    def of(self, line: Line) -> Bytes:
        """InputError if the picture is not the one of the manifest."""
        path = self.root / line.path
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != line.sha256:
            raise InputError(f"{path} has changed since it was adopted; restore it with dvc checkout, or {AGAIN}")
        try:
            return prepare.image(data, self.image, self.preparation)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


AGAIN = "run digitline adopt again"


def read(path: Path, classes: Sequence[str]) -> list[Line]:
    """The lines of a manifest; InputError names one that cannot be used."""
    if not path.exists():
        raise InputError(f"there is no manifest {path}; restore it with git checkout, or {AGAIN}")
    with path.open(newline="", encoding="utf-8") as file:
        head, *found = list(csv.reader(file)) or [[]]
    if head != list(Line._fields):
        raise InputError(f"{path} begins with {','.join(head)!r}, expected {','.join(Line._fields)}")
    for number, values in enumerate(found, 2):
        wrong = amiss(values, classes)
        if wrong:
            raise InputError(f"{path}, line {number}: {wrong}")
    return [Line(*values) for values in found]


def amiss(values: list[str], classes: Sequence[str]) -> str:
    """What is wrong with a line, if anything is."""
    if len(values) != len(Line._fields):
        return f"{len(values)} values, expected {len(Line._fields)}"
    line = Line(*values)
    if line.label not in classes:
        return f"the label {line.label!r} is none of the classes of the data set"
    if line.split not in SPLITS:
        return f"the split is {line.split!r}, expected {' or '.join(SPLITS)}"
    if Path(line.path).is_absolute() or ".." in Path(line.path).parts:
        return f"the path {line.path} leads out of the folder of pictures"
    return ""


def keep(path: Path, lines: Iterable[Line]) -> None:
    """Writes a manifest."""
    files.write_csv(path, [Line._fields, *lines])


def left_out(manifest: Path) -> Path:
    """The file beside a manifest that lists what was left out, if anything was."""
    return manifest.with_suffix(".left-out.csv")


def read_left_out(manifest: Path) -> list[dict[str, str]]:
    """What that file lists: the path of each file that was left out, and why."""
    path = left_out(manifest)
    return [{"path": where, "why": why} for where, why in files.read_csv(path)] if path.exists() else []


def present(root: Path, lines: Sequence[Line], manifest: str) -> None:
    """InputError if pictures are missing."""
    missing = [line.path for line in lines if not (root / line.path).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(lines)} pictures of {manifest} are missing, first {root / missing[0]}; "
            f"run dvc pull, name their folder in DIGITLINE_DATA, or {AGAIN}"
        )


def write(
    path: Path,
    lines: Sequence[Line],
    classes: Sequence[str],
    image: Shape,
    images: Callable[[Sequence[Line]], Iterable[Bytes]],
) -> None:
    """Fills the data set's file: each split's images and labels in the lines' order, and the groups of training."""
    of = {split: [line for line in lines if line.split == split] for split in SPLITS}
    number = {label: place for place, label in enumerate(classes)}
    forms: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for split, chosen in of.items():
        forms[f"{split}_images"] = (np.uint8, sizes(len(chosen), image))
        forms[f"{split}_labels"] = (np.uint8, (len(chosen),))
    if any(line.group for line in of["train"]):
        forms["train_groups"] = (np.uint32, (len(of["train"]),))
    with writing(path, forms) as arrays:
        for split, chosen in of.items():
            arrays[f"{split}_labels"][:] = [number[line.label] for line in chosen]
            for place, pixels in enumerate(images(chosen)):
                arrays[f"{split}_images"][place] = pixels
        if "train_groups" in forms:
            arrays["train_groups"][:] = numbered([line.group for line in of["train"]])


def numbered(groups: Sequence[str]) -> NDArray[np.uint32]:
    """The groups as numbers; each picture without a group is a group of its own."""
    names = {name: place for place, name in enumerate(sorted({*groups} - {""}))}
    own = iter(range(len(names), len(names) + len(groups)))
    return np.array([names[name] if name else next(own) for name in groups], np.uint32)


def with_corrections(path: Path, corrections: Part) -> None:
    """Adds corrections to a data set's file."""
    added = {f"corrections_{field}": array for field, array in corrections._asdict().items()}
    arrays = mapped(path) | added
    with writing(path, {name: (array.dtype, array.shape) for name, array in arrays.items()}) as places:
        for name, array in arrays.items():
            places[name][...] = array


def on_all_cores(work: Callable[[Given], Made], given: Sequence[Given], what: str) -> Iterator[Made]:
    """The results in order; Pillow decodes without Python's lock, so threads suffice. Few are in memory at once."""
    with (
        Pool() as pool,
        tqdm(desc=what, total=len(given), unit=" pictures", leave=False, disable=None) as bar,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata; what is too large is refused
        for some in slices(given, cores() * WORK):
            for made in pool.map(lambda few: [work(one) for one in few], slices(some, WORK)):
                yield from made
                bar.update(len(made))


def slices(given: Sequence[Given], size: int) -> Iterator[Sequence[Given]]:
    """Parts of at most that many."""
    for start in range(0, len(given), size):
        yield given[start : start + size]
