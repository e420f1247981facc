import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data import dataset, pictures
from digitline.data.dataset import Dataset, Part
from digitline.data.entry import Shape
from digitline.data.pictures import Line
from tests import drawn

CLASSES = ["a", "b"]
COLOUR = Shape(16, 20, 3)


def manifest(
    root: Path, order: Callable[[list[Path]], list[Path]] = sorted, groups: dict[str, str] | None = None
) -> list[Line]:
    """A line for each picture of SPLIT/CLASS/NAME."""
    found = []
    for path in order(list(root.rglob("*.png"))):
        split, label, _ = name = path.relative_to(root).parts
        group = (groups or {}).get(path.stem, "")
        found.append(Line("/".join(name), label, split, group, hashlib.sha256(path.read_bytes()).hexdigest()))
    return found


class Place:
    """A folder of pictures with its manifest, to be fetched."""

    def __init__(self, folder: Path) -> None:
        self.root, self.list, self.path = folder / "flowers", folder / "flowers.csv", folder / "dataset.safetensors"
        drawn.folder(self.root, train__a=3, train__b=4, test__a=2, test__b=1)
        self.keep(manifest(self.root))

    def keep(self, lines: list[Line]) -> None:
        pictures.keep(self.list, lines)

    def fetch(self, sha256: str | None = None, image: Shape = COLOUR, **options) -> Dataset:
        """Without a hash, that of what the pictures give."""
        given: Any = {"name": "flowers", "manifest": str(self.list), "pictures": str(self.root), **options}
        if sha256 is None:
            with pytest.raises(InputError) as refusal:
                pictures.fetch(self.path, CLASSES, image, "letterbox", **given, sha256="0" * 64)
            sha256 = str(refusal.value).split("SHA-256 ")[1][:64]
        pictures.fetch(self.path, CLASSES, image, "letterbox", **given, sha256=sha256)
        return dataset.load(self.path)


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def test_pngs_in_the_order_of_an_idx_set_give_the_same_file(digits: Dataset, tmp_path):
    lines = []
    for split, part in digits._asdict().items():
        for number, (image, label) in enumerate(zip(part.images[:60], part.labels[:60], strict=True)):
            path = tmp_path / f"{split}-{number}.png"
            Image.fromarray(image).save(path)
            lines.append(Line(path.name, str(label), split, "", digest(path)))
    pictures.keep(tmp_path / "list.csv", lines)
    dataset.save(Dataset(*(Part(part.images[:60], part.labels[:60]) for part in digits)), tmp_path / "idx")
    given: Any = {"manifest": str(tmp_path / "list.csv"), "pictures": str(tmp_path), "sha256": digest(tmp_path / "idx")}
    classes = [str(number) for number in range(10)]
    pictures.fetch(tmp_path / "png", classes, Shape(), "letterbox", name="digits", **given)
    assert (tmp_path / "png").read_bytes() == (tmp_path / "idx").read_bytes()


def test_the_manifest_s_order_is_the_set_s(place):
    data = place.fetch()
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(data.train.images[0], np.asarray(drawn.picture(1)))
    place.keep(manifest(place.root, lambda paths: sorted(paths, reverse=True)))
    turned = place.fetch()
    np.testing.assert_array_equal(turned.train.images, data.train.images[::-1])
    assert turned.train.labels.tolist() == [1, 1, 1, 1, 0, 0, 0]


def test_groups_are_kept_and_a_picture_without_one_is_a_group(place):
    place.keep(manifest(place.root, groups={"00": "anna", "02": "berta"}))
    place.fetch()
    groups = dataset.mapped(place.path)["train_groups"].tolist()
    assert groups[0] == groups[3]  # 00 of a and of b
    assert groups[2] == groups[5]
    assert len(set(groups)) == 5


def test_without_groups_the_file_has_none(place):
    place.fetch()
    assert "train_groups" not in dataset.mapped(place.path)


