"""Reads params.yaml and checks all of it against the keys that the wings declare."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digitline.base.errors import InputError
from digitline.config import ranges
from digitline.config.keys import check, choose
from digitline.config.ranges import Ranges
from digitline.data import entry
from digitline.explain.lessons import Lessons
from digitline.measure.rows import Measure
from digitline.measure.sample import Sample
from digitline.model import recipe
from digitline.model.recipe import Range
from digitline.registry.limits import Limits

FILE = Path("params.yaml")
VOTE = "_vote"  # after a variant's name


class Variant(NamedTuple):
    model: dict[str, Any]  # keyword arguments of networks.build, without classes
    recipe: dict[str, Any]  # keyword arguments of training.fit, without seed
    parent: str | None = None  # the variant that it is compared with
    start: dict[str, Any] | None = None  # the file of weights to begin with, and its SHA-256


class Params(NamedTuple):
    dataset: str
    classes: list[str]
    image: entry.Shape
    preparation: entry.Preparation
    outliers: entry.Outliers
    source: dict[str, Any]  # keyword arguments of sources.fetch
    bounds: dict[str, Any]  # keyword arguments of expectations.rules
    feedback: str | None  # the SHA-256 of corrections to train with
    split: dict[str, Any]  # keyword arguments of dataset.split
    seeds: list[int]
    recipe: dict[str, Any]  # the defaults of every variant
    variants: dict[str, Variant]
    search: dict[str, Ranges]  # of a variant, what digitline search tries in place of its own values
    votes: dict[str, str]  # the name of each row of votes, and the variant whose seeds vote
    robustness: dict[str, Any]  # keyword arguments of robustness.changes
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
    search: dict[str, dict[str, Any]] | None = None
    select_by: Measure = "accuracy"


def read(path: Path = FILE) -> Params:
    """Reads and checks all of params.yaml, so that a mistake in any section stops the first stage, not the last."""
    return parsed(text(path), path)


def text(path: Path) -> str:
    """The file's text; InputError where there is none."""
    if not path.exists():
        raise InputError(f"there is no {path} here; run digitline and the stages in the root of a checkout")
    return path.read_text(encoding="utf-8")


def parsed(content: str, path: Path) -> Params:
    """The text of the file at that path, checked."""
    return checked(loaded(content, path))


def loaded(content: str, path: Path) -> Sections:
    """The sections of the text, themselves unchecked."""
    try:
        tree = YAML(typ="safe").load(content)
    except YAMLError as error:
        raise InputError(invalid(path, error)) from None
    return Sections(**check(str(path), Sections, tree))


def invalid(path: Path, error: YAMLError) -> str:
    """Why a file is no YAML: the first line of a conflict that a merge has left, or the parser's words."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("<<<<<<< "):
            where = f"{path}, line {number} begins a conflict of a merge"
            return f"{where}; keep the lines of one branch, or run git checkout HEAD -- {path} to keep this branch's"
    return f"{path} is not valid YAML: {' '.join(str(error).split())}"


def checked(tree: Sections) -> Params:
    """Checks each section against its record."""
    if len(set(tree.seeds)) < len(tree.seeds):
        raise InputError(f"seeds is {tree.seeds}, expected distinct numbers")
    choose("dataset", tree.dataset, tree.datasets)
    entries = {name: described(f"datasets.{name}", options) for name, options in tree.datasets.items()}
    if kept := entry.carried(entries[tree.dataset]):
        raise InputError(f"datasets.{tree.dataset} has its own {', '.join(kept)}; run digitline use {tree.dataset}")
    for name, options in entries.items():
        if entry.carried(options):
            set_aside(name, tree, entries)
    top = sections({section: getattr(tree, section) for section in entry.OWN}, {}, entries[tree.dataset])
    room(tree.dataset, entries[tree.dataset], "split", top["split"])
    return Params(
        dataset=tree.dataset,
        **entries[tree.dataset],
        feedback=tree.feedback,
        seeds=tree.seeds,
        **top,
        robustness=check("robustness", Sample, tree.robustness),
        ideas=Lessons(**check("ideas", Lessons, tree.ideas)),
    )


def described(where: str, options: dict[str, Any]) -> dict[str, Any]:
    """An entry of datasets, whether in use or not; the sections of its own are not looked at."""
    found = check(where, entry.Entry, options)
    image = entry.Shape(**check(f"{where}.image", entry.Shape, found["image"]))
    if found["preparation"] == "mnist" and image != entry.MNIST:
        raise InputError(
            f"{where}.preparation is mnist, which makes grey images of 28x28; expected letterbox or crop for "
            f"{image.height}x{image.width} with {image.channels} channels"
        )
    if found["outliers"] == "drawn" and image.channels != 1:
        raise InputError(f"{where}.outliers is drawn, expected none: the images are in colour")
    return found | {
        "image": image,
        "source": source(f"{where}.source", found["source"]),
        "bounds": check(f"{where}.bounds", entry.Bounds, found["bounds"]),
    }


def set_aside(name: str, tree: Sections, entries: dict[str, dict[str, Any]]) -> None:
    """Checks an entry's own sections; for others it has those of the first entry or of the top (see own.use)."""
    where, options, first = f"datasets.{name}.", entries[name], next(iter(entries.values()))
    shared = {section: getattr(tree, section) for section in entry.OWN}
    shared |= {section: first[section] for section in entry.carried(first)}
    given = shared | {section: options[section] for section in entry.carried(options)}
    if "recipe" in options:
        check(
            f"{where}recipe", recipe.Recipe, {"epochs": 1, **shared["recipe"], **options["recipe"]}
        )  # a variant has its own
    for section, none in (("votes", "[]"), ("search", "{}")):
        if "variants" in options and section not in options and not set(given[section] or ()) <= set(given["variants"]):
            has = f"{where}variants has other names than {section}"
            raise InputError(f"{where}{section} is missing: {has}; {none} stands for none")
    found = sections(given, dict.fromkeys(entry.carried(options), where), options)
    if "split" in options:
        room(name, options, f"{where}split", found["split"])


