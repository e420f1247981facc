"""digitline adopt: makes a folder of pictures, or a table that lists pictures, a data set of params.yaml."""

import hashlib
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.config import adoption, own, params, paths, placing
from digitline.config.params import Params
from digitline.data import dataset, expectations, idx, intake, likeness, margins, pictures, quartet, survey
from digitline.data.dataset import Bytes, Rows, shape
from digitline.data.intake import Seen, Sides
from digitline.data.pictures import Line
from digitline.data.survey import Found, Left, Picture
from digitline.draw import charts, found
from digitline.report import inventory

SCRATCH = paths.ADOPTED.with_name("surveyed.safetensors")  # all images, before it is known which are for testing
PAGES = paths.REPORTS / "adopted"
PAIRS = 60  # of images that look alike, on the page


class Names(NamedTuple):
    """Where what belongs to the data set is."""

    name: str
    pictures: Path
    manifest: Path
    left_out: Path
    page: Path


def adopt(
    _: Params,
    *,
    source: str,
    name: str | None = None,
    pictures: str | None = None,
    size: str | None = None,
    grey: bool = False,
    fit: Literal["letterbox", "crop"] = "letterbox",
    test: float = 0.2,
    keep_together: bool = False,
    drop_damaged: bool = False,
    replace: bool = False,
    use: bool = False,
    transpose: bool = False,
    first_label: int | None = None,
) -> None:
    """Surveys the pictures; writes the manifest, the entry of params.yaml, a page and sixteen images."""
    of_idx = Path(source).is_dir() and quartet.holds(Path(source))
    of_pictures = {"--size": size, "--grey": grey, "--keep-together": keep_together, "--drop-damaged": drop_damaged}
    fitting(source, of_pictures if of_idx else {"--transpose": transpose, "--first-label": first_label}, idx=of_idx)
    if of_idx:
        adopt_idx(Path(source), name, replace=replace, use=use, transpose=transpose, first_label=first_label)
        return
    given = survey_of(Path(source), pictures)
    names = named(given.root, name or stem(Path(source)))
    adoption.free(params.FILE, names.name, replace=replace)
    seen = complete(intake.looked_at(given), names, drop_damaged=drop_damaged, given=given)
    image = intake.shape(seen.forms, sides(size), grey=grey)
    try:
        whole, images = intake.decoded(SCRATCH, given.root, seen, image, fit)
        whole = complete(whole, names, drop_damaged=drop_damaged, given=given)
        sided, remarks = halves(whole, images, given.root, share(test), keep_together=keep_together)
        placing.ready(names.pictures, given.root)
        write(names, whole, sided, images, {"image": image._asdict(), "preparation": fit, "outliers": "none"})
        report(names, whole, sided, images, remarks)
    finally:
        SCRATCH.unlink(missing_ok=True)
    finish(names, use=use)


def halves(seen: Seen, images: Rows, root: Path, test: float, *, keep_together: bool) -> tuple[Sides, list[str]]:
    """The pictures' sides, and what became of a validation folder; InputError if a class is not on both."""
    settled, remark = survey.settled(seen.pictures)
    survey.usable(settled, root)
    sided = intake.sided(settled, images, share=test, keep_together=keep_together)
    survey.usable(sided.pictures, root)
    return sided, [remark] if remark else []