def test_missing_pictures_are_counted_and_the_first_is_named(place):
    (place.root / "train/a/01.png").unlink()
    with pytest.raises(InputError) as refusal:
        place.fetch("0" * 64)
    assert "1 of the 10 pictures of " in str(refusal.value)
    assert f"first {place.root}/train/a/01.png; run dvc pull, name their folder in DIGITLINE_DATA" in str(refusal.value)
    assert not place.path.exists()


def test_a_changed_picture_is_named(place):
    shutil.copy(place.root / "train/a/00.png", place.root / "train/b/03.png")
    with pytest.raises(InputError, match=r"train/b/03\.png has changed since it was adopted; restore it with dvc"):
        place.fetch("0" * 64)
    assert not place.path.exists()


def test_a_damaged_picture_is_named(place):
    path = place.root / "test/b/00.png"
    path.write_bytes(path.read_bytes()[:60])
    place.keep(manifest(place.root))
    with pytest.raises(InputError, match=r"test/b/00\.png: the picture is damaged"):
        place.fetch("0" * 64)


def test_an_edited_manifest_gives_another_hash_and_no_file(place):
    data = place.fetch()
    sha256 = digest(place.path)
    lines = manifest(place.root)
    place.keep([lines[0]._replace(label="b"), *lines[1:]])
    with pytest.raises(InputError, match=f"datasets.flowers.source.sha256 is {sha256}: the manifest"):
        place.fetch(sha256)
    assert not place.path.exists()
    assert len(data.train.labels) == 7


def test_another_folder_may_have_the_pictures(place, tmp_path):
    place.fetch()
    shutil.move(place.root, tmp_path / "elsewhere")
    place.fetch(digest(place.path), folder=str(tmp_path / "elsewhere"))


def test_what_was_decoded_already_is_taken_by_its_hash_alone(place, tmp_path):
    place.fetch()
    sha256, decoded = digest(place.path), tmp_path / "adopted"
    shutil.move(place.path, decoded)
    shutil.rmtree(place.root)
    place.fetch(sha256, decoded=decoded)
    assert digest(place.path) == sha256
    assert not decoded.exists()
    decoded.write_bytes(b"of another set")
    with pytest.raises(InputError, match="are missing"):
        place.fetch(sha256, decoded=decoded)


def test_corrections_are_added_and_nothing_else_changes(place):
    place.keep(manifest(place.root, groups={"00": "anna"}))
    place.fetch()
    before = {name: np.array(array) for name, array in dataset.mapped(place.path).items()}
    added = Part(np.full((2, 16, 20, 3), 9, np.uint8), np.array([1, 0], np.uint8))
    pictures.with_corrections(place.path, added)
    after = dataset.mapped(place.path)
    assert set(after) == {*before, "corrections_images", "corrections_labels"}
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
    np.testing.assert_array_equal(dataset.corrections(place.path).images, added.images)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda line: line._replace(label="c"), "line 2: the label 'c' is none of the classes of the data set"),
        (lambda line: line._replace(split="val"), "line 2: the split is 'val', expected train or test"),
        (lambda line: line._replace(path="../a.png"), "line 2: the path ../a.png leads out of the folder of pictures"),
        (lambda line: line._replace(path="/a.png"), "line 2: the path /a.png leads out of the folder of pictures"),
        (lambda line: line[:4], "line 2: 4 values, expected 5"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(place, edit, sentence):
    lines = manifest(place.root)
    place.keep([edit(lines[0]), *lines[1:]])
    with pytest.raises(InputError) as refusal:
        place.fetch("0" * 64)
    assert sentence in str(refusal.value)


def test_a_manifest_that_is_missing_or_of_another_form_is_refused(place):
    place.list.write_text("path,label\na.png,a\n")
    with pytest.raises(InputError, match="begins with 'path,label', expected path,label,split,group,sha256"):
        place.fetch("0" * 64)
    place.list.unlink()
    with pytest.raises(InputError, match="; restore it with git checkout, or run digitline adopt again"):
        place.fetch("0" * 64)
