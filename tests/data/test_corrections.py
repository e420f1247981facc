"""Kept corrections: the last one of each image counts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitline.base.errors import InputError
from digitline.data import corrections, dataset
from digitline.data.corrections import Correction

DIGITS = list("0123456789")


def correction(image: dataset.Bytes, label: str = "7") -> Correction:
    return Correction(image, label, "1", False, "0" * 64)


def test_kept_corrections_are_read_again_and_the_last_one_counts(drawings: dataset.Bytes, tmp_path: Path) -> None:
    for image, label in zip(drawings[[0, 1, 0, 0]], ["7", "", "3", "3"], strict=True):
        count = corrections.keep(tmp_path / "kept", correction(image, label), most=10)
    assert count == 3  # a repeated correction does not count
    found = {corrections.identity(one.image): one for one in corrections.read(tmp_path / "kept", DIGITS)}
    assert {name: one.label for name, one in found.items()} == {
        corrections.identity(drawings[0]): "3",
        corrections.identity(drawings[1]): "",
    }
    for name, one in found.items():
        assert np.array_equal(np.array(Image.open(tmp_path / f"kept/{name}.png")), one.image)


def test_no_more_are_kept_than_allowed(drawings: dataset.Bytes, tmp_path: Path) -> None:
    for image in drawings[:2]:
        corrections.keep(tmp_path, correction(image), most=2)
    with pytest.raises(InputError, match="there are already 2 corrections, expected no more"):
        corrections.keep(tmp_path, correction(drawings[2]), most=2)
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize("damage", ["other", "empty", "gone", "wide"])
def test_an_image_that_was_changed_is_refused_by_name(drawings: dataset.Bytes, tmp_path: Path, damage: str) -> None:
    corrections.keep(tmp_path, correction(drawings[0]), most=9)
    [path] = tmp_path.glob("*.png")
    match damage:
        case "other":
            Image.fromarray(drawings[1]).save(path)
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "wide":
            Image.new("RGB", (29, 28)).save(path)
    with pytest.raises(InputError, match=rf"{path} is not the image of its name"):
        corrections.read(tmp_path, DIGITS)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("image,label\n", "is not a table of corrections, expected lines of image,label,answer,doubtful,model"),
        ("", "is not a table"),
    ],
)
def test_a_table_in_another_format_is_refused(tmp_path: Path, table: str, sentence: str) -> None:
    (tmp_path / corrections.TABLE).write_text(table)
    with pytest.raises(InputError, match=sentence):
        corrections.read(tmp_path, DIGITS)


def test_a_label_that_is_no_class_is_refused_by_name(drawings: dataset.Bytes, tmp_path: Path) -> None:
    corrections.keep(tmp_path, correction(drawings[0], "seven"), most=9)
    with pytest.raises(InputError, match="'seven', expected 0, 1, 2"):
        corrections.read(tmp_path, DIGITS)
