import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import entry
from digitline.config import paths
from digitline.config.keys import check
from digitline.data import datadocs, dataset, expectations, retraining
from digitline.data.dataset import Bytes, Dataset, Part
from digitline.data.entry import MNIST, Bounds
from digitline.data.expectations import Finding, Outcome
from pipeline import validate
from tests import example

# Great Expectations imports modules that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")

CLASSES = list("0123456789")

Edit = Callable[[Bytes, Bytes], Any]  # of a split's images and labels, in place


@pytest.fixture(scope="module")
def bounds() -> dict[str, Any]:
    """MNIST's own bounds, without the number of images and the shares of classes, which few digits do not have."""
    own = example.read().bounds
    return {key: value for key, value in own.items() if key not in ("images", "class_share")}


def outcome(data: Dataset, **bounds: Any) -> Outcome:
    return expectations.validate(
        expectations.features(data), expectations.rules(classes=CLASSES, image=MNIST, **bounds)
    )


def failed(findings: list[Finding]) -> dict[str, set[str]]:
    """The names of failed expectations, by severity."""
    return {
        severity: {finding.name for finding in findings if finding.severity == severity and not finding.success}
        for severity in ("critical", "warning")
    }


def edited(digits: Dataset, *, train: Edit | None = None, test: Edit | None = None) -> Dataset:
    parts = [Part(part.images.copy(), part.labels.copy()) for part in digits]
    for part, edit in zip(parts, (train, test), strict=True):
        if edit:
            edit(part.images, part.labels)
    return Dataset(*parts)


def put(where: Any, value: Any) -> Edit:
    return lambda images, labels: images.__setitem__(where, value)


def test_features_are_those_counted_by_hand():
    image = np.zeros((28, 28), np.uint8)
    image[4:6, 10:13] = 255
    image[5, 12] = 60
    (row,) = expectations.measured(Part(image[None], np.array([3], np.uint8))).to_dict("records")
    total = 5 * 255 + 60
    assert (row["label"], row["class_share"]) == (3, 1)
    assert (row["height"], row["width"], row["darkest"], row["brightest"], row["contrast"]) == (28, 28, 0, 255, 255)
    assert row["mean"] == pytest.approx(total / 784)
    assert row["ink"] == pytest.approx(6 / 784)
    assert row["saturated"] == pytest.approx(5 / 784)
    assert row["box"] == 3
    assert row["centre_row"] == pytest.approx((4 * 3 * 255 + 5 * (2 * 255 + 60)) / total)
    assert row["centre_column"] == pytest.approx((10 * 510 + 11 * 510 + 12 * 315) / total)


def test_a_blank_image_has_no_box_and_no_centre():
    (row,) = expectations.measured(Part(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))).to_dict("records")
    assert (row["contrast"], row["ink"], row["box"]) == (0, 0, 0)
    assert np.isnan(row["centre_row"])


def test_all_of_mnist_is_as_its_bounds_say(mnist):
    found = outcome(mnist, **example.read().bounds).findings
    assert [finding for finding in found if not finding.success] == []
    assert len(found) > 30


def test_real_digits_hold(digits, bounds):
    assert failed(outcome(digits, **bounds).findings) == {"critical": set(), "warning": set()}


def each(change: Callable[[Bytes], Bytes]) -> Edit:
    return lambda images, labels: images.__setitem__(slice(None), change(images))


def first(change: Callable[[Bytes], Bytes]) -> Edit:
    return lambda images, labels: images.__setitem__(0, change(images[0]))


