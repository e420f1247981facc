"""Gets files from folders, then from mirrors, by the digest of their content; a data set of four IDX files."""

import gzip
import hashlib
import io
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import requests
from pydantic import NonNegativeInt
from tqdm import tqdm

from digitline.base.errors import InputError
from digitline.data import idx
from digitline.data.dataset import Dataset
from digitline.data.entry import Digest, Shape, Url

# The words of publishers in the names of their files: images and labels of training, images and labels of test.
ROLES = [("train", "image"), ("train", "label"), ("t10k|test", "image"), ("t10k|test", "label")]
LIMIT = 2**29  # bytes of one file, downloaded or inflated
TIMEOUT = 20.0  # seconds without a byte
ATTEMPTS = 3  # at one mirror
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one

Taken = TypeVar("Taken")
Ways = dict[str, Callable[[], IO[bytes]]]  # by the place, the function that opens the file there


class Unusable(Exception):
    """The reason why a source cannot be used, to follow its name."""


class Passing(Unusable):
    """A failure that may not happen again in another attempt."""


def fetch(
    folders: Sequence[Path],
    classes: int,
    image: Shape,
    *,
    report: Callable[[str], None] = print,
    timeout: float = TIMEOUT,
    pause: float = PAUSE,
    name: str,
    files: dict[str, Digest],
    mirrors: list[Url] | None = None,
    transpose: bool = False,
    first_label: NonNegativeInt = 0,
) -> Dataset:
    """Gets the four IDX files, plain or gzipped, each from the first source that has the right content.

    `files` maps names to digests; a mirror has a file at URL/name.gz. `report` gets one message for each file's source
    and for each source that failed. InputError if all sources fail, or if the content does not fit the file's role.
    """
    found = []
    for file in by_role(f"datasets.{name}.source.files", list(files)):
        stem = file.removesuffix(".gz")
        places = ways(folders, mirrors or [], [stem, f"{stem}.gz"], timeout=timeout, pause=pause, limit=LIMIT)
        found.append(idx.File(file, nearest(file, places, partial(content, digest=files[file]), report)))
    return idx.dataset(found, classes, image, transpose=transpose, first_label=first_label)


def by_role(where: str, files: list[str]) -> list[str]:
    """The names of the four files in the order of ROLES: by their words, or as they stand if these do not tell."""
    if len(files) != len(ROLES):
        raise InputError(
            f"{where} has {len(files)} files ({', '.join(files)}), expected four: images and labels of training, "
            "images and labels of test"
        )
    found = [[file for file in files if all(re.search(word, file) for word in role)] for role in ROLES]
    told = [file for matching in found if len(matching) == 1 for file in matching]
    return told if len(set(told)) == len(ROLES) else files


def ways(
    folders: Sequence[Path], mirrors: Sequence[str], names: list[str], *, timeout: float, pause: float, limit: int
) -> Ways:
    """The places of a file: folders, where it may have any of the names, then mirrors, which have it by the last."""
    paths = [folder / name for folder in folders for name in names]
    urls = [f"{mirror.rstrip('/')}/{names[-1]}" for mirror in mirrors]
    return {
        **{str(path): partial(read, path, limit) for path in paths if path.name == names[-1] or path.exists()},
        **{url: partial(download, url, timeout, pause, limit) for url in urls},
    }


def nearest(file: str, places: Ways, take: Callable[[IO[bytes]], Taken], report: Callable[[str], None]) -> Taken:
    """What `take` makes of the file at the first place that has the right one; InputError says why each failed."""
    answers = []
    for place, reach in places.items():
        try:
            with reach() as stream:
                taken = take(stream)
        except Unusable as error:
            answers.append(f"{place}: {error}")
            report(answers[-1])
        else:
            report(f"{file} from {place}")
            return taken
    raise InputError(f"no source has {file}: {'; '.join(answers) or 'there are none'}")


def content(stream: IO[bytes], digest: Digest) -> bytes:
    """The uncompressed content, if it has this SHA-256, or if the file as it is has this MD5."""
    packed = stream.read()
    unpacked = inflate(packed)
    if digest.startswith("md5:"):
        same(hashlib.md5(packed, usedforsecurity=False).hexdigest(), digest, "it has MD5")
    else:
        same(hashlib.sha256(unpacked).hexdigest(), digest, "its content has SHA-256")
    return unpacked


def same(found: str, digest: Digest, what: str) -> None:
    """Unusable if a digest is another than expected."""
    if found != (expected := digest.removeprefix("md5:")):
        raise Unusable(f"{what} {found}, expected {expected}")


def read(path: Path, limit: int) -> IO[bytes]:
    """Opens a file in a folder."""
    try:
        if path.stat().st_size > limit:
            raise Unusable(f"larger than {limit} bytes")
        return path.open("rb")
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


def download(url: str, timeout: float, pause: float, limit: int) -> IO[bytes]:
    """Downloads a file; after a passing failure tries again from the start, after a growing pause."""
    for attempt in range(1, ATTEMPTS):
        try:
            return once(url, timeout, limit)
        except Passing:
            time.sleep(pause * 2 ** (attempt - 1))
    return once(url, timeout, limit)


def once(url: str, timeout: float, limit: int) -> IO[bytes]:
    """Downloads a file once, into a file without a name: DVC caches the stage's output, so this one need not stay."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # whoever takes it closes it
    try:
        fill(file, url, timeout, limit)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def fill(file: IO[bytes], url: str, timeout: float, limit: int) -> None:
    """Writes what a URL has into a file."""
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
                    bar.update(file.write(chunk))
                    if file.tell() > limit:
                        raise Unusable(f"larger than {limit} bytes")
    except requests.Timeout:
        raise Passing(f"no answer within {timeout:g} s") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise Passing(trouble) from None
    except requests.RequestException as error:
        raise Unusable(f"{type(error).__name__}: {error}") from None
    except OSError as error:  # of the file: no space left
        raise Unusable(f"{error.strerror}") from None
