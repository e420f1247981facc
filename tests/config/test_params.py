import shutil

import pytest
from ruamel.yaml import YAML

from digitline.base.errors import InputError
from digitline.config import params
from tests import example
from tests.checkout import COMMIT, Checkout

YAML_FILE = YAML()


@pytest.fixture
def edited(tmp_path):
    """Reads params.yaml after an edit of one key, given by its path."""

    def edit(keys: str, value):
        tree = YAML_FILE.load(example.SETTINGS)
        *sections, last = keys.split(".")
        section = tree
        for name in sections:
            section = section[name]
        if value is None:
            del section[last]
        else:
            section[last] = value
        YAML_FILE.dump(tree, tmp_path / "params.yaml")
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
        ("recipe.optimizer", "Adam", "optimizer is 'Adam', expected 'SGD' or 'AdamW'"),
        ("recipe.bfloat16", 1, "bfloat16 is 1, expected a valid boolean"),
        ("seeds", [], "params.yaml.seeds is [], expected at least 1"),
        ("seeds", [1, 1], "seeds is [1, 1], expected distinct numbers"),
        ("seeds", ["a"], "params.yaml.seeds.0 is 'a', expected a valid integer"),
        ("split.validation", -5, "split.validation is -5, expected greater than 0"),
        ("gate.margni", 0.1, "gate.margni is not known; did you mean 'margin'?"),
        ("gate.minimum_accuracy", 99, "gate.minimum_accuracy is 99, expected less than or equal to 1"),
        ("dataset", "mnits", "dataset is 'mnits'; did you mean 'mnist'?"),
        ("datasets.mnist.classes", ["one"], "datasets.mnist.classes is ['one'], expected at least 2"),
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


def test_a_variants_own_key_wins_over_the_recipe(edited):
    read = edited("variants.conv2.batch_size", 77)
    assert read.variants["conv2"].recipe["batch_size"] == 77
    assert read.variants["fc"].recipe["batch_size"] != 77


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
