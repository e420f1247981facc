import copy
import functools
import json
import shutil

import pytest
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from digitline.config import own, params
from digitline.model.recipe import Range
from tests import example
from tests.checkout import COMMIT, Checkout


@functools.cache
def settings():
    return YAML(typ="safe").load(example.ALONE)


@pytest.fixture
def edited(tmp_path):
    """Reads params.yaml after an edit of one key, given by its path."""

    def edit(keys: str, value):
        tree = copy.deepcopy(settings())
        *sections, last = keys.split(".")
        section = tree
        for name in sections:
            section = section[name]
        if value is None:
            del section[last]
        else:
            section[last] = value
        (tmp_path / "params.yaml").write_text(json.dumps(tree))  # JSON is YAML, and takes no time to write
        return params.read(tmp_path / "params.yaml")

    return edit


def test_params_yaml_fits_the_code():
    study = {"fc", "conv1", "conv2", "conv2_relu", "conv2_dropout", "conv2_wide", "modern"}
    assert study <= set(example.read().variants)
    assert params.read()  # in a project of one's own, another one


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("variants.conv2.epohcs", 3, "variants.conv2.epohcs is not known; did you mean 'epochs'?"),
        ("variants.conv2.epochs", "ten", "variants.conv2.epochs is 'ten', expected a valid integer"),
        ("variants.conv2.epochs", 0, "variants.conv2.epochs is 0, expected greater than 0"),
        ("variants.conv2.epochs", None, "variants.conv2.epochs is missing"),
        ("variants.conv2.learning_rate", "1e", "variants.conv2.learning_rate is '1e', expected a valid number"),
        ("variants.conv2.model.network", "plane", "variants.conv2.model.network is 'plane'; did you mean 'plain'?"),
        ("variants.conv2.model.activation", "rleu", "expected 'sigmoid', 'tanh', 'relu' or 'gelu'"),
        ("variants.conv2.model.filters", 20, "variants.conv2.model.filters is 20, expected a valid list"),
        ("variants.conv2.model.classes", 10, "variants.conv2.model.classes is not known"),
        ("variants.conv2.model", None, "variants.conv2.model is missing"),
        ("variants.conv2.augmentation", {"rotate": 3}, "variants.conv2.augmentation.rotate is not known"),
        ("variants", {}, "params.yaml.variants is {}"),
        ("search.modren", {"epochs": [1, 2]}, "a variant of search is 'modren'; did you mean 'modern'?"),
        ("search.fc", {"epohcs": [1, 2]}, "search.fc.epohcs is not known; did you mean 'epochs'?"),
        ("search.fc", {"epochs": 3}, "search.fc.epochs is 3, expected a list of two or more values, or low and high"),
        ("search.fc", {"epochs": [3, "many"]}, "search.fc.epochs is 'many', expected a valid integer"),
        ("search.fc", {"momentum": {"low": 0.5, "high": 1}}, "search.fc.momentum is 1, expected less than 1"),
        ("search.fc", {"momentum": {"low": 0.5}}, "search.fc.momentum.high is missing"),
        ("search.fc", {"momentum": {"low": 0.5, "hi": 0.9}}, "search.fc.momentum.hi is not known"),
        ("search.fc", {"momentum": {"low": 0.5, "high": 0.4}}, "momentum.low is 0.5, expected less than search.fc.m"),
        ("search.fc", {"warmup": {"low": 0, "high": 0.4, "log": True}}, "search.fc.warmup.low is 0, expected greater"),
        ("search.fc", {"model": {"hiden": [50, 100]}}, "search.fc.model.hiden is not known; did you mean 'hidden'?"),
        (
            "search.conv2",
            {"model": {"kernel": {"low": 3, "high": 19}}},
            "search.conv2.model.filters has 2 layers of 19x",
        ),
        ("search.fc", {"epochs": {"all": [1, 2]}}, "search.fc.epochs is {'all': 1}, expected a valid integer"),
        ("recipe.optimizer", "Adam", "optimizer is 'Adam', expected 'SGD' or 'AdamW'"),
        ("recipe.bfloat16", 1, "bfloat16 is 1, expected a valid boolean"),
        ("seeds", [], "params.yaml.seeds is [], expected at least 1"),
        ("seeds", [1, 1], "seeds is [1, 1], expected distinct numbers"),
        ("seeds", ["a"], "params.yaml.seeds.0 is 'a', expected a valid integer"),
        ("split.validation", -5, "split.validation is -5, expected greater than 0"),
        ("gate.margni", 0.1, "gate.margni is not known; did you mean 'margin'?"),
        ("gate.minimum_accuracy", 99, "gate.minimum_accuracy is 99, expected less than or equal to 1"),
        (
            "variants.modern.outliers",
            {"image": 9},
            "variants.modern.outliers.image is not known; did you mean 'images'?",
        ),
        ("variants.modern.outliers", {"images": 32}, "variants.modern.outliers.weight is missing"),
        ("variants.modern.outliers", {"images": 0, "weight": 1}, "outliers.images is 0, expected greater than 0"),
        ("variants.modern.outliers", {"images": 9, "weight": -1}, "outliers.weight is -1, expected greater than 0"),
        ("variants.modern.outliers", 32, "variants.modern.outliers is 32, expected a valid dictionary"),
        ("datasets.mnist.outliers", "fonts", "datasets.mnist.outliers is 'fonts', expected 'none' or 'drawn'"),
        ("datasets.mnist.outliers", None, "datasets.mnist.outliers is missing"),
        ("gate.minimum_doubted", 90, "gate.minimum_doubted is 90, expected less than or equal to 1"),
        ("gate.minimum_recall", 1.5, "gate.minimum_recall is 1.5, expected less than or equal to 1"),
        ("gate.minimum_recall", {"7": "all"}, "gate.minimum_recall.7 is 'all', expected a valid number"),
        ("gate.minimum_recall", {"seven": 0.9}, "the class of gate.minimum_recall is 'seven'; expected one of 0, 1,"),
        ("select_by", "f1", "params.yaml.select_by is 'f1', expected 'accuracy', 'balanced_accuracy', 'macro_f1' or"),
        ("recipe.sampling", "even", "sampling is 'even', expected 'random' or 'balanced'"),
        ("recipe.shards", 65, "shards is 65, expected less than or equal to 64"),
        ("variants.conv2.shards", 3, "variants.conv2.shards is 3, expected a divisor of batch_size: 128 / 3 = 42.6667"),
        (
            "variants.modern.shards",
            64,
            "variants.modern.shards is 64, expected a divisor of outliers.images: 32 / 64 = 0.5",
        ),
        ("dataset", "mnits", "dataset is 'mnits'; did you mean 'mnist'?"),
        ("datasets.mnist.classes", ["one"], "datasets.mnist.classes is ['one'], expected at least 2"),
        (
            "datasets.mnist.source.files.train-images-idx3-ubyte",
            "ba89",
            "ubyte is 'ba89', expected the 64 digits that sha256sum prints, or md5: and the 32 that md5sum prints",
        ),
        ("datasets.mnist.source.archive", "a.zip", "datasets.mnist.source has files and archive of files, archive"),
        (
            "datasets.mnist.image.channels",
            3,
            "datasets.mnist.preparation is mnist, which makes grey images of 28x28; expected letterbox or crop for",
        ),
        ("extra", 1, "params.yaml.extra is not known"),
    ],
)
def test_a_mistake_is_named(edited, key, value, sentence):
    with pytest.raises(InputError) as refusal:
        edited(key, value)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["a: [1, 2", "- 1\n- 2\n", ""])
