from typing import Any

import numpy as np
import pytest

from digitline.base.errors import InputError
from digitline.data import idx
from digitline.data.dataset import Dataset
from digitline.data.entry import MNIST, Shape
from tests import checkout

NAMES = ["train images", "train labels", "test images", "test labels"]
DIGIT = np.zeros((2, 28, 28), np.uint8)
LABEL = np.array([3, 1], np.uint8)
RIGHT = dict(zip(NAMES, (DIGIT, LABEL, DIGIT, LABEL), strict=True))


def read(classes: int = 10, image: Shape = MNIST, changed: dict[str, bytes] | None = None, **options: Any) -> Dataset:
    """The data set in four files of two images, some of them changed."""
    contents = {name: checkout.idx(array) for name, array in RIGHT.items()} | (changed or {})
    return idx.dataset([idx.File(*file) for file in contents.items()], classes, image, **options)


def every(images, labels=LABEL) -> dict[str, bytes]:
    """The same images and labels for training and for test."""
    return dict(zip(NAMES, [checkout.idx(images), checkout.idx(labels)] * 2, strict=True))


WRONG = {
    "labels for images": ("train images", LABEL, "holds labels, expected the IDX magic 00000803 of images"),
    "images for labels": ("train labels", DIGIT, "holds images, expected the IDX magic 00000801 of labels"),
    "a picture": (
        "train images",
        b"\x89PNG\r\n",
        "begins with 89504e47, expected the IDX magic 00000803 of images",
    ),
    "nothing": ("train images", b"", "begins with nothing, expected the IDX magic 00000803 of images"),
    "colours": (
        "train images",
        DIGIT[..., None],
        "holds an array of 4 dimensions, expected the IDX magic 00000803 of images",
    ),
    "a cut array": ("train images", checkout.idx(DIGIT)[:-1], "has 1567 bytes after its header, expected 2x28x28"),
    "a cut header": ("train images", checkout.idx(DIGIT)[:9], "has 0 bytes after its header, expected 2x0x0"),
    "cut numbers": (
        "test labels",
        checkout.idx(np.zeros((2, 8), ">i4"))[:-4],
        "has 60 bytes after its header, expected 2x8 of 4 bytes each",
    ),
    "large images": (
        "train images",
        np.zeros((2, 32, 30), np.uint8),
        "has images of 32x30 pixels, expected 28x28",
    ),
    "no images": ("test images", DIGIT[:0], "has 0 images but test labels has 2 labels"),
    "fewer images": ("train images", DIGIT[:1], "has 1 images but train labels has 2 labels"),
    "a label beyond": ("train labels", LABEL + 7, "has the label 10, expected 0 to 9"),
    "a negative label": ("train labels", np.array([[-1], [2]], ">i4"), "has the label -1, expected 0 to 9"),
}


@pytest.mark.parametrize("case", WRONG)
def test_content_of_the_wrong_kind_is_refused_by_name(case):
    name, content, sentence = WRONG[case]
    with pytest.raises(InputError) as caught:
        read(changed={name: content if isinstance(content, bytes) else checkout.idx(content)})
    assert str(caught.value) == f"{name} {sentence}"


def test_a_label_of_256_classes_is_the_largest():
    labels = np.array([[255], [256]], ">i4")
    with pytest.raises(InputError, match=r"^train labels has the label 256, expected 0 to 255$"):
        read(classes=300, changed=every(DIGIT, labels))


def test_transposed_images_are_turned(digits):
    """As EMNIST has them: its files hold the columns as rows."""
    images = digits.train.images[:2]
    dataset = read(changed=every(images.swapaxes(1, 2)), transpose=True)
    np.testing.assert_array_equal(dataset.train.images, images)
    np.testing.assert_array_equal(dataset.test.images, images)


def test_transposed_images_that_are_not_square_are_told_by_their_shape():
    with pytest.raises(InputError) as caught:
        read(image=Shape(20, 30, 1), changed=every(np.zeros((2, 30, 20), np.uint8)))
    assert str(caught.value) == (
        "train images has images of 30x20 pixels, expected 20x30 (transpose in its source turns them)"
    )


def test_labels_may_count_from_one():
    """As EMNIST's letters do."""
    labels = np.array([26, 1], np.uint8)
    assert read(26, changed=every(DIGIT, labels), first_label=1).train.labels.tolist() == [25, 0]
    with pytest.raises(InputError) as caught:
        read(26, changed=every(DIGIT, labels))
    assert str(caught.value) == (
        "train labels has the label 26, expected 0 to 25 (first_label: 1 in its source counts from there)"
    )
    with pytest.raises(InputError, match=r"^train labels has the label 0, expected 1 to 26$"):
        read(26, changed=every(DIGIT, labels - 1), first_label=1)


def test_of_labels_in_several_columns_the_first_is_the_class():
    """As QMNIST has them: eight columns of integers in 4 bytes, with the writer and the place in NIST's scans."""
    labels = np.array([[5, 4, 2170, 2, 35, 241000, 0, 0], [0, 0, 1, 3, 30, 0, 0, 0]], ">i4")
    dataset = read(changed=every(DIGIT, labels))
    assert dataset.train.labels.tolist() == [5, 0]
    assert dataset.train.labels.dtype == np.uint8


def test_images_in_colour_have_a_fourth_dimension():
    image = Shape(4, 5, 3)
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    np.testing.assert_array_equal(read(image=image, changed=every(pixels)).test.images, pixels)
    with pytest.raises(InputError, match=r"^train images holds images, expected the IDX magic 00000804 of images$"):
        read(image=Shape(28, 28, 3))
    with pytest.raises(InputError, match=r"^train images has images of 4x5x4 pixels, expected 4x5x3$"):
        read(image=image, changed=every(np.zeros((2, 4, 5, 4), np.uint8)))
