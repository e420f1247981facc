"""Reads params.yaml and checks all of it against the keys that the wings declare."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digitline.base.errors import InputError
from digitline.config.keys import check, choose
from digitline.data import entry
from digitline.explain.lessons import Lessons
from digitline.measure.rows import Measure
from digitline.measure.sample import Sample
from digitline.model import recipe
from digitline.registry.limits import Limits

FILE = Path("params.yaml")
VOTE = "_vote"  # after a variant's name


class Variant(NamedTuple):
    model: dict[str, Any]  # keyword arguments of networks.build, without classes
    recipe: dict[str, Any]  # keyword arguments of training.fit, without seed
    parent: str | None = None  # the variant that it is compared with


class Params(NamedTuple):
    dataset: str
    classes: list[str]
    image: entry.Shape
    preparation: entry.Preparation
    source: dict[str, Any]  # keyword arguments of sources.fetch
    bounds: dict[str, Any]  # keyword arguments of expectations.rules
    feedback: str | None  # the SHA-256 of corrections to train with
    split: dict[str, Any]  # keyword arguments of dataset.split
    seeds: list[int]
    recipe: dict[str, Any]  # the defaults of every variant
    variants: dict[str, Variant]
    votes: dict[str, str]  # the name of each row of votes, and the variant whose seeds vote
    robustness: dict[str, Any]  # keyword arguments of robustness.accuracies
    ideas: Lessons
    gate: dict[str, Any]  # keyword arguments of gate.judge
    select_by: Measure  # which ranks

    @property
    def rows(self) -> list[str]:
        """The names of the leaderboard's rows."""
        return [*self.variants, *self.votes]


class Sections(NamedTuple):
    dataset: str
    datasets: dict[str, Any]
    feedback: entry.Sha256 | None
    split: dict[str, Any]
    seeds: Annotated[list[int], Field(min_length=1)]
    recipe: dict[str, Any]
    variants: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    votes: list[str]
    robustness: dict[str, Any]
    ideas: dict[str, Any]
    gate: dict[str, Any]
    select_by: Measure = "accuracy"


def read(path: Path = FILE) -> Params:
    """Reads and checks all of params.yaml, so that a mistake in any section stops the first stage, not the last."""
    if not path.exists():
        raise InputError(f"there is no {path} here; run digitline and the stages in the root of a checkout")
    try:
        tree = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    return checked(Sections(**check(str(path), Sections, tree)))


def checked(tree: Sections) -> Params:
    """Checks each section against its record."""
    if len(set(tree.seeds)) < len(tree.seeds):
        raise InputError(f"seeds is {tree.seeds}, expected distinct numbers")
    where = f"datasets.{tree.dataset}"
    own = check(where, entry.Entry, choose("dataset", tree.dataset, tree.datasets))
    variants = {name: variant(name, tree.recipe, options) for name, options in tree.variants.items()}
    for name, one in variants.items():
        if one.parent is not None:
            choose(f"variants.{name}.parent", one.parent, {other: None for other in variants if other != name})
    return Params(
        dataset=tree.dataset,
        classes=own["classes"],
        image=entry.Shape(**check(f"{where}.image", entry.Shape, own["image"])),
        preparation=own["preparation"],
        source=source(f"{where}.source", own["source"]),
        bounds=check(f"{where}.bounds", entry.Bounds, own["bounds"]),
        feedback=tree.feedback,
        split=check("split", entry.Split, tree.split),
        seeds=tree.seeds,
        recipe=tree.recipe,
        variants=variants,
        votes={vote(place, name, variants): name for place, name in enumerate(tree.votes)},
        robustness=check("robustness", Sample, tree.robustness),
        ideas=Lessons(**check("ideas", Lessons, tree.ideas)),
        gate=gate(tree.gate, own["classes"]),
        select_by=tree.select_by,
    )


def gate(section: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """The gate, whose recalls by name are those of classes."""
    found = check("gate", Limits, section)
    if isinstance(by_name := found.get("minimum_recall"), dict):
        for name in by_name:
            choose("the class of gate.minimum_recall", name, dict.fromkeys(classes))
    return found


def variant(name: str, shared: dict[str, Any], options: dict[str, Any]) -> Variant:
    """One variant: its network, and the recipe with the variant's own keys."""
    where = f"variants.{name}"
    own = {key: options[key] for key in recipe.Entry._fields if key in options}
    network = dict(check(where, recipe.Entry, own)["model"])
    kind = choose(f"{where}.model.network", network.pop("network", None), recipe.NETWORKS)
    check(f"{where}.model", kind, network)
    merged = check(where, recipe.Recipe, {**shared, **{key: options[key] for key in options if key not in own}})
    check(f"{where}.augmentation", recipe.Augmentation, merged["augmentation"])
    return Variant(recipe=merged, **own)


def source(where: str, options: dict[str, Any]) -> dict[str, Any]:
    """A data set's source, which one of its keys names."""
    kinds = [kind for kind in entry.SOURCES if kind in options]
    if len(kinds) != 1:
        raise InputError(f"{where} has {' and '.join(kinds) or 'none'} of {', '.join(entry.SOURCES)}, expected one")
    return check(where, entry.SOURCES[kinds[0]], options)


def vote(place: int, name: str, variants: dict[str, Variant]) -> str:
    """The name of the row for the vote of a variant's seeds."""
    choose(f"votes.{place}", name, variants)
    if name + VOTE in variants:
        raise InputError(f"variants.{name}{VOTE} has the name of a row of votes; rename the variant")
    return name + VOTE