def sections(given: dict[str, Any], where: dict[str, str], of: dict[str, Any]) -> dict[str, Any]:
    """The sections that a data set, the entry `of`, may have of its own; `where` has what stands before some names."""
    at = {section: where.get(section, "") + section for section in entry.OWN}
    variants = {
        name: variant(f"{at['variants']}.{name}", given["recipe"], options, of["image"])
        for name, options in given["variants"].items()
    }
    for name, one in variants.items():
        if one.parent is not None:
            others = {other: None for other in variants if other != name}
            choose(f"{at['variants']}.{name}.parent", one.parent, others)
    return {
        "split": check(at["split"], entry.Split, given["split"]),
        "gate": gate(at["gate"], given["gate"], of["classes"]),
        "recipe": given["recipe"],
        "variants": variants,
        "search": {
            name: searched(at["search"], name, ways, variants, of["image"])
            for name, ways in (given["search"] or {}).items()
        },
        "select_by": ranking(at["select_by"], given["select_by"]),
        "votes": {vote(f"{at['votes']}.{place}", name, variants): name for place, name in enumerate(given["votes"])},
    }


def ranking(where: str, by: str) -> str:
    """The measure that ranks."""
    choose(where, by, dict.fromkeys(get_args(Measure)))
    return by


def gate(where: str, section: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """The gate, whose recalls by name are those of classes."""
    found = check(where, Limits, section)
    if isinstance(by_name := found.get("minimum_recall"), dict):
        for name in by_name:
            choose(f"the class of {where}.minimum_recall", name, dict.fromkeys(classes))
    return found


def room(name: str, options: dict[str, Any], where: str, split: dict[str, Any]) -> None:
    """InputError if validation would take all training images of a data set that says how many it has."""
    images = (options["bounds"].get("images") or {}).get("train")
    if images is not None and split["validation"] >= images:
        raise InputError(
            f"{where}.validation is {split['validation']}, expected less than the {images} training images "
            f"of datasets.{name}"
        )


def variant(where: str, shared: dict[str, Any], options: dict[str, Any], image: entry.Shape) -> Variant:
    """One variant: its network, and the recipe with the variant's own keys."""
    own = {key: options[key] for key in recipe.Entry._fields if key in options}
    network = dict(check(where, recipe.Entry, own)["model"])
    kind = choose(f"{where}.model.network", network.pop("network", None), recipe.NETWORKS)
    check(f"{where}.model", kind, network)
    try:
        recipe.sizes(own["model"]["network"], image, network)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    merged = check(where, recipe.Recipe, {**shared, **{key: options[key] for key in options if key not in own}})
    if own.get("start"):
        check(f"{where}.start", recipe.Start, own["start"])
    if merged.get("outliers"):
        check(f"{where}.outliers", recipe.Outliers, merged["outliers"])
    try:
        recipe.divisible(merged)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    varied = check(f"{where}.augmentation", recipe.Augmentation, merged["augmentation"])
    if image.channels == 1 and varied.get("colour"):
        raise InputError(f"{where}.augmentation.colour is {varied['colour']}, expected 0: the images are grey")
    return Variant(recipe=merged, **own)


def searched(where: str, name: str, ways: dict[str, Any], variants: dict[str, Variant], image: entry.Shape) -> Ranges:
    """The ranges of a variant; those of a key that takes fractions have fractions as ends."""
    of: Variant = choose(f"a variant of {where}", name, variants)

    def check_value(key: str, value: Any) -> None:
        variant(f"{where}.{name}", {}, ranges.given({"model": of.model, **of.recipe}, {key: value}), image)

    def takes(key: str, value: float) -> bool:
        with suppress(InputError):
            check_value(key, value)
            return True
        return False

    found = ranges.flat(f"{where}.{name}", ways)
    if fixed := {"start", "parent"} & {key.partition(".")[0] for key in found}:
        raise InputError(f"{where}.{name}.{min(fixed)} has a range, expected none: it is the same in every trial")
    for key, one in found.items():
        for value in one if isinstance(one, list) else one[:2]:
            check_value(key, value)
        if isinstance(one, Range) and takes(key, one.low + 0.5):
            found[key] = Range(float(one.low), float(one.high), one.log)
    return found


def source(where: str, options: dict[str, Any]) -> dict[str, Any]:
    """A data set's source, which one of its keys names."""
    kinds = [kind for kind in entry.SOURCES if kind in options]
    if len(kinds) != 1:
        raise InputError(f"{where} has {' and '.join(kinds) or 'none'} of {', '.join(entry.SOURCES)}, expected one")
    return check(where, entry.SOURCES[kinds[0]], options)


def vote(where: str, name: str, variants: dict[str, Variant]) -> str:
    """The name of the row for the vote of a variant's seeds."""
    choose(where, name, variants)
    if name + VOTE in variants:
        raise InputError(f"variants.{name}{VOTE} has the name of a row of votes; rename the variant")
    return name + VOTE
