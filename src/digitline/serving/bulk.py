"""Answers a folder of pictures: a row a file, appended to a draft, from which a later run goes on."""

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow
from pyarrow import parquet
from tqdm import tqdm

from digitline.base.errors import InputError
from digitline.base.slots import cores
from digitline.data import prepare
from digitline.data.entry import Preparation, Shape
from digitline.data.prepare import Seen
from digitline.measure.uncertainty import entropy
from digitline.serving.runtime import Run

AT_ONCE = 256  # pictures whose pixels are in memory; an interrupted run answers so many again at most
ABOUT = {"path": pa.string(), "label": pa.string(), "probability": pa.float32(), "doubtful": pa.bool_()}
ABOUT["error"] = pa.string()

Row = list[object]


class Answering(NamedTuple):
    """The model in its runtime, and what its card says."""

    run: Run
    shape: Shape
    preparation: Preparation
    classes: list[str]
    doubt_above: float


def columns(classes: Sequence[str]) -> dict[str, pa.DataType]:
    """The columns of an answer: about the picture, then the probability of each class."""
    return {**ABOUT, **{f"p_{name}": pa.float32() for name in classes}}


def pictures(folder: Path) -> list[str]:
    """The paths of all files in the folder and below, sorted; without those whose names begin with a dot."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [str(Path(place, name).relative_to(folder)) for name in names if not name.startswith(".")]
    return sorted(found)


def answer(answering: Answering, folder: Path, paths: Sequence[str], draft: Path) -> None:
    """Appends to the draft a row for each picture that it does not have yet."""
    begin(draft, answering.classes)
    done = {path for path, *_ in read(draft)}
    left = [path for path in paths if line(path) not in done]
    with (
        draft.open("a", newline="", encoding="utf-8") as file,
        ThreadPoolExecutor(cores()) as pool,
        tqdm(total=len(paths), initial=len(paths) - len(left), unit=" pictures", disable=None) as bar,
    ):
        for start in range(0, len(left), AT_ONCE):
            some = left[start : start + AT_ONCE]
            images = list(pool.map(lambda path: pixels(answering, folder / path), some))
            csv.writer(file, lineterminator="\n").writerows(rows(answering, some, images))
            file.flush()
            bar.update(len(some))


def begin(draft: Path, classes: Sequence[str]) -> None:
    """Starts the draft with its header, or cuts off the line at which an earlier run ended."""
    if draft.exists():
        with draft.open("rb") as file:
            whole = sum(len(one) for one in file if one.endswith(b"\n"))
        os.truncate(draft, whole)
    if not draft.exists() or not whole:
        with draft.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(columns(classes))


def read(draft: Path) -> Iterator[list[str]]:
    """The rows of the draft."""
    with draft.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        yield from lines


def pixels(answering: Answering, path: Path) -> Seen | str:
    """The model's image of a picture, or why there is none."""
    if not path.is_file():
        return "it is not a file"
    try:
        with path.open("rb") as file:
            data = file.read(prepare.MAX_BYTES + 1)  # a larger one is refused
        seen = prepare.seen(data, answering.shape, answering.preparation)
    except InputError as error:
        return str(error)
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    return "the picture is blank" if answering.preparation == "mnist" and not seen.image.any() else seen


def rows(answering: Answering, paths: Sequence[str], images: Sequence[Seen | str]) -> Iterator[Row]:
    """The answer to each picture, in their order."""
    readable = [seen for seen in images if not isinstance(seen, str)]
    shares = (
        answering.run(np.stack([seen.image for seen in readable]))
        if readable
        else np.empty((0, len(answering.classes)), np.float32)
    )
    unclear = np.array([not seen.sure for seen in readable], bool)
    answers = zip(shares, (entropy(shares) > answering.doubt_above) | unclear, strict=True)
    for path, image in zip(paths, images, strict=True):
        if isinstance(image, str):
            yield [line(path), "", "", "", line(image), *[""] * len(answering.classes)]
        else:
            each, doubtful = next(answers)
            best = int(each.argmax())
            yield [line(path), answering.classes[best], each[best], doubtful, "", *each]


def line(text: str) -> str:
    """The text on one line, and in UTF-8 also where a file's name is not."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n").replace("\r", "\\r")


def failed(draft: Path) -> list[tuple[str, str]]:
    """The pictures without an answer: path and reason."""
    return [(path, error) for path, _, _, _, error, *_ in read(draft) if error]


def finish(draft: Path, file: Path, classes: Sequence[str]) -> None:
    """Makes the file of the draft: CSV, or Parquet, written in parts."""
    if file.suffix == ".parquet":
        types, new = columns(classes), draft.with_suffix(".new")
        options = arrow.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
        with arrow.open_csv(draft, convert_options=options) as parts, parquet.ParquetWriter(new, parts.schema) as to:
            for part in parts:
                to.write_batch(part)
        new.replace(file)
        draft.unlink()
    else:
        draft.replace(file)
