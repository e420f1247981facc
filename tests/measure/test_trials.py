"""A network trained here, tested with digits on sheets of paper, letters and scribbles."""

from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from digitline.data import prepare
from digitline.data.dataset import Dataset, Part
from digitline.measure import photographs, robustness, trials, uncertainty
from digitline.model import networks
from digitline.model.evaluation import predict
from digitline.model.scores import accuracy
from digitline.model.training import fit
from tests import example

pytestmark = pytest.mark.slow

SOME = 250  # test images


class Trained(NamedTuple):
    model: nn.Module
    above: float  # the entropy that one in a hundred validation images exceeds


@pytest.fixture(scope="module")
def trained(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The study's modern network after three epochs of 20,000 images."""
    kept, held = (Part(*(array[part].copy() for array in mnist.train)) for part in (slice(20_000), slice(-5000, None)))
    variant = example.read().variants["modern"]
    torch.manual_seed(1)
    model = networks.build(**variant.model, classes=10)
    keep: Path = tmp_path_factory.mktemp("trained") / "standing.safetensors"
    for _ in fit(model, kept, held, seed=1, keep=keep, **{**variant.recipe, "epochs": 3, "outliers": None}):
        pass
    return Trained(model, uncertainty.threshold(softmax(predict(model, held.images), 1)))


def test_mnist_enlarged_off_centre_on_dark_or_light_as_png_or_jpeg_loses_next_to_nothing(
    trained: Trained, mnist: Dataset
) -> None:
    """The preparation of a sheet of paper loses at most one image."""
    raw, sheets = trials.parity(trained.model, Part(*(array[:SOME].copy() for array in mnist.test)))
    assert raw > 0.97
    assert raw - sheets <= 1 / SOME


def test_scikit_learn_s_digits_are_recognised_without_training_on_them(trained: Trained) -> None:
    """A network trained only on MNIST recognises the 8x8 digits of another collection."""
    from studies.handwriting import scikit  # scikit-learn takes a second to import

    images, labels = (array[::4] for array in scikit())
    assert accuracy(predict(trained.model, trials.from_sheets(images)), labels) >= 0.95


def test_corruptions_are_those_of_the_leaderboard_over_every_image(trained: Trained, mnist: Dataset) -> None:
    """The trials' accuracy on corrupted images is the leaderboard's, with an interval."""
    few = Part(*(array[:100].copy() for array in mnist.test))
    found = trials.corrupted(trained.model, few)
    assert found["mean"] == pytest.approx(
        robustness.corrupted(robustness.accuracies(trained.model, robustness.changes(few, images=len(few.labels))))
    )
    assert found["mean"] == pytest.approx(fmean(found["families"].values()))
    low, high = found["interval"]
    assert low < found["mean"] < high < low + 0.1


def test_letters_and_scribbles_are_doubted_and_one_real_digit_in_a_hundred(trained: Trained, mnist: Dataset) -> None:
    """The threshold from validation doubts as few test digits, and many images without a digit."""
    alarms = trials.doubted(trained.model, mnist.test.images[: 20 * SOME].copy(), trained.above)
    assert alarms == pytest.approx(0.01, abs=0.005)
    strangers = {"letters": trials.letter, "scribbles": trials.scribble}
    found = photographs.doubts(trained.model, strangers, 150, above=trained.above, seed=0)
    assert min(found.values()) > 0.3


def test_digits_with_the_ink_dark_instead_of_light_are_doubted(trained: Trained, mnist: Dataset) -> None:
    assert trials.doubted(trained.model, 255 - mnist.test.images[:SOME], trained.above) >= 0.9


def test_a_sheet_is_dark_or_light_and_a_png_or_jpeg(digits: Dataset) -> None:
    """The trials' sheets have both papers and both formats."""
    sheets = [trials.sheet(digits.test.images[0], np.random.default_rng(seed)) for seed in range(20)]
    assert {data[:2] for data in sheets} == {b"\x89P", b"\xff\xd8"}
    opened = [np.asarray(prepare.open_picture(data)) for data in sheets]
    assert {bool(pixels[0, 0] > 127) for pixels in opened} == {True, False}