def adopt_idx(
    folder: Path, name: str | None, *, replace: bool, use: bool, transpose: bool, first_label: int | None
) -> None:
    """The same for a folder of IDX files, which has no manifest: their digests are in the entry."""
    names = named(folder, name, anywhere=False)
    adoption.free(params.FILE, names.name, replace=replace)
    found = quartet.found(folder, transpose=transpose, first_label=first_label)
    turned = {"transpose": True} if transpose else {}
    first = {"first_label": found.first_label} if found.first_label else {}
    read = idx.dataset(found.files, len(found.classes), found.image, transpose=transpose, first_label=found.first_label)
    dataset.save(read, SCRATCH)
    try:
        data = dataset.load(SCRATCH)
        images = dataset.joined(*data).images
        listed = [
            Picture(f"{split} {place}", found.classes[label], split)
            for split, part in data._asdict().items()
            for place, label in enumerate(part.labels.tolist())
        ]
        survey.usable(listed, folder)
        sided = intake.sided(listed, images, share=0, keep_together=False)
        placing.ready(names.pictures, folder)
        files_of = {file.name: hashlib.sha256(file.content).hexdigest() for file in found.files}
        form = {"image": found.image._asdict(), "preparation": "letterbox", "outliers": "none"}
        enter(names, found.classes, form, {"files": files_of, **turned, **first}, SCRATCH)
        seen = Seen(listed, [], [], [Left(other, "is not an IDX file") for other in found.others])
        keep_left_out(names, seen)
        report(names, seen, sided, images, [])
    finally:
        SCRATCH.unlink(missing_ok=True)
    finish(names, use=use)


def fitting(source: str, options: Mapping[str, Any], *, idx: bool) -> None:
    """InputError if an option is given that is for data of the other kind."""
    for option, value in options.items():
        if value is not None and value is not False:
            raise InputError(
                f"{option} is for pictures, but {source} has IDX files"
                if idx
                else f"{option} is for a folder of IDX files, but {source} has none"
            )


def survey_of(source: Path, folder: str | None) -> Found:
    """What a folder or a table holds."""
    if source.is_dir():
        if folder:
            raise InputError(f"--pictures is for a table of paths, but {source} is a folder")
        return survey.folder(source)
    if not source.exists():
        raise InputError(f"there is no {source}; give a folder of pictures, or a CSV or Parquet table of their paths")
    return survey.table(source, Path(folder) if folder else source.parent)


def named(root: Path, name: str | None, *, anywhere: bool = True) -> Names:
    """The places of a data set of that name, or of the folder's."""
    name = name or stem(root)
    manifest = placing.DATA / f"{name}.csv"
    return Names(
        name, placing.placed(root, name, anywhere=anywhere), manifest, pictures.left_out(manifest), PAGES / name
    )


def stem(source: Path) -> str:
    """A name for the data set from that of the folder or table, without the accents of its letters."""
    letters = unicodedata.normalize("NFKD", source.resolve().stem)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain)


def sides(text: str | None) -> tuple[int, int] | None:
    """--size as height and width: 64, or 48x64."""
    if text is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text)):
        raise InputError(f"--size is {text!r}, expected a number of pixels like 64, or height x width like 48x64")
    return int(found[1]), int(found[2] or found[1])


def share(test: float) -> float:
    """--test, the share of pictures for testing."""
    if not 0 < test < 1:
        raise InputError(f"--test is {test:g}, expected a share between 0 and 1")
    return test


def complete(seen: Seen, names: Names, *, drop_damaged: bool, given: Found) -> Seen:
    """InputError if pictures cannot be read, unless they are to be left out, or if a class has none left."""
    if seen.damaged and not drop_damaged:
        keep_left_out(names, seen)
        first = seen.damaged[0]
        raise InputError(
            f"{len(seen.damaged):,} of {len(given.pictures):,} pictures cannot be used, first {first.path}: "
            f"{first.why}; {names.left_out} lists them; repair or delete them, or add --drop-damaged, which leaves "
            "them out"
        )
    for label in survey.classes(given.pictures):
        if all(picture.label != label for picture in seen.pictures):
            raise InputError(f"the class {label} of {given.root} has no picture that can be used")
    return seen