STOPPED: dict[str, tuple[Edit, str]] = {
    "a label beyond the classes": (lambda images, labels: labels.__setitem__(5, 10), "label"),
    "a class that is not there": (lambda images, labels: labels.__setitem__(labels == 7, 1), "train: label"),
    "many empty images": (put(slice(500), 0), "contrast (0 in an empty image)"),
    "pixels from 0 to 1": (each(lambda images: images // 255), "brightest pixel"),
    "dark on light": (each(lambda images: 255 - images), "darkest pixel"),
    "off-centre": (each(lambda images: np.roll(images, 3, 2)), "column of the ink's centre of mass"),
    "a speck in the corner": (put((slice(None), 0, 0), 9), "longer side of the ink's bounding box"),
    "hardly any ink": (each(lambda images: np.where(images > 254, images, 0)), "share of pixels with ink"),
}
WARNED: dict[str, tuple[Edit, str]] = {
    "one empty image": (put(0, 0), "contrast (0 in an empty image)"),
    "one saturated image": (put(0, 255), "share of pixels at 255 (1 in a saturated image)"),
    "one off-centre": (first(lambda image: np.roll(image, 3, 0)), "row of the ink's centre of mass"),
    "one repeated": (lambda images, labels: images.__setitem__(1, images[0]), "train: pixels"),
}


@pytest.mark.parametrize("case", STOPPED)
def test_a_fault_of_many_images_stops_the_pipeline(digits, bounds, case):
    edit, name = STOPPED[case]
    assert name in failed(outcome(edited(digits, train=edit), **bounds).findings)["critical"]


@pytest.mark.parametrize("case", WARNED)
def test_a_fault_of_one_image_warns(digits, bounds, case):
    edit, name = WARNED[case]
    found = failed(outcome(edited(digits, train=edit), **bounds).findings)
    assert found["critical"] == set()
    assert name in found["warning"]


def test_a_test_image_in_the_training_set_stops_the_pipeline(digits, bounds):
    leaking = edited(digits, test=put(3, digits.train.images[8]))
    result = outcome(leaking, **bounds)
    assert failed(result.findings)["critical"] == {"test: copies among the training images"}
    (finding,) = [finding for finding in result.findings if finding.name.startswith("test: copies")]
    assert finding.rows == [len(digits.train.labels) + 3]
    assert finding.observed == "0 to 1, 1 of 200 images not as expected"
    assert not failed(outcome(leaking, **bounds, leakage=0.01).findings)["critical"]


def test_the_number_of_images_is_checked(digits, bounds):
    found = outcome(digits, **bounds, images={"train": 1000, "test": 201}).findings
    assert failed(found)["critical"] == {"test: images"}
    assert (found[1].observed, found[1].expected) == ("200", "201")


def test_an_unbalanced_class_warns_without_declared_bounds(digits):
    few = digits.train.labels != 4
    few[:50] = True
    unbalanced = digits._replace(train=Part(*(array[few] for array in digits.train)))
    found = failed(outcome(unbalanced).findings)
    assert found == {"critical": set(), "warning": {"share of the image's class in its split"}}


def test_images_of_another_size_stop_the_pipeline(digits):
    wide = Dataset(*(Part(np.pad(part.images, ((0, 0), (0, 0), (0, 4))), part.labels) for part in digits))
    assert failed(outcome(wide).findings)["critical"] == {"width in pixels"}


def test_another_kind_of_images_needs_no_bounds(digits):
    noise = np.random.default_rng(0)
    textures = Dataset(*(Part(noise.integers(0, 256, part.images.shape, np.uint8), part.labels) for part in digits))
    assert failed(outcome(textures).findings) == {"critical": set(), "warning": set()}


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"inc": [0, 1]}, "bounds.inc is not known; did you mean 'ink'?"),
        ({"ink": [0.1]}, r"bounds\.ink is \[0\.1\], expected at least 2"),
        ({"ink": ["low", 1]}, "bounds.ink.0 is 'low', expected a valid number"),
        ({"leakage": 2}, "bounds.leakage is 2, expected less than or equal to 1"),
        ({"images": {"training": 5}}, "bounds.images.training"),
    ],
)
def test_a_wrong_bound_is_refused_by_name(section, sentence):
    with pytest.raises(InputError, match=sentence):
        check("bounds", Bounds, section)


