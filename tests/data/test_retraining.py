"""Corrections as training data: checked against the data's expectations, kept apart from the data set."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.data import dataset, retraining
from digitline.data.dataset import Dataset, Part


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


def test_training_corrections_are_identified_by_their_hash_and_refused_with_another(
    drawings: dataset.Bytes, tmp_path: Path
) -> None:
    path, one = tmp_path / "feedback.safetensors", Part(drawings, np.arange(6, dtype=np.uint8))
    retraining.save(one, path)
    for saved, loaded in zip(one, retraining.load(path, digest(path)), strict=True):
        assert np.array_equal(saved, loaded)
    with pytest.raises(InputError, match=f"has SHA-256 {digest(path)}, expected {'0' * 64}, feedback in params.yaml"):
        retraining.load(path, "0" * 64)
