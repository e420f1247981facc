"""Gets a data set from one archive, a tar or a zip: of IDX files, or of records as in CIFAR's binary version."""

import hashlib
import lzma
import math
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from digitline.base.errors import InputError
from digitline.data import idx, sources
from digitline.data.dataset import Dataset, Part
from digitline.data.entry import Digest, Members, Shape, Url

LIMIT = 2**30  # bytes of an archive
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, RuntimeError)


def fetch(
    folders: Sequence[Path],
    classes: int,
    image: Shape,
    *,
    report: Callable[[str], None] = print,
    timeout: float = sources.TIMEOUT,
    pause: float = sources.PAUSE,
    name: str,
    archive: str,
    digest: Digest,
    members: Members,
    label_bytes: PositiveInt | None = None,
    mirrors: list[Url] | None = None,
    transpose: bool = False,
    first_label: NonNegativeInt = 0,
) -> Dataset:
    """Gets the archive from the first source that has the right one, and reads its members without unpacking it.

    `digest` is that of the archive as it is; a mirror has it at URL/archive. `members` are names without folders. With
    `label_bytes` they are records: so many bytes of labels, the last one the class, then the pixels of one channel
    after the other. Without it they are four IDX files. InputError as of sources.fetch.
    """
    places = sources.ways(folders, mirrors or [], [archive], timeout=timeout, pause=pause, limit=LIMIT)
    take = partial(unpacked, digest=digest, members=members, gzipped=label_bytes is None)
    contents = sources.nearest(archive, places, take, report)
    files = [idx.File(member, contents[member]) for member in members]
    where = f"datasets.{name}.source.members"
    if label_bytes is None:
        four = [idx.File(member, contents[member]) for member in sources.by_role(where, members)]
        return idx.dataset(four, classes, image, transpose=transpose, first_label=first_label)
    halves = [[file for file in files if ("test" in file.name) == test] for test in (False, True)]
    if not all(halves):
        raise InputError(f"{where} has {', '.join(members)}, expected some with test in their name and some without")
    return Dataset(
        *(joined([records(file, classes, image, label_bytes, first_label) for file in half]) for half in halves)
    )


def unpacked(stream: IO[bytes], *, digest: Digest, members: list[str], gzipped: bool) -> dict[str, bytes]:
    """The contents of the members, if the archive has this digest; gzipped ones are inflated."""
    algorithm = "md5" if digest.startswith("md5:") else "sha256"
    found = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := stream.read(2**20):
        found.update(chunk)
    sources.same(found.hexdigest(), digest, "it has MD5" if algorithm == "md5" else "it has SHA-256")
    stream.seek(0)
    contents: dict[str, bytes] = {}
    try:
        for path, size, read in inside(stream):
            if (member := PurePosixPath(path).name) not in members:
                continue
            if member in contents:
                raise sources.Unusable(f"it has {member} twice")
            if size > sources.LIMIT:
                raise sources.Unusable(f"its {member} is larger than {sources.LIMIT} bytes")
            contents[member] = sources.inflate(read()) if gzipped else read()
    except DAMAGED:  # RuntimeError: a password, or a compression that zipfile lacks
        raise sources.Unusable("it is not a whole tar or zip archive") from None
    if missing := [member for member in members if member not in contents]:
        raise sources.Unusable(f"it has no {', '.join(missing)}")
    return contents


def inside(stream: IO[bytes]) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """The path, the size and the reader of each file in an archive; links and folders are left out."""
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as packed:
            for info in packed.infolist():
                yield info.filename, info.file_size, partial(packed.read, info)
        return
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)):
                yield member.name, member.size, file.read


def records(file: idx.File, classes: int, image: Shape, label_bytes: int, first_label: int) -> Part:
    """The images and classes in a file of records."""
    size = label_bytes + math.prod(image)
    rows, rest = divmod(len(file.content), size)
    if rest or not rows:
        what = f"{label_bytes} label bytes and {image.channels} times {image.height}x{image.width} pixels"
        raise InputError(f"{file.name} has {len(file.content)} bytes, expected records of {size}: {what}")
    table = np.frombuffer(file.content, np.uint8).reshape(rows, size)
    planes = table[:, label_bytes:].reshape(rows, image.channels, image.height, image.width)
    pixels = planes[:, 0] if image.channels == 1 else planes.transpose(0, 2, 3, 1)  # (N, 3, H, W) -> (N, H, W, 3)
    return Part(pixels, idx.counted(file.name, table[:, label_bytes - 1], classes, first_label))


def joined(parts: list[Part]) -> Part:
    """The parts one after the other."""
    images, labels = zip(*parts, strict=True)
    return Part(np.concatenate(images), np.concatenate(labels))