def test_a_file_that_is_no_params_is_refused(text, tmp_path):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml is"):
        params.read(tmp_path / "params.yaml")


def test_between_whole_ends_lie_whole_numbers_only_where_the_key_takes_no_others(edited):
    ways = {"epochs": {"low": 2, "high": 8}, "weight_decay": {"low": 0, "high": 1}, "model": {"hidden": [50, 100]}}
    found = edited("search.fc", ways).search["fc"]
    assert found == {"epochs": Range(2, 8), "weight_decay": Range(0.0, 1.0), "model.hidden": [50, 100]}
    assert [type(end) for end in (found["epochs"].low, found["weight_decay"].low)] == [int, float]


def test_accuracy_ranks_where_nothing_else_is_named(edited):
    assert edited("select_by", None).select_by == "accuracy"
    assert edited("select_by", "macro_f1").select_by == "macro_f1"


@pytest.mark.parametrize("minimum", [0.9, {"7": 0.9, "4": 1}])
def test_a_recall_may_be_wanted_of_every_class_or_of_named_ones(edited, minimum):
    assert edited("gate.minimum_recall", minimum).gate["minimum_recall"] == minimum


def test_a_variants_own_key_wins_over_the_recipe(edited):
    read = edited("variants.conv2.batch_size", 77)
    assert read.variants["conv2"].recipe["batch_size"] == 77
    assert read.variants["fc"].recipe["batch_size"] != 77


