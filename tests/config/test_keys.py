"""A record of keys and the function that takes them say the same."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from digitline.base.errors import InputError
from digitline.config.keys import check
from digitline.data import archives, dataset, entry, expectations, pictures, sources
from digitline.measure import robustness
from digitline.measure.sample import Sample
from digitline.model import augmentation, networks, recipe, training
from digitline.registry import gate
from digitline.registry.limits import Limits

GIVEN = {"folders", "classes", "image", "report", "timeout", "pause", "name"}  # to what fetches
TAKEN: dict[str, tuple[type, Callable[..., Any], set[str]]] = {  # with the arguments that are not from params.yaml
    "files": (entry.Files, sources.fetch, GIVEN),
    "archive": (entry.Archive, archives.fetch, GIVEN),
    "manifest": (
        entry.Pictures,
        pictures.fetch,
        {"path", "classes", "image", "preparation", "folder", "decoded", "name"},
    ),
    "bounds": (entry.Bounds, expectations.rules, {"classes", "image"}),
    "split": (entry.Split, dataset.split, {"part", "groups"}),
    "plain": (recipe.Plain, networks.NETWORKS["plain"], {"classes", "image"}),
    "modern": (recipe.Modern, networks.NETWORKS["modern"], {"classes", "image"}),
    "recipe": (recipe.Recipe, training.fit, {"model", "training", "validation", "seed", "group", "keep"}),
    "augmentation": (recipe.Augmentation, augmentation.warp, {"images", "generator"}),
    "robustness": (Sample, robustness.changes, {"part"}),
    "gate": (Limits, gate.judge, {"challenger", "champion", "on", "select_by"}),
}


def keys(of: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The annotation and the default of each parameter."""
    return {name: (p.annotation, p.default) for name, p in inspect.signature(of, eval_str=True).parameters.items()}


@pytest.mark.parametrize("section", TAKEN)
def test_a_record_has_the_keys_annotations_and_defaults_of_what_takes_it(section: str) -> None:
    record, taker, elsewhere = TAKEN[section]
    taken = keys(taker)
    assert elsewhere <= set(taken)
    assert keys(record) == {name: key for name, key in taken.items() if name not in elsewhere}


def test_a_variant_may_name_exactly_the_existing_networks() -> None:
    assert list(recipe.NETWORKS) == list(networks.NETWORKS)


class Record(NamedTuple):
    sides: list[int]
    name: str = "none"
    least: float | dict[str, float] = 0.0


def test_a_valid_section_is_returned_unchanged() -> None:
    section = {"sides": [28, 28]}
    assert check("shape", Record, section) == section


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ([1], "shape is [1], expected keys and values"),
        ({"sides": [28], "nmae": "a"}, "shape.nmae is not known; did you mean 'name'?"),
        ({"sides": [28], "q": "a"}, "shape.q is not known; expected one of sides, name, least"),
        ({"name": "a"}, "shape.sides is missing"),
        ({"sides": [28, "x"]}, "shape.sides.1 is 'x', expected a valid integer"),
        ({"sides": [28], "least": "x"}, "shape.least is 'x', expected a valid number"),
        ({"sides": [28], "least": {"a": "x"}}, "shape.least.a is 'x', expected a valid number"),
        ({"sides": [28], "least": {1: 0.5}}, "shape.least.1 is 1, expected a valid string"),
        ({"sides": [28], "name": 5}, "shape.name is 5, expected a valid string"),
    ],
)
def test_a_key_that_does_not_fit_the_record_is_named(section: Any, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        check("shape", Record, section)
    assert str(refusal.value) == sentence
