"""Archives of the exact form of EMNIST's and CIFAR's, with few images."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from digitline.data import archives, sources
from digitline.data.dataset import Dataset
from digitline.data.entry import MNIST, Shape
from tests import example
from tests.checkout import idx

GENERATOR = np.random.default_rng(0)
COLOUR = Shape(32, 32, 3)
FILE = bytes(1 + 3072)  # one record of CIFAR-10


def tarred(files: dict[str, bytes], mode: Literal["w", "w:gz"] = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        tar.addfile(folder("cifar-10-batches-bin"))
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return member


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("gzip/", b"")
        for name, content in files.items():
            packed.writestr(f"gzip/{name}", content)
    return stream.getvalue()


def fetch(path: Path, content: bytes, name: str, classes: int, image: Shape = COLOUR, **options: Any) -> Dataset:
    """The data set in an archive with that content, by the source of an entry of params.yaml."""
    source = YAML(typ="safe").load(example.SETTINGS)["datasets"][name]["source"]
    (path / source["archive"]).write_bytes(content)
    own = {"mirrors": [], "digest": hashlib.sha256(content).hexdigest()}
    return archives.fetch([path], classes, image, name=name, report=lambda line: None, **source | own | options)


def records(images: Any, *labels: Any) -> bytes:
    """As CIFAR has them: the labels of an image, then its red, green and blue pixels, each row by row."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(np.array(row, np.uint8)[:, None] for row in labels), planes], axis=1).tobytes()


def pictures(count: int) -> Any:
    return GENERATOR.integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_cifar_10_is_read_from_its_archive(tmp_path):
    """Five files of training images, in their order, and one of test images; another file is left alone."""
    train, test = pictures(10), pictures(3)
    labels = np.arange(10)
    files = {f"data_batch_{i}.bin": records(train[2 * i - 2 : 2 * i], labels[2 * i - 2 : 2 * i]) for i in range(1, 6)}
    files = {"readme.html": b"<html>", "test_batch.bin": records(test, [7, 8, 9]), **files}
    dataset = fetch(tmp_path, tarred(files), "cifar10", 10)
    np.testing.assert_array_equal(dataset.train.images, train)
    np.testing.assert_array_equal(dataset.train.labels, labels)
    np.testing.assert_array_equal(dataset.test.images, test)
    np.testing.assert_array_equal(dataset.test.labels, [7, 8, 9])


def test_of_cifar_100_the_second_label_is_the_class(tmp_path):
    """The first one is of twenty coarse classes."""
    train, test = pictures(2), pictures(1)
    files = {"train.bin": records(train, [3, 19], [99, 0]), "test.bin": records(test, [1], [50])}
    dataset = fetch(tmp_path, tarred(files), "cifar100", 100)
    np.testing.assert_array_equal(dataset.train.images, train)
    assert dataset.train.labels.tolist() == [99, 0]
    assert dataset.test.labels.tolist() == [50]


@pytest.mark.parametrize(("kind", "classes", "first"), [("digits", 10, 0), ("letters", 26, 1), ("balanced", 47, 0)])
def test_emnist_is_read_from_its_archive(tmp_path, digits, kind, classes, first):
    """One zip of six sets, each of four gzipped files; images transposed, letters counted from 1."""
    images, labels = digits.train.images[:2], np.array([0, classes - 1], np.uint8)
    files = {}
    for other in ("digits", "letters", "balanced"):
        for split in ("train", "test"):
            of = images if other == kind else images[:1]
            files[f"emnist-{other}-{split}-images-idx3-ubyte.gz"] = gzip.compress(idx(of.swapaxes(1, 2)))
            files[f"emnist-{other}-{split}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels + np.uint8(first)))
    dataset = fetch(tmp_path, zipped(files), f"emnist_{kind}", classes, MNIST)
    for part in dataset:
        np.testing.assert_array_equal(part.images, images)
        np.testing.assert_array_equal(part.labels, labels)


def test_grey_records_are_read_too(tmp_path, digits):
    images = digits.train.images[:2]
    files = {"train.bin": records(images[..., None], [1, 2]), "test.bin": records(images[..., None], [1, 2])}
    dataset = fetch(tmp_path, tarred(files, mode="w"), "cifar100", 10, MNIST, label_bytes=1)
    np.testing.assert_array_equal(dataset.train.images, images)


PAIR = {"train.bin": FILE, "test.bin": FILE}
BROKEN = {
    "half of it": (tarred(PAIR)[:100], "it is not a whole tar or zip archive"),
    "no archive": (b"<html>moved</html>", "it is not a whole tar or zip archive"),
    "half of a zip": (zipped(PAIR)[50:], "it is not a whole tar or zip archive"),
    "another": (tarred({"train.bin": FILE, "README": b""}), "it has no test.bin"),
    "a member twice": (tarred({**PAIR, "old/test.bin": FILE}), "it has test.bin twice"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_archive_that_cannot_be_used_is_one_sentence(tmp_path, case):
    content, sentence = BROKEN[case]
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, content, "cifar100", 10, label_bytes=1)
    name = "cifar-100-binary.tar.gz"
    assert str(caught.value) == f"no source has {name}: {tmp_path / name}: {sentence}"


def test_an_archive_with_another_digest_is_not_opened(tmp_path):
    content = tarred(PAIR)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    with pytest.raises(InputError, match=f"it has MD5 {found}, expected 03b5dce01913d631647c71ecec9e9cb8$"):
        fetch(tmp_path, content, "cifar100", 100, digest="md5:03b5dce01913d631647c71ecec9e9cb8")


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    """Nor is a path out of its folder: nothing is unpacked."""
    (tmp_path / "secret").write_bytes(FILE)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, target in {"train.bin": tmp_path / "secret", "test.bin": "../secret"}.items():
            member = tarfile.TarInfo(f"../../{name}")
            member.type, member.linkname = tarfile.SYMTYPE, str(target)
            tar.addfile(member)
    with pytest.raises(InputError, match=r"it has no train\.bin, test\.bin$"):
        fetch(tmp_path, stream.getvalue(), "cifar100", 100)
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "cifar-100-binary.tar.gz"}


def test_a_member_larger_than_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LIMIT", 1000)
    with pytest.raises(InputError, match=r"its train\.bin is larger than 1000 bytes$"):
        fetch(tmp_path, tarred(PAIR), "cifar100", 100)


def test_records_of_another_size_are_refused_with_the_arithmetic(tmp_path):
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, tarred(PAIR), "cifar100", 100)
    assert str(caught.value) == (
        "train.bin has 3073 bytes, expected records of 3074: 2 label bytes and 3 times 32x32 pixels"
    )


def test_records_need_members_for_training_and_for_test(tmp_path):
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, tarred(PAIR), "cifar100", 100, members=["train.bin"], label_bytes=1)
    assert str(caught.value) == (
        "datasets.cifar100.source.members has train.bin, expected some with test in their name and some without"
    )


def test_an_archive_comes_from_a_mirror_by_its_name(tmp_path):
    """It is asked for there without an ending of its own; nobody answers at this one."""
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, b"", "cifar10", 10, mirrors=["http://127.0.0.1:1/"], pause=0.01)
    assert str(caught.value).endswith("; http://127.0.0.1:1/cifar-10-binary.tar.gz: no connection")
