import numpy as np
import pytest
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from digitline.config import adoption, own, params
from digitline.data.entry import Shape
from tests import example

IMAGE = Shape(48, 64, 3)
HELD = np.array([0] * 20 + [1] * 10, np.uint8)
DESCRIBED = {
    "classes": ["a", "b: c #d"],
    "image": IMAGE._asdict(),
    "preparation": "crop",
    "outliers": "none",
    "source": {"manifest": "data/flowers.csv", "pictures": "data/flowers", "sha256": "0" * 64},
    "bounds": {"images": {"train": 200, "test": 50}, "mean": [3, 100.5]},
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(example.ALONE, encoding="utf-8")
    return path


def add(file, **changes):
    adoption.add(file, "flowers", {**DESCRIBED, **changes}, adoption.sections(IMAGE, 200, 30, HELD))
    return YAML(typ="safe").load(file)["datasets"]["flowers"]


def test_the_entry_is_valid_and_nothing_else_changes(file):
    before = file.read_text()
    entry = add(file)
    assert file.read_text().startswith(before)
    assert entry["classes"] == ["a", "b: c #d"]
    assert entry["split"] == {"validation": 30, "seed": 0}
    assert entry["votes"] == []
    params.read(file)


def test_the_floor_is_just_above_what_the_largest_class_alone_reaches(file):
    assert add(file)["gate"]["minimum_accuracy"] == 0.667


def test_the_file_keeps_the_form_of_dvc_s_writer(file):
    add(file)
    assert own.dumped(own.parsed(file.read_text())) == file.read_text()


def test_it_can_be_put_to_use_and_back(file):
    add(file)
    before = file.read_text()
    own.use(file, "flowers")
    assert params.read(file).variants.keys() == {"plain", "modern"}
    own.use(file, "mnist")
    assert YAML(typ="safe").load(file) == YAML(typ="safe").load(before)


def test_adopting_again_keeps_what_was_tuned_whether_in_use_or_not(file):
    add(file)
    tree = own.parsed(file.read_text())
    tree["datasets"]["flowers"]["gate"]["minimum_accuracy"] = 0.9
    file.write_text(own.dumped(tree))
    assert add(file, preparation="letterbox")["gate"]["minimum_accuracy"] == 0.9
    own.use(file, "flowers")
    assert "gate" not in add(file, preparation="crop")
    read = params.read(file)
    assert (read.gate["minimum_accuracy"], read.preparation) == (0.9, "crop")


def test_a_name_that_is_taken_or_no_key_is_refused(file):
    with pytest.raises(InputError, match="has a data set mnist already; choose another --name, or add --replace"):
        adoption.free(file, "mnist", replace=False)
    adoption.free(file, "mnist", replace=True)
    for name in ("a.b", "a b", "", "розы", "-a"):
        with pytest.raises(InputError, match=r"cannot be a key of params\.yaml"):
            adoption.free(file, name, replace=False)


@pytest.mark.parametrize(
    ("training", "classes", "validation"), [(8, 2, 4), (200, 10, 30), (100, 20, 40), (10**6, 10, 5000)]
)
def test_validation_is_a_share_with_some_of_each_class(training, classes, validation):
    assert adoption.validation(training, classes) == validation
