import gzip
import hashlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from digitline.data import sources
from digitline.data.dataset import Dataset
from digitline.data.entry import MNIST
from tests import example
from tests.checkout import idx

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]

PUBLISHED = ["train-images-idx3", "train-labels-idx1", "test-images-idx3"]  # EMNIST's words

Answer = Callable[[BaseHTTPRequestHandler], None]
Fetch = Callable[..., Dataset]


class Mirror:
    """A server on this machine: each path gives its answers in turn and then repeats the last one."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                answers = mirror.answers.get(self.path, [status(404)])
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/idx/"

    def give(self, name: str, *answers: Answer) -> None:
        self.answers[f"/idx/{name}.gz"] = list(answers)


def status(code: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def body(content: bytes, *, sent: int | None = None, hang: float = 0) -> Answer:
    """Announces the content, sends its first bytes, then sends nothing for some seconds."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:sent])
        handler.wfile.flush()
        time.sleep(hang)

    return answer


def folder_of(path: Path, files: dict[str, bytes], *, packed: bool = True) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        if packed:
            (path / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (path / name).write_bytes(content)
    return path


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.server.shutdown()
    thread.join()
    mirror.server.server_close()


@pytest.fixture
def contents(digits: Dataset) -> dict[str, bytes]:
    """Four small IDX files of real digits."""
    train, test = (type(part)(part.images[:20], part.labels[:20]) for part in digits)
    return dict(zip(NAMES, [idx(array) for array in (*train, *test)], strict=True))


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def fetch(contents: dict[str, bytes], messages: list[str]) -> Fetch:
    """Fetches these contents from folders and mirrors; changed ones keep names and have their own checksums."""

    def call(*folders: Path, mirrors: list[str] | None = None, classes: int = 10, **changed: bytes) -> Dataset:
        wanted = contents | changed
        files = {name: hashlib.sha256(content).hexdigest() for name, content in wanted.items()}
        given: dict[str, Any] = {"name": "small", "files": files, "mirrors": mirrors or []}
        return sources.fetch(folders, classes, MNIST, report=messages.append, timeout=0.3, pause=0.01, **given)

    return call


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_serves_plain_or_gzipped_files(tmp_path, fetch, contents, digits, packed):
    dataset = fetch(folder_of(tmp_path / "own", contents, packed=packed))
    np.testing.assert_array_equal(dataset.train.images, digits.train.images[:20])
    np.testing.assert_array_equal(dataset.test.labels, digits.test.labels[:20])


def test_the_nearest_folder_is_taken_and_named(tmp_path, fetch, contents, messages):
    near, far = folder_of(tmp_path / "near", contents), folder_of(tmp_path / "far", contents)
    fetch(near, far)
    assert messages == [f"{name} from {near / name}.gz" for name in NAMES]


def test_a_wrong_file_is_passed_over_with_both_checksums(tmp_path, fetch, contents, messages):
    near = folder_of(tmp_path / "near", contents | {TRAIN_LABELS: b"others"})
    far = folder_of(tmp_path / "far", contents)
    fetch(near, far)
    expected = hashlib.sha256(contents[TRAIN_LABELS]).hexdigest()
    answer = f"its content has SHA-256 {hashlib.sha256(b'others').hexdigest()}, expected {expected}"
    assert f"{near / TRAIN_LABELS}.gz: {answer}" in messages
    assert f"{TRAIN_LABELS} from {far / TRAIN_LABELS}.gz" in messages


def test_a_truncated_gzip_is_passed_over(tmp_path, fetch, contents, messages):
    near, far = folder_of(tmp_path / "near", contents), folder_of(tmp_path / "far", contents)
    broken = near / f"{TEST_IMAGES}.gz"
    broken.write_bytes(broken.read_bytes()[:-100])
    fetch(near, far)
    assert [line.split(" (")[0] for line in messages if str(broken) in line] == [f"{broken}: broken gzip"]


def test_a_corrupt_gzip_is_passed_over(tmp_path, fetch, contents, messages):
    near, far = folder_of(tmp_path / "near", contents), folder_of(tmp_path / "far", contents)
    broken = near / f"{TEST_IMAGES}.gz"
    packed = bytearray(broken.read_bytes())
    packed[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    broken.write_bytes(packed)
    fetch(near, far)
    assert [line.split(" (")[0] for line in messages if str(broken) in line] == [f"{broken}: broken gzip"]


def test_a_decompression_bomb_is_not_inflated_past_the_limit(tmp_path, fetch, contents, monkeypatch):
    monkeypatch.setattr(sources, "LIMIT", 1_000_000)
    bomb = folder_of(tmp_path / "bomb", contents | {TRAIN_IMAGES: bytes(1_000_001)})
    with pytest.raises(InputError, match="larger than 1000000 bytes after decompression"):
        fetch(bomb)


def test_if_all_sources_fail_one_sentence_has_every_answer(tmp_path, fetch, mirror):
    with pytest.raises(InputError) as caught:
        fetch(tmp_path / "none", mirrors=[mirror.url, "http://127.0.0.1:1/"])
    assert str(caught.value) == (
        f"no source has {TRAIN_IMAGES}: {tmp_path}/none/{TRAIN_IMAGES}.gz: not there; "
        f"{mirror.url}{TRAIN_IMAGES}.gz: HTTP 404 Not Found; http://127.0.0.1:1/{TRAIN_IMAGES}.gz: no connection"
    )


def test_a_mirror_serves_what_no_folder_has(tmp_path, fetch, contents, mirror, digits):
    for name, content in contents.items():
        mirror.give(name, body(gzip.compress(content)))
    dataset = fetch(tmp_path, mirrors=[mirror.url])
    np.testing.assert_array_equal(dataset.test.images, digits.test.images[:20])
    assert mirror.asked == [f"/idx/{name}.gz" for name in NAMES]


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_failing_mirror_is_asked_again(fetch, contents, mirror, code):
    for name, content in contents.items():
        mirror.give(name, status(code), status(code), body(gzip.compress(content)))
    fetch(mirrors=[mirror.url])
    assert len(mirror.asked) == 3 * len(NAMES)


def test_a_file_that_a_mirror_lacks_is_asked_for_once(fetch, mirror):
    with pytest.raises(InputError, match="404"):
        fetch(mirrors=[mirror.url])
    assert len(mirror.asked) == 1


def test_a_download_that_breaks_off_starts_again(fetch, contents, mirror):
    for name, content in contents.items():
        packed = gzip.compress(content)
        mirror.give(name, body(packed, sent=len(packed) // 2), body(packed))
    assert len(fetch(mirrors=[mirror.url]).train.labels) == 20


def test_a_download_that_always_breaks_off_is_given_up(fetch, mirror):
    mirror.give(TRAIN_IMAGES, body(bytes(1000), sent=10))
    with pytest.raises(InputError, match="the download broke off"):
        fetch(mirrors=[mirror.url])
    assert len(mirror.asked) == sources.ATTEMPTS


def test_a_mirror_that_hangs_is_skipped(fetch, contents, mirror, messages):
    mirror.give(TRAIN_IMAGES, lambda handler: time.sleep(0.6))
    for name, content in contents.items():
        mirror.answers[f"/second/{name}.gz"] = [body(gzip.compress(content))]
    second = mirror.url.replace("idx", "second")
    fetch(mirrors=[mirror.url, second])
    assert messages[:2] == [
        f"{mirror.url}{TRAIN_IMAGES}.gz: no answer within 0.3 s",
        f"{TRAIN_IMAGES} from {second}{TRAIN_IMAGES}.gz",
    ]


def test_a_mirror_that_falls_silent_within_a_file_is_given_up(fetch, mirror):
    mirror.give(TRAIN_IMAGES, body(bytes(1000), sent=10, hang=0.6))
    with pytest.raises(InputError, match="the download broke off"):
        fetch(mirrors=[mirror.url])


def test_a_web_page_instead_of_a_file_is_refused_by_its_checksum(fetch, mirror):
    mirror.give(TRAIN_IMAGES, body(b"<html>moved</html>"))
    with pytest.raises(InputError, match="its content has SHA-256"):
        fetch(mirrors=[mirror.url])


def test_an_endless_download_is_cut_at_the_limit(fetch, mirror, monkeypatch):
    monkeypatch.setattr(sources, "LIMIT", 100_000)
    mirror.give(TRAIN_IMAGES, body(bytes(200_000)))
    with pytest.raises(InputError, match="larger than 100000 bytes"):
        fetch(mirrors=[mirror.url])


def test_a_download_onto_a_full_disk_says_so(fetch, mirror, monkeypatch):
    mirror.give(TRAIN_IMAGES, body(bytes(1000)))
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "r+b", buffering=0))
    with pytest.raises(InputError, match="No space left on device"):
        fetch(mirrors=[mirror.url])


def test_a_mirror_without_http_is_passed_over(fetch):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            for _ in range(sources.ATTEMPTS):
                connection, _address = server.accept()
                with connection:
                    connection.recv(2**16)
                    connection.sendall(b"no HTTP here\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(InputError, match="no connection"):
            fetch(mirrors=[f"http://127.0.0.1:{server.getsockname()[1]}"])
        thread.join()


def test_a_data_set_without_one_of_the_four_files_is_refused():
    files = {name: "0" * 64 for name in NAMES if name != TEST_LABELS}
    with pytest.raises(
        InputError, match=r"^datasets\.small\.source\.files has 3 files \(.*\), expected four: images and labels of tr"
    ):
        sources.fetch([], 10, MNIST, name="small", files=files)


@pytest.mark.parametrize(
    "names",
    [
        ["emnist-letters-test-labels-idx1-ubyte", *(f"emnist-letters-{part}-ubyte" for part in PUBLISHED)],
        ["a", "b", "c", "d"],  # names that do not tell: in the order of images, labels, test images, test labels
    ],
)
def test_files_may_have_any_name(tmp_path, contents, digits, names):
    ordered = dict(zip(names, contents.values(), strict=True))
    if len(names[0]) > 1:
        ordered = {names[0]: contents[TEST_LABELS], **dict(zip(names[1:], contents.values(), strict=False))}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in ordered.items()}
    given: dict[str, Any] = {"name": "small", "files": files, "report": lambda line: None}
    dataset = sources.fetch([folder_of(tmp_path / "own", ordered)], 10, MNIST, **given)
    np.testing.assert_array_equal(dataset.train.images, digits.train.images[:20])
    np.testing.assert_array_equal(dataset.test.labels, digits.test.labels[:20])


def test_whether_a_file_is_gzipped_its_content_tells_and_not_its_name(tmp_path, fetch, contents, digits):
    """A decompressed file named .gz, as some browsers leave it, and a gzipped one without the ending."""
    folder = folder_of(tmp_path / "own", contents)
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(contents[TRAIN_IMAGES])
    (folder / TEST_IMAGES).write_bytes(gzip.compress(contents[TEST_IMAGES]))
    (folder / f"{TEST_IMAGES}.gz").unlink()
    np.testing.assert_array_equal(fetch(folder).test.images, digits.test.images[:20])


def test_a_file_may_be_held_by_the_md5_of_its_publisher(tmp_path, contents, messages):
    """Which is that of the file as it is: a file that was packed anew has another, and the sentence says both."""
    near, far = folder_of(tmp_path / "near", contents, packed=False), folder_of(tmp_path / "far", contents)
    files = {
        f"{name}.gz": f"md5:{hashlib.md5((far / f'{name}.gz').read_bytes(), usedforsecurity=False).hexdigest()}"
        for name in contents
    }
    given: dict[str, Any] = {"name": "small", "files": files, "report": messages.append}
    assert len(sources.fetch([near, far], 10, MNIST, **given).train.labels) == 20
    found = hashlib.md5(contents[TRAIN_IMAGES], usedforsecurity=False).hexdigest()
    expected = files[f"{TRAIN_IMAGES}.gz"].removeprefix("md5:")
    assert messages[0] == f"{near / TRAIN_IMAGES}: it has MD5 {found}, expected {expected}"


def test_the_bundled_copy_is_mnist(mnist):
    assert mnist.train.images.shape == (60000, 28, 28)
    assert mnist.test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_mirrors_and_digests_are_those_that_torchvision_lists():
    """MNIST and Fashion-MNIST have others, of the content."""
    from digitline.measure.vision import datasets

    source = {name: entry["source"] for name, entry in YAML(typ="safe").load(example.SETTINGS)["datasets"].items()}
    for name, of in {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST, "kmnist": datasets.KMNIST}.items():
        assert source[name]["mirrors"] == of.mirrors
        assert [f"{file}.gz" for file in source[name]["files"]] == [file for file, _ in of.resources]
    assert [*source["kmnist"]["files"].values()] == [f"md5:{md5}" for _, md5 in datasets.KMNIST.resources]
    listed = {url: f"md5:{md5}" for part in ("train", "test") for url, md5 in datasets.QMNIST.resources[part]}
    [mirror] = source["qmnist"]["mirrors"]
    assert {f"{mirror}{file}.gz": digest for file, digest in source["qmnist"]["files"].items()} == listed
    for name in ("emnist_digits", "emnist_letters", "emnist_balanced"):
        [mirror] = source[name]["mirrors"]
        assert mirror + source[name]["archive"] == datasets.EMNIST.url
        assert source[name]["digest"] == f"md5:{datasets.EMNIST.md5}"


def test_fashion_mnist_of_debian_is_that_of_its_entry(fashion):
    assert fashion.train.images.shape == (60000, 28, 28)
    assert fashion.test.labels[:5].tolist() == [9, 2, 1, 1, 6]  # an ankle boot, a pullover, trousers twice, a shirt
