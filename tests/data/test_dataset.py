import numpy as np
import pytest
from safetensors.numpy import save as serialise

from digitline.base.errors import InputError
from digitline.data import dataset
from digitline.data.dataset import Dataset, Part, Subset


def test_the_file_has_the_bytes_that_the_library_would_write(digits, tmp_path):
    dataset.save(digits, tmp_path / "data.safetensors")
    arrays = {f"{part}_{key}": array for part, of in digits._asdict().items() for key, array in of._asdict().items()}
    assert (tmp_path / "data.safetensors").read_bytes() == serialise(arrays)


@pytest.mark.parametrize("kind", ["digits", "photos"])
def test_what_was_saved_is_mapped_and_not_read(kind, request, tmp_path):
    saved = request.getfixturevalue(kind)
    dataset.save(saved, tmp_path / "data.safetensors")
    found = dataset.load(tmp_path / "data.safetensors")
    for part, before in zip(found, saved, strict=True):
        assert isinstance(part.images, np.memmap)
        assert np.array_equal(part.images, before.images)
        assert np.array_equal(part.labels, before.labels)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:4], lambda b: b"", lambda b: b[:8] + b"[" + b[9:]])
def test_a_damaged_file_is_refused_with_what_restores_it(damage, digits, tmp_path):
    path = tmp_path / "data.safetensors"
    dataset.save(digits, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"is not a data set of fetch .*; run dvc checkout"):
        dataset.load(path)


def test_an_interrupted_write_leaves_the_old_file(digits, tmp_path):
    path = tmp_path / "data.safetensors"
    dataset.save(digits, path)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), dataset.writing(path, {"train_images": (np.uint8, (2, 2))}):
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["data.safetensors"]


def test_corrections_are_training_images_and_no_others(digits, tmp_path):
    path, more = tmp_path / "data.safetensors", Part(digits.test.images[:3] // 2, digits.test.labels[:3])
    dataset.save(digits, path, corrections=more)
    training, validation, test = dataset.divide(path, validation=100, seed=0)
    kept, held = dataset.split(digits.train, validation=100, seed=0)
    assert np.array_equal(training.images[:-3], kept.images[:])
    assert np.array_equal(training.images[-3:], more.images)
    assert np.array_equal(training.labels, np.concatenate([kept.labels, more.labels]))
    assert np.array_equal(validation.images[:], held.images[:])
    assert np.array_equal(test.images, digits.test.images)


def test_rows_of_several_arrays_are_read_in_any_order(digits):
    both: Subset = dataset.joined(digits.train, digits.test)
    order = np.random.default_rng(0).permutation(len(both.labels))
    whole = np.concatenate([digits.train.images, digits.test.images])
    assert np.array_equal(both.images[order], whole[order])
    assert np.array_equal(np.concatenate(list(dataset.chunks(both.images, 70 * 784))), whole)


def test_a_group_stays_on_one_side_and_the_classes_keep_their_shares(digits, tmp_path):
    groups = np.random.default_rng(0).integers(0, 60, 1000).astype(np.uint32)
    kept, held = dataset.split(digits.train, groups, validation=200, seed=0)
    assert not set(groups[kept.images.order]) & set(groups[held.images.order])
    assert 170 < len(held.labels) < 230
    assert np.abs(np.bincount(held.labels) / len(held.labels) - np.bincount(digits.train.labels) / 1000).max() < 0.04
    assert len(kept.labels) + len(held.labels) == 1000
    with pytest.raises(InputError, match="all training images are of one group"):
        dataset.split(digits.train, np.zeros(1000, np.uint32), validation=200, seed=0)
    with dataset.writing(tmp_path / "a", forms(digits) | {"train_groups": (np.uint32, (1000,))}) as places:
        places["train_groups"][:] = groups
        places["train_images"][:], places["train_labels"][:] = digits.train
        places["test_images"][:], places["test_labels"][:] = digits.test
    assert np.array_equal(dataset.divide(tmp_path / "a", validation=200, seed=0).validation.labels, held.labels)


def forms(data: Dataset) -> dict[str, tuple[type, tuple[int, ...]]]:
    return {
        f"{part}_{key}": (np.uint8, array.shape)
        for part, of in data._asdict().items()
        for key, array in of._asdict().items()
    }