@pytest.mark.parametrize(
    ("name", "classes", "image"),
    [
        ("fashion", 10, (28, 28, 1)),
        ("kmnist", 10, (28, 28, 1)),
        ("qmnist", 10, (28, 28, 1)),
        ("emnist_digits", 10, (28, 28, 1)),
        ("emnist_letters", 26, (28, 28, 1)),
        ("emnist_balanced", 47, (28, 28, 1)),
        ("cifar10", 10, (32, 32, 3)),
        ("cifar100", 100, (32, 32, 3)),
    ],
)
def test_each_data_set_that_ships_has_a_valid_entry(tmp_path, name, classes, image):
    path = tmp_path / "params.yaml"
    shutil.copy(example.SETTINGS, path)
    own.use(path, name)
    read = params.read(path)
    assert len(set(read.classes)) == classes
    assert read.image == image


def test_drawn_outliers_are_grey(tmp_path):
    path = tmp_path / "params.yaml"
    content = example.WHOLE.replace("preparation: crop, \n      outliers: none", "preparation: crop, outliers: drawn")
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"^datasets.cifar10.outliers is drawn, expected none: the images are in colo"):
        params.read(path)


def test_mirrors_may_be_left_out(edited):
    assert "mirrors" not in edited("datasets.mnist.source.mirrors", None).source


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Checkout:
    """A repository of DVC's with this params.yaml and a stage that does nothing."""
    made = Checkout(tmp_path_factory.mktemp("params"))
    shutil.copy(example.SETTINGS, made.folder / "params.yaml")
    (made.folder / "dvc.yaml").write_text("stages: {nothing: {cmd: 'true', params: [gate]}}")
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["git", "add", "-A"], COMMIT):
        assert made.run(*words).returncode == 0
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "lines"),
    [
        ("variants.conv2.epochs=3", "1\t1"),
        ("+variants.conv2_relu.learning_rate=0.01", "1\t0"),  # a key that the variant has from the recipe
        ("votes=[]", "1\t2"),
    ],
)
def test_dvc_changes_the_lines_of_the_key_that_is_set_and_no_other(repository, setting, lines):
    """The file has the form that DVC's writer leaves alone: `dvc exp run -S` makes a difference that one can read."""
    done = repository.run("dvc", "exp", "run", "-S", setting)
    assert done.returncode == 0, done.stderr
    assert repository.run("git", "diff", "--numstat", "params.yaml").stdout == f"{lines}\tparams.yaml\n"
    assert params.read(repository.folder / "params.yaml")
    assert repository.run("git", "checkout", "-q", ".").returncode == 0
