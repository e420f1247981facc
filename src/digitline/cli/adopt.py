"""digitline adopt: makes a folder of pictures, or a table that lists pictures, a data set of params.yaml."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.config import adoption, own, params, paths, placing
from digitline.config.params import Params
from digitline.data import dataset, expectations, intake, margins, pictures, survey
from digitline.data.dataset import Rows, shape
from digitline.data.intake import Seen, Sides
from digitline.data.survey import Found, Left, Picture
from digitline.draw import charts, found

SCRATCH = paths.ADOPTED.with_name("surveyed.safetensors")  # all images, before it is known which are for testing
PAGES = paths.REPORTS / "adopted"
PAIRS = 60  # of images that look alike, on the page
LISTED = 12  # classes that the terminal shows

Table = list[list[Any]]


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
) -> None:
    """Surveys the pictures; writes the manifest, the entry of params.yaml, a page and sixteen images."""
    given = survey_of(Path(source), pictures)
    names = named(given.root, name or re.sub(r"[^A-Za-z0-9_-]+", "-", Path(source).resolve().stem))
    adoption.free(params.FILE, names.name, replace=replace)
    seen = complete(intake.looked_at(given), names, drop_damaged=drop_damaged, given=given)
    image = intake.shape(seen.forms, sides(size), grey=grey)
    try:
        whole, images = intake.decoded(SCRATCH, given.root, seen, image, fit)
        whole = complete(whole, names, drop_damaged=drop_damaged, given=given)
        settled, remark = survey.settled(whole.pictures)
        survey.usable(settled, given.root)
        sided = intake.sided(settled, images, share=share(test), keep_together=keep_together)
        survey.usable(sided.pictures, given.root)
        placing.ready(names.pictures, given.root)
        write(names, whole, sided, images, {"image": image._asdict(), "preparation": fit})
        report(names, whole, sided, images, [remark] if remark else [])
    finally:
        SCRATCH.unlink(missing_ok=True)
    finish(names, use=use)


def survey_of(source: Path, folder: str | None) -> Found:
    """What a folder or a table holds."""
    if source.is_dir():
        if folder:
            raise InputError(f"--pictures is for a table of paths, but {source} is a folder")
        return survey.folder(source)
    if not source.exists():
        raise InputError(f"there is no {source}; give a folder of pictures, or a CSV or Parquet table of their paths")
    return survey.table(source, Path(folder) if folder else source.parent)


def named(root: Path, name: str) -> Names:
    """The places of a data set of that name."""
    manifest = placing.DATA / f"{name}.csv"
    return Names(name, placing.placed(root, name), manifest, pictures.left_out(manifest), PAGES / name)


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
        files.write_csv(names.left_out, [Left._fields, *seen.damaged, *seen.others])
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
    image = shape(images)
    lines = intake.lines(sided.pictures, seen.forms)
    pictures.keep(names.manifest, lines)
    left = [*seen.damaged, *seen.others]
    files.write_csv(names.left_out, [Left._fields, *left]) if left else names.left_out.unlink(missing_ok=True)
    classes, place = survey.classes(sided.pictures), {line.path: number for number, line in enumerate(lines)}
    pictures.write(paths.ADOPTED, lines, classes, image, lambda some: (images[[place[line.path]]][0] for line in some))
    training = sum(line.split == "train" for line in lines)
    asked = adoption.validation(training, len(classes))
    held = dataset.divide(paths.ADOPTED, validation=asked, seed=adoption.SEED).validation.labels
    described = {
        "classes": classes,
        **form,
        "source": {
            "manifest": names.manifest.as_posix(),
            "pictures": names.pictures.as_posix(),
            "sha256": digest(paths.ADOPTED),
        },
        "bounds": margins.measured(expectations.features(dataset.load(paths.ADOPTED))),
    }
    adoption.add(params.FILE, names.name, described, adoption.sections(image, training, asked, held))


def report(names: Names, seen: Seen, sided: Sides, images: Rows, remarks: list[str]) -> None:
    """Prints what was found and writes it as a page, with sixteen of the images."""
    image = shape(images)
    tables = {
        "Classes": counted(sided.pictures),
        "Sizes": tallied("height x width", (f"{form.height}x{form.width}" for form in seen.forms)),
        "Modes": tallied("mode", (form.mode for form in seen.forms)),
        "Remarks": tallied("remark", (remark for form in seen.forms for remark in form.remarks)),
        "Left out": [["path", "why"], *map(list, [*seen.damaged, *seen.others])],
    }
    kind = "grey" if image.channels == 1 else "colour"
    of = f"{len(sided.pictures):,} pictures of {len(tables['Classes']) - 1} classes"
    notes = [
        f"{of}, as {kind} images of {image.height}x{image.width} (height x width)",
        *remarks,
        *sided.notes,
        *left_out(seen, names),
    ]
    spare = tables | {"Classes": shortened(tables["Classes"])}
    print(
        "\n\n".join(["\n".join(notes), *(aligned(lines[: LISTED + 1]) for lines in spare.values() if len(lines) > 1)])
    )
    drawn(names.page, sided, images, found.page(names.name, notes, tables, pairs(sided, images)))


def drawn(folder: Path, sided: Sides, images: Rows, text: str) -> None:
    """Writes the page and the sixteen images."""
    shutil.rmtree(folder, ignore_errors=True)
    labels = [picture.label for picture in sided.pictures]
    shown = found.spread(labels)
    files.write(folder / "sheet.png", charts.png(found.sheet(images[shown], [labels[place] for place in shown])))
    files.write(folder / "index.html", text.encode())
    print(f"\nsixteen of the images: {folder / 'sheet.png'}\neverything found:      {folder / 'index.html'}")


def pairs(sided: Sides, images: Rows) -> list[found.Pair]:
    """The first pairs of a test and a training picture that look alike."""
    return [
        found.Pair(sided.pictures[test].path, sided.pictures[train].path, images[[test, train]])
        for test, train in sided.pairs[:PAIRS]
    ]


def left_out(seen: Seen, names: Names) -> list[str]:
    """How many files are left out and where they are listed."""
    counts = {"damaged pictures": len(seen.damaged), "other files": len(seen.others)}
    told = ", ".join(f"{what}: {count:,}" for what, count in counts.items() if count)
    return [f"left out, and listed in {names.left_out}: {told}"] if told else []


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


def tallied(title: str, values: Iterable[str]) -> Table:
    """How often each value occurs, the most frequent first."""
    return [[title, "pictures"], *(list(pair) for pair in Counter(values).most_common())]


def aligned(lines: Table) -> str:
    """A table in columns."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def finish(names: Names, *, use: bool) -> None:
    """Puts the data set to use if asked to, and says what to type next."""
    if use:
        print(own.use(params.FILE, names.name))
    print("\nto train on it:")
    for line in ([] if use else [f"digitline use {names.name}"]) + ["dvc repro"]:
        print(f"  {line}")
    print("\nto share it, so that a second clone and CI have the pictures:")
    for line in placing.to_share(names.pictures, names.manifest):
        print(f"  {line}")
    print("or, where the pictures are at hand already, name their folder:\n  export DIGITLINE_DATA=FOLDER")
