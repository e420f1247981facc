import pytest
from dvc.utils.serialize import modify_yaml

from digitline.base.errors import InputError
from digitline.config import own, params
from tests import example

FLOWERS = """\
  flowers:
    classes: [rose, tulip]
    image: {height: 64, width: 48, channels: 3}
    preparation: letterbox
    outliers: none
    source: {files: {}, mirrors: []}
    bounds: {images: {train: 400}}
    split:
      validation: 300  # a quarter of them
      seed: 0
    gate:  # a floor
      minimum_accuracy: 0.6
      margin: 0.1
      latency_ms: 20
      size_mb: 10
    select_by: macro_f1
"""
LETTERS = """\
  letters:
    classes: [a, b]
    image: {}
    preparation: crop
    outliers: none
    source: {files: {}, mirrors: []}
    bounds: {}
    variants:
      small:  # one of its own
        model: {network: modern, widths: [8, 8, 8, 8]}
        epochs: 1
    search: {}
    votes: []
"""


@pytest.fixture
def file(tmp_path):
    """params.yaml with two more data sets, which have sections of their own."""
    path = tmp_path / "params.yaml"
    path.write_text(example.ALONE + FLOWERS + LETTERS, encoding="utf-8")
    return path


def sections(path):
    read = params.read(path)
    return read.dataset, read.split["validation"], read.gate["minimum_accuracy"], set(read.variants), set(read.votes)


def test_a_data_set_comes_into_use_with_its_own_sections_and_all_others_as_they_were(file):
    before = sections(file)
    assert own.use(file, "flowers") == "dataset is flowers, with its own split, gate, select_by"
    assert sections(file) == ("flowers", 300, 0.6, *before[3:])
    assert own.use(file, "letters") == "dataset is letters, with its own variants, search, votes"
    assert sections(file) == ("letters", *before[1:3], {"small"}, set())
    own.use(file, "mnist")
    assert sections(file) == before


def test_a_way_there_and_back_over_others_leaves_every_byte(file):
    for names in (["flowers", "mnist"], ["letters", "mnist"], ["flowers", "letters", "flowers", "mnist"]):
        for name in names:
            own.use(file, name)
        assert file.read_text(encoding="utf-8") == example.ALONE + FLOWERS + LETTERS


def test_what_moves_keeps_its_comments_and_the_rest_its_own(file):
    own.use(file, "flowers")
    text = file.read_text(encoding="utf-8")
    assert "dataset: flowers  # an entry of datasets, below\n" in text
    assert "\nsplit:\n  validation: 300  # a quarter of them\n  seed: 0\n\nrecipe:" in text
    assert "    gate:  # the conditions for a champion\n      minimum_accuracy: 0.99  # on validation\n" in text


def test_entries_and_sections_on_one_line_become_lines(file):
    short = "  few: {classes: [a, b], image: {}, preparation: crop, outliers: none, bounds: {}"
    short += ", source: {files: {}, mirrors: []}"
    file.write_text(f"{example.ALONE}{short}, split: {{validation: 7, seed: 1}}}}\n", encoding="utf-8")
    own.use(file, "few")
    assert params.read(file).split == {"validation": 7, "seed": 1}


def test_where_nothing_moves_one_line_changes(file):
    """Entries within braces stay as they are."""
    file.write_text(example.WHOLE, encoding="utf-8")
    own.use(file, "kmnist")
    assert file.read_text(encoding="utf-8") == example.WHOLE.replace("dataset: mnist ", "dataset: kmnist ")


def test_the_file_has_the_form_that_dvc_s_writer_leaves_alone(file):
    for name in ("flowers", "letters", "mnist"):
        own.use(file, name)
        text = file.read_text(encoding="utf-8")
        with modify_yaml(file):
            pass
        assert file.read_text(encoding="utf-8") == text


def test_a_data_set_chosen_by_hand_that_has_sections_of_its_own_is_refused_until_it_is_put_to_use(file):
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("dataset: mnist", "dataset: flowers"), encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        params.read(file)
    assert str(refusal.value) == "datasets.flowers has its own split, gate, select_by; run digitline use flowers"
    before = example.ALONE + FLOWERS
    file.write_text(before.replace("dataset: mnist", "dataset: flowers"), encoding="utf-8")
    own.use(file, "flowers")
    assert sections(file)[:3] == ("flowers", 300, 0.6)
    file.write_text(file.read_text(encoding="utf-8").replace("dataset: flowers", "dataset: mnist"), encoding="utf-8")
    own.use(file, "mnist")  # the sections at the top can only be those of flowers
    assert file.read_text(encoding="utf-8") == before


def test_sections_at_the_top_that_may_be_of_two_data_sets_are_left_to_the_user(file):
    own.use(file, "flowers")
    more = file.read_text(encoding="utf-8").replace("dataset: flowers", "dataset: mnist")
    file.write_text(more, encoding="utf-8")
    with pytest.raises(InputError, match="set dataset back to that data set"):
        own.use(file, "mnist")
    assert file.read_text(encoding="utf-8") == more


def test_a_section_of_its_own_needs_one_at_the_top_to_change_places_with(file):
    file.write_text(own.without(file.read_text(encoding="utf-8"), "search"), encoding="utf-8")
    with pytest.raises(InputError, match="letters has its own search, but "):
        own.use(file, "letters")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("minimum_accuracy: 0.6", "minimum: 0.6", "datasets.flowers.gate.minimum is not known"),
        ("validation: 300", "validation: -1", "datasets.flowers.split.validation is -1, expected greater than 0"),
        (
            "validation: 300",
            "validation: 400",
            "datasets.flowers.split.validation is 400, expected less than the 400 training images of datasets.flowers",
        ),
        ("validation: 5000", "validation: 60000", "split.validation is 60000, expected less than the 60000 training"),
        ("epochs: 1\n    search", "epoch: 1\n    search", "datasets.letters.variants.small.epoch is not known"),
        ("widths: [8, 8, 8, 8]", "filters: [8]", "datasets.letters.variants.small.model.filters is not known"),
        ("votes: []", "votes: [modern]", "datasets.letters.votes.0 is 'modern'; expected one of small"),
        ("    votes: []\n", "", "datasets.letters.votes is missing"),
        ("    search: {}\n", "", "datasets.letters.search is missing: datasets.letters.variants has other names"),
        ("    votes: []\n", "    votes: []\n    recipe: {epoch: 3}\n", "datasets.letters.recipe.epoch is not known"),
        ("preparation: crop", "preparation: crap", "datasets.letters.preparation is 'crap'"),
    ],
)
def test_a_mistake_in_a_data_set_that_is_not_in_use_is_named(file, old, new, sentence):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        params.read(file)
    assert str(refusal.value).startswith(sentence)


def test_an_unknown_data_set_leaves_the_file(file):
    before = file.read_bytes()
    with pytest.raises(InputError, match="dataset is 'flower'; did you mean 'flowers'"):
        own.use(file, "flower")
    assert file.read_bytes() == before
