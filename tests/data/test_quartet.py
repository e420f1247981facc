import gzip
from pathlib import Path

import numpy as np
import pytest

from digitline.base.errors import InputError
from digitline.data import idx, quartet
from digitline.data.entry import Shape
from tests.checkout import idx as encoded


def write(folder: Path, names: list[str], *, first: int = 0, channels: tuple[int, ...] = ()) -> Path:
    """Images and labels of 12, then of 6, by these names."""
    folder.mkdir()
    for name, count, kind in zip(names, (12, 12, 6, 6), ("images", "labels") * 2, strict=True):
        array = np.arange(count, dtype=np.uint8) % 3 + first
        if kind == "images":
            array = np.random.default_rng(count).integers(0, 256, (count, 5, 7, *channels), dtype=np.uint8)
        content = encoded(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
        ["emnist-letters-train-images.gz", "b-train-labels.gz", "a-test-images.gz", "a-test-labels.gz"],
        ["d", "c.gz", "b", "a.gz"],
    ],
)
def test_the_four_files_are_found_whatever_their_names(tmp_path, names):
    folder = write(tmp_path / "few", names, first=1)
    (folder / "README").write_text("few")
    assert quartet.holds(folder)
    found = quartet.found(folder)
    assert [file.name for file in found.files] == [name.removesuffix(".gz") for name in names]
    assert found[1:] == (["README"], Shape(5, 7, 1), 1, ["1", "2", "3"])
    data = idx.dataset(found.files, 3, found.image, first_label=found.first_label)
    assert data.train.labels.tolist() == [0, 1, 2] * 4


def test_transposed_colour_images_and_a_first_label_of_one_s_own(tmp_path):
    found = quartet.found(
        write(tmp_path / "few", ["d", "c", "b", "a"], first=1, channels=(3,)), transpose=True, first_label=0
    )
    assert found[1:] == ([], Shape(7, 5, 3), 0, ["0", "1", "2", "3"])


def test_a_folder_without_idx_files_holds_none(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").write_bytes(b"")
    assert not quartet.holds(tmp_path)


def test_another_number_of_files_is_said(tmp_path):
    folder = write(tmp_path / "few", ["d", "c", "b", "a"])
    (folder / "b").unlink()
    with pytest.raises(InputError, match="has 1 IDX files of images and 2 of labels, expected two of each"):
        quartet.found(folder)
