"""Corrections as training data: held against the data's expectations, kept apart from the data set."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.config import params
from digitline.data import dataset, retraining
from digitline.data.dataset import Dataset, Part

DIGITS = list("0123456789")


@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
def test_the_expectations_of_the_data_decide_over_each_correction(drawings: dataset.Bytes, digits: Dataset) -> None:
    faint, small = drawings[1] // 3, np.zeros((28, 28), np.uint8)
    small[12:16, 12:16] = drawings[2][10:14, 12:16]
    copies = digits.train.images[5], digits.test.images[5]
    part = Part(np.stack([drawings[0], faint, small, *copies]), np.zeros(5, np.uint8))
    bounds = {name: bound for name, bound in params.read().bounds.items() if name != "images"}
    good, *bad = retraining.reasons(part, digits, classes=DIGITS, **bounds)
    assert good == []
    for found, name in zip(
        bad, ["brightest pixel 85", "longer side of the ink's bounding box", *["copies"] * 2], strict=True
    ):
        assert name in "; ".join(found)


def test_without_corrections_the_data_set_has_the_same_bytes(
    digits: Dataset, drawings: dataset.Bytes, tmp_path: Path
) -> None:
    dataset.save(digits, tmp_path / "without")
    assert set(load_file(tmp_path / "without")) == {"train_images", "train_labels", "test_images", "test_labels"}
    assert len(dataset.corrections(tmp_path / "without").labels) == 0
    added = Part(drawings, np.arange(6, dtype=np.uint8))
    dataset.save(digits, tmp_path / "with", corrections=added)
    assert all(np.array_equal(*pair) for pair in zip(dataset.corrections(tmp_path / "with"), added, strict=True))
    for one, other in zip(dataset.load(tmp_path / "without"), dataset.load(tmp_path / "with"), strict=True):
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_what_is_trained_with_is_known_by_its_hash_and_refused_where_that_is_another(
    drawings: dataset.Bytes, tmp_path: Path
) -> None:
    path, one = tmp_path / "feedback.safetensors", Part(drawings, np.arange(6, dtype=np.uint8))
    retraining.save(one, path)
    for saved, loaded in zip(one, retraining.load(path, digest(path)), strict=True):
        assert np.array_equal(saved, loaded)
    with pytest.raises(InputError, match=f"has SHA-256 {digest(path)}, expected {'0' * 64} as feedback in params.yaml"):
        retraining.load(path, "0" * 64)