def test_a_bound_in_the_wrong_order_is_refused_by_name():
    with pytest.raises(InputError, match=r"the bounds of ink are 0\.5 and 0\.1, expected the lower one first"):
        expectations.rules(classes=CLASSES, image=MNIST, ink=[0.5, 0.1])


def test_the_page_needs_no_network_and_is_the_same_each_time(digits, bounds):
    spoiled = edited(digits, train=put(0, 0))
    table = expectations.features(spoiled)
    first, second = (datadocs.page("mnist", "0" * 64, spoiled, table, outcome(spoiled, **bounds)) for _ in range(2))
    assert first == second
    assert "Passed with warnings" in first
    assert "<script" not in first
    assert {link.split(":")[0] for link in re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", first)} == {
        "data"
    }


@pytest.fixture
def ended(tmp_path, monkeypatch, capsys) -> Callable[[Dataset], tuple[int, str]]:
    """Runs the stage in its own folder; returns the exit status and stderr."""

    def run(data: Dataset) -> tuple[int, str]:
        tree = YAML(typ="safe").load(example.SETTINGS)
        bounds = tree["datasets"]["mnist"]["bounds"]
        del bounds["class_share"]
        tree["split"]["validation"] = 100
        bounds["images"] = {split: len(part.labels) for split, part in data._asdict().items()}
        YAML(typ="safe").dump(tree, tmp_path / "params.yaml")
        (tmp_path / "data").mkdir()
        dataset.save(data, tmp_path / paths.DATASET)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["validate"])
        try:
            entry.run(validate.validate)
        except SystemExit as end:
            return 1, str(end)
        return 0, capsys.readouterr().err

    return run


def test_the_stage_stops_with_one_sentence_and_leaves_its_report(digits, ended):
    code, said = ended(edited(digits, train=put(slice(500), 0)))
    assert (code, said.count("\n")) == (1, 0)
    assert said.startswith("error: mnist cannot be used for training: brightest pixel: 0 to 255, 500 of 1200 images")
    assert "(datasets.mnist.bounds.brightest sets this)" in said
    report = json.loads(paths.VALIDATION.read_text())
    assert not report["success"]
    assert report["sha256"] == digest(paths.DATASET)
    assert "Stopped" in paths.DATA_DOCS.read_text()


def test_the_stage_names_the_key_where_test_images_are_in_training(digits, ended):
    """As in Fashion-MNIST, of which ten are."""
    _, said = ended(edited(digits, test=put(3, digits.train.images[8])))
    assert "copies among the training images: 0 to 1, 1 of 200 images not as expected" in said
    assert "(datasets.mnist.bounds.leakage sets this)" in said


def test_the_stage_continues_and_prints_a_line_per_warning(digits, ended):
    code, said = ended(edited(digits, train=lambda images, labels: images.__setitem__(1, images[0])))
    warning = "train: pixels: 2 of 1000 images not as expected, expected unique in all images"
    assert (code, said) == (0, f"warning: {warning} (datasets.mnist.bounds.duplicates sets this)\n")
    assert json.loads(paths.VALIDATION.read_text())["success"]


def test_the_expectations_of_the_data_decide_about_each_correction(drawings: dataset.Bytes, digits: Dataset) -> None:
    faint, small = drawings[1] // 3, np.zeros((28, 28), np.uint8)
    small[12:16, 12:16] = drawings[2][10:14, 12:16]
    copies = digits.train.images[5], digits.test.images[5]
    part = Part(np.stack([drawings[0], faint, small, *copies]), np.zeros(5, np.uint8))
    bounds = {name: bound for name, bound in example.read().bounds.items() if name != "images"}
    good, *bad = retraining.reasons(part, digits, classes=list("0123456789"), **bounds)
    assert good == []
    for found, name in zip(
        bad, ["brightest pixel 85", "longer side of the ink's bounding box", *["copies"] * 2], strict=True
    ):
        assert name in "; ".join(found)
