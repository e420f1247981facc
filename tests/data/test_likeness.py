import numpy as np
import pytest
from PIL import Image, ImageEnhance

from digitline.data import likeness
from digitline.data.dataset import Dataset, Rows
from tests import drawn

SIDE = 64


def photo(seed: int) -> Image.Image:
    return drawn.picture(seed, (SIDE, SIDE)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def bits(one: Image.Image, other: Image.Image) -> int:
    """In which the hashes of two pictures differ."""
    first, second = likeness.hashes(np.stack([np.asarray(one), np.asarray(other)]))
    return int(np.bitwise_count(first ^ second))


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture.resize((40, 40)).resize((SIDE, SIDE)),
        lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
        lambda picture: picture.quantize(64).convert("RGB"),
    ],
    ids=["smaller", "darker", "fewer colours"],
)
def test_a_changed_copy_is_near_and_another_picture_is_far(change):
    for seed in range(10):
        assert bits(photo(seed), change(photo(seed))) <= likeness.NEAR
        assert bits(photo(seed), photo(seed + 100)) > 2 * likeness.NEAR


@pytest.mark.parametrize("shape", [(28, 28), (31, 57), (64, 64, 3)])
def test_blank_pictures_look_alike_at_any_size_and_level(shape):
    blank = likeness.hashes(np.stack([np.full(shape, level, np.uint8) for level in (0, 1, 100, 255)]))
    assert np.bitwise_count(blank).max() <= 1


@pytest.mark.parametrize("shape", [(5, 300), (300, 5), (1, 1), (31, 33)])
def test_any_shape_has_a_hash(shape):
    assert likeness.hashes(np.zeros((2, *shape, 3), np.uint8)).shape == (2,)


def test_all_pairs_within_four_bits_are_found_and_no_others():
    random = np.random.default_rng(0)
    values = random.integers(0, 2**63, 400, dtype=np.uint64)
    for changed in range(1, 6):  # 5 bits are too many
        flips = [
            np.bitwise_or.reduce(np.uint64(1) << random.permutation(64)[:changed].astype(np.uint64)) for _ in range(60)
        ]
        values = np.concatenate([values, values[:60] ^ np.array(flips, np.uint64)])
    values = np.unique(values)
    apart = np.bitwise_count(values[:, None] ^ values)
    expected = np.argwhere(np.triu(apart <= 4, 1))
    assert len(expected) >= 240
    np.testing.assert_array_equal(likeness.near(values), expected)


def test_equal_images_have_the_number_of_the_first():
    images = np.array([1, 2, 1, 3, 2], np.uint8).reshape(-1, 1, 1)
    assert likeness.identities(images).tolist() == [0, 1, 0, 3, 1]
    assert likeness.identities(Rows((images,), np.array([1, 4, 0]))).tolist() == [0, 0, 2]


def test_a_cluster_joins_equal_pixels_groups_and_looks():
    equal = np.array([0, 1, 0, 3, 4, 5])
    groups = ["", "anna", "anna", "", "", ""]
    far = 2**64 - 2**40
    hashes = np.array([0, 2**40 - 1, 2**20 - 1, far, far + 7, far + 2**30 - 1], np.uint64)
    assert likeness.clusters(equal, groups).tolist() == [0, 0, 0, 1, 2, 3]
    assert likeness.clusters(equal, groups, hashes).tolist() == [0, 0, 0, 1, 1, 2]


def test_each_image_outside_is_paired_with_the_nearest_one_inside():
    inside = np.array([True, True, True, False, False, False])
    hashes = np.array([0, 0b11, 2**60, 0b111, 2**60, 2**40 - 1], np.uint64)
    assert likeness.copies(hashes, inside) == [(3, 1), (4, 2)]


def test_digits_are_found_among_themselves(digits: Dataset):
    images = digits.train.images[:200]
    hashes = likeness.hashes(np.concatenate([images, images[:20]]))
    pairs = likeness.copies(hashes, np.arange(220) < 200)
    assert [place for place, _ in pairs] == list(range(200, 220))
    assert sum(one == other + 200 for one, other in pairs) >= 18  # two digits may have one hash