def write(names: Names, seen: Seen, sided: Sides, images: Rows, form: dict[str, Any]) -> None:
    """Writes the manifest, the decoded data set, the list of what is left out, and the entry."""
    lines = intake.lines(sided.pictures, seen.forms)
    pictures.keep(names.manifest, lines)
    keep_left_out(names, seen)
    classes, place = survey.classes(sided.pictures), {line.path: number for number, line in enumerate(lines)}

    def rows(some: Sequence[Line]) -> Iterable[Bytes]:
        return (images[[place[line.path]]][0] for line in some)

    pictures.write(paths.ADOPTED, lines, classes, shape(images), rows)
    described = {"manifest": names.manifest.as_posix(), "pictures": names.pictures.as_posix()}
    enter(names, classes, form, described | {"sha256": digest(paths.ADOPTED)}, paths.ADOPTED)


def keep_left_out(names: Names, seen: Seen) -> None:
    """Writes the list of what is left out, if anything is."""
    if left := [*seen.damaged, *seen.others]:
        files.write_csv(names.left_out, [Left._fields, *left])
    else:
        names.left_out.unlink(missing_ok=True)


def enter(names: Names, classes: list[str], form: dict[str, Any], source: dict[str, Any], path: Path) -> None:
    """Writes the entry; `path` is the data set's file."""
    data = dataset.load(path)
    training = len(data.train.labels)
    asked = adoption.validation(training, len(classes))
    held = dataset.divide(path, validation=asked, seed=adoption.SEED).validation.labels
    bounds = margins.measured(expectations.features(data))
    described = {"classes": classes, **form, "source": source, "bounds": bounds}
    sections = adoption.sections(dataset.shape(data.train.images), training, asked, held)
    adoption.add(params.FILE, names.name, described, sections)


def report(names: Names, seen: Seen, sided: Sides, images: Rows, remarks: list[str]) -> None:
    """Prints what was found and writes it as a page, with sixteen of the images."""
    tables = inventory.tables(seen, sided, torn(sided, images))
    notes = inventory.notes(seen, sided, shape(images), remarks, names.left_out)
    print(inventory.text(notes, tables))
    drawn(names.page, sided, images, found.page(names.name, notes, tables, pairs(sided, images)))


def drawn(folder: Path, sided: Sides, images: Rows, text: str) -> None:
    """Writes the page and the sixteen images."""
    shutil.rmtree(folder, ignore_errors=True)
    classes = survey.classes(sided.pictures)
    drawable = dict(zip(classes, charts.labels(classes), strict=True))
    shown = found.spread([picture.label for picture in sided.pictures])
    labels = [drawable[picture.label] for picture in sided.pictures]
    files.write(folder / "sheet.png", charts.png(found.sheet(images[shown], [labels[place] for place in shown])))
    files.write(folder / "index.html", text.encode())
    print(f"\nsixteen of the images: {folder / 'sheet.png'}\neverything found:      {folder / 'index.html'}")


def torn(sided: Sides, images: Rows) -> list[tuple[Picture, Picture]]:
    """The pictures with the same pixels as an earlier one of another class, and that one."""
    firsts = [sided.pictures[place] for place in likeness.identities(images).tolist()]
    return [(later, first) for later, first in zip(sided.pictures, firsts, strict=True) if later.label != first.label]


def pairs(sided: Sides, images: Rows) -> list[found.Pair]:
    """The first pairs of a test and a training picture that look alike."""
    return [
        found.Pair(sided.pictures[test].path, sided.pictures[train].path, images[[test, train]])
        for test, train in sided.pairs[:PAIRS]
    ]


def finish(names: Names, *, use: bool) -> None:
    """Puts the data set to use if asked to, and says what to type next."""
    if use:
        print(own.use(params.FILE, names.name))
    in_use = params.loaded(params.text(params.FILE), params.FILE).dataset == names.name
    print("\nto train on it:")
    for line in ([] if in_use else [f"digitline use {names.name}"]) + ["dvc repro"]:
        print(f"  {line}")
    print("\nto share it, so that a second clone and CI have the pictures:")
    written = [path for path in (names.manifest, names.left_out) if path.exists()]
    for line in placing.to_share(names.pictures, written):
        print(f"  {line}")
    print("or, where the pictures are at hand already, name their folder:\n  export DIGITLINE_DATA=FOLDER")
