"""Gets a data set from folders, then from mirrors, and checks the SHA-256 of its content."""

import gzip
import hashlib
import io
import math
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import requests
from tqdm import tqdm

from digitline.base.errors import InputError
from digitline.data.dataset import Bytes, Dataset, Part
from digitline.data.entry import Sha256, Shape, Url

ROLES = ["train-images", "train-labels", "t10k-images", "t10k-labels"]  # each is part of one file's name
LIMIT = 2**29  # bytes of one file, downloaded or inflated
TIMEOUT = 20.0  # seconds without a byte
ATTEMPTS = 3  # at one mirror
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one


class Unusable(Exception):
    """The reason why a source cannot be used, to follow its name."""


class Passing(Unusable):
    """A failure that may not happen again in another attempt."""


class File(NamedTuple):
    name: str
    content: bytes


def fetch(
    folders: Sequence[Path],
    classes: int,
    image: Shape,
    *,
    report: Callable[[str], None] = print,
    timeout: float = TIMEOUT,
    pause: float = PAUSE,
    name: str,
    files: dict[str, Sha256],
    mirrors: list[Url],
) -> Dataset:
    """Gets the four IDX files, plain or gzipped, each from the first source that has the right content.

    `files` maps names to the SHA-256 of the uncompressed content; a mirror has a file at URL/name.gz. `report` gets one
    message for each file's source and for each source that failed. InputError if all sources fail, or if the
    content does not fit the file's role.
    """

    train_images, train_labels, test_images, test_labels = [
        File(file, nearest(file, files[file], ways(file, folders, mirrors, timeout, pause), report))
        for file in by_role(name, list(files))
    ]
    return Dataset(part(train_images, train_labels, classes, image), part(test_images, test_labels, classes, image))


def by_role(name: str, files: list[str]) -> list[str]:
    """The names of the four files in the order of ROLES."""
    for role in ROLES:
        if sum(role in file for file in files) != 1:
            raise InputError(
                f"datasets.{name}.source.files has {', '.join(files)}, expected one with {role} in its name"
            )
    return [file for role in ROLES for file in files if role in file]


def ways(
    file: str, folders: Sequence[Path], mirrors: Sequence[str], timeout: float, pause: float
) -> dict[str, Callable[[], bytes]]:
    """The sources of a file, folders first, each with the function that reads it."""
    paths = [path for folder in folders for path in (folder / file, folder / f"{file}.gz")]
    urls = [f"{mirror.rstrip('/')}/{file}.gz" for mirror in mirrors]
    return {
        **{str(path): partial(read, path) for path in paths if path.suffix == ".gz" or path.exists()},
        **{url: partial(download, url, timeout, pause) for url in urls},
    }


def nearest(file: str, sha256: str, sources: dict[str, Callable[[], bytes]], report: Callable[[str], None]) -> bytes:
    """The content from the first source that has it; InputError says why each source failed."""
    answers = []
    for place, read in sources.items():
        try:
            content = inflate(read())
            found = hashlib.sha256(content).hexdigest()
            if found != sha256:
                raise Unusable(f"its content has SHA-256 {found}, expected {sha256}")
        except Unusable as error:
            answers.append(f"{place}: {error}")
            report(answers[-1])
        else:
            report(f"{file} from {place}")
            return content
    raise InputError(f"no source has {file}: {'; '.join(answers) or 'there are none'}")


def read(path: Path) -> bytes:
    """Reads a file in a folder."""
    try:
        if path.stat().st_size > LIMIT:
            raise Unusable(f"larger than {LIMIT} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        raise Unusable("not there") from None
    except OSError as error:
        raise Unusable(f"{error.strerror}") from None


def inflate(content: bytes) -> bytes:
    """Decompresses gzipped content, up to LIMIT bytes; returns other content unchanged."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            inflated = stream.read(LIMIT + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise Unusable(f"broken gzip ({error})") from None
    if len(inflated) > LIMIT:
        raise Unusable(f"larger than {LIMIT} bytes after decompression")
    return inflated


def download(url: str, timeout: float, pause: float) -> bytes:
    """Downloads a file; after a passing failure tries again from the start, after a growing pause."""
    for attempt in range(1, ATTEMPTS):
        try:
            return once(url, timeout)
        except Passing:
            time.sleep(pause * 2 ** (attempt - 1))
    return once(url, timeout)


def once(url: str, timeout: float) -> bytes:
    """Downloads a file once, into memory: the stage's output is cached by DVC, so the files need not be saved."""
    content = bytearray()
    trouble = "no connection"
    try:
        # No decompression by the HTTP client: inflate decompresses the file, with a limit.
        with requests.get(url, stream=True, timeout=timeout, headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status_code != requests.codes.ok:
                passing = answer.status_code == requests.codes.too_many_requests or answer.status_code >= 500
                raise (Passing if passing else Unusable)(f"HTTP {answer.status_code} {answer.reason}")
            trouble = "the download broke off"
            size = answer.headers.get("Content-Length", "")
            total = int(size) if size.isdecimal() else None
            with tqdm(desc=url, total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar:
                for chunk in answer.iter_content(2**16):
                    content += chunk
                    bar.update(len(chunk))
                    if len(content) > LIMIT:
                        raise Unusable(f"larger than {LIMIT} bytes")
    except requests.Timeout:
        raise Passing(f"no answer within {timeout:g} s") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise Passing(trouble) from None
    except requests.RequestException as error:
        raise Unusable(f"{type(error).__name__}: {error}") from None
    return bytes(content)


def part(images: File, labels: File, classes: int, image: Shape) -> Part:
    """The images and labels in two IDX files."""
    pixels, numbers = idx(images, 3), idx(labels, 1)
    if (found := pixels.shape[1:]) != image[:2]:
        sides = "x".join(map(str, found))
        raise InputError(f"{images.name} has images of {sides} pixels, expected {image.height}x{image.width}")
    if len(pixels) != len(numbers):
        raise InputError(f"{images.name} has {len(pixels)} images but {labels.name} has {len(numbers)} labels")
    if not len(numbers):
        raise InputError(f"{images.name} has no images")
    if numbers.max() >= classes:
        raise InputError(f"{labels.name} has the label {numbers.max()}, expected 0 to {classes - 1}")
    return Part(pixels, numbers)


def idx(file: File, dimensions: int) -> Bytes:
    """The array of an IDX file: 0, 0, 8 for bytes, the number of dimensions, each dimension in 4 bytes, the values."""
    kinds = {1: "labels", 3: "images"}
    content, expected = file.content, f"expected the IDX magic 0000080{dimensions} of {kinds[dimensions]}"
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise InputError(f"{file.name} begins with {content[:4].hex() or 'nothing'}, {expected}")
    if content[3] != dimensions:
        what = kinds.get(content[3], f"an array of {content[3]} dimensions")
        raise InputError(f"{file.name} holds {what}, {expected}")
    start = 4 + 4 * dimensions
    header, values = content[4:start], content[start:]
    shape = np.frombuffer(header.ljust(4 * dimensions, b"\0"), ">u4").tolist()
    if len(values) != math.prod(shape) or len(header) < 4 * dimensions:
        sizes = "x".join(map(str, shape))
        raise InputError(f"{file.name} has {len(values)} bytes after its header, expected {sizes}")
    return np.frombuffer(values, np.uint8).reshape(shape)
