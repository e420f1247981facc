"""What the stages share: params.yaml, held against the code, and an end in one sentence where a user can mend it."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import torch
from pydantic import Field, PositiveInt
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digitline import augmentation, checks, data, files, models, selection, sources, training
from digitline import robustness as robust
from digitline.errors import InputError
from digitline.params import check, choose
from digitline.processes import end_with_dvc

if TYPE_CHECKING:  # MLflow takes a second to import: the processes that train are spared it
    from digitline import tracking

DATASET = Path("data/dataset.safetensors")
FEEDBACK = Path("data/feedback.safetensors")  # corrections to train with, as make feedback leaves them
LEADERBOARD = Path("reports/leaderboard.json")
TIMINGS = Path("reports/timings.json")
MACHINE = Path("reports/machine.json")  # which one made the results; DVC does not hash it either
CHAMPION = Path("models/champion")
VOTE = "_vote"  # after a variant's name
FIGURES = ["misclassified", "confusion", "calibration"]

Work = Callable[..., None]  # of params and the command's arguments


class Variant(NamedTuple):
    model: dict[str, Any]  # keyword arguments of models.build, less classes
    recipe: dict[str, Any]  # keyword arguments of training.fit, less seed


class Ideas(NamedTuple):
    images: int  # of training, for each of the short trainings
    epochs: int


class Params(NamedTuple):
    dataset: str
    classes: list[str]
    source: dict[str, Any]  # keyword arguments of sources.fetch
    bounds: dict[str, Any]  # keyword arguments of checks.expectations
    feedback: str | None  # the SHA-256 of corrections to train with
    split: dict[str, Any]  # keyword arguments of data.split
    seeds: list[int]
    recipe: dict[str, Any]  # what every variant starts from
    variants: dict[str, Variant]
    votes: list[str]  # names of rows, each after the variant whose seeds vote
    robustness: dict[str, Any]  # keyword arguments of robustness.accuracies
    ideas: Ideas
    gate: dict[str, Any]  # keyword arguments of selection.gate


def run(stage: Work, *arguments: str) -> None:
    """Runs a stage with the command's arguments."""
    parser = argparse.ArgumentParser(description=stage.__doc__)
    for argument in arguments:
        parser.add_argument(argument)
    values = vars(parser.parse_args())
    end_with_dvc()
    end_well(stage, **values)


def end_well(work: Work, **values: Any) -> None:
    """Does the work with params.yaml; what a user can mend ends in one sentence and exit status 1."""
    torch.set_num_threads(1)  # in the processes that train, too: a result depends on no number of cores
    try:
        work(read(), **values)
    except KeyboardInterrupt:
        sys.exit("interrupted; the next dvc repro goes on from here")
    except (InputError, OSError) as error:
        if "DIGITLINE_TRACEBACK" in os.environ:
            traceback.print_exc()
        sys.exit(f"error: {error}")


def store(params: Params) -> tracking.Store:
    """The MLflow store of the checkout, or the one that MLFLOW_TRACKING_URI names."""
    from digitline import tracking

    return tracking.connect(Path(), dataset=params.dataset, code=["params.yaml", "dvc.yaml", "pipeline", "src"])


def tracked(params: Params, name: str, members: Sequence[int] = ()) -> tracking.Variant:
    """What MLflow is told of a variant, or of the vote of its members, before its results."""
    from digitline import tracking

    dataset, variant = data.load(DATASET), params.variants[name.removesuffix(VOTE) if members else name]
    training, validation = data.split(dataset.train, **params.split)
    training = data.joined(training, data.corrections(DATASET))
    parts = {"training": training, "validation": validation, "test": dataset.test}
    of_data = [tracking.Data(context, params.dataset, part, str(DATASET)) for context, part in parts.items()]
    model = models.build(**variant.model, classes=len(params.classes))
    counts = {"parameters": models.parameters(model), "macs": models.macs(model)}
    cost = {key: count * (len(members) or 1) for key, count in counts.items()}
    votes = {"members": list(members)} if members else {}
    return tracking.Variant(name, {"model": variant.model, **variant.recipe, **cost, **votes}, of_data)


def vote_path(name: str) -> Path:
    """Where the model that votes is kept."""
    return Path(f"models/variants/{name}/vote.safetensors")


def model_paths(params: Params, name: str) -> dict[int, Path]:
    """Where the models of a row are kept, by seed; the one that votes counts as of a seed 0."""
    return {0: vote_path(name)} if name in params.votes else {seed: model_path(name, seed) for seed in params.seeds}


def row_path(name: str) -> Path:
    """Where a row of the leaderboard is kept."""
    return Path(f"reports/variants/{name}.json")


def figure_path(kind: str, name: str) -> Path:
    """Where a row's figure is kept."""
    return Path(f"reports/{kind}/{name}.png")


def robustness_path(name: str) -> Path:
    """Where a row's accuracies on changed images are kept."""
    return Path(f"reports/robustness/{name}.csv")


def model_path(variant: str, seed: int) -> Path:
    """Where the model of one run is kept."""
    return Path(f"models/variants/{variant}/seed-{seed}.safetensors")


def write_json(path: Path, content: Any) -> None:
    """Writes JSON for people."""
    files.write(path, f"{json.dumps(content, indent=2, ensure_ascii=False)}\n".encode())


def write_csv(path: Path, lines: Iterable[Iterable[Any]]) -> None:
    """Writes a table for plotting; the first line names the columns."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    files.write(path, text.getvalue().encode())


def read_csv(path: Path) -> list[list[str]]:
    """The lines of such a table, below the names."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def curves_path(variant: str) -> Path:
    """Where the epochs of a variant's runs are kept."""
    return Path(f"reports/curves/{variant}.csv")


def read_json(path: Path) -> Any:
    """Reads JSON; InputError where it is none."""
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON ({error}); restore it with git checkout or dvc repro -f") from None


def note_timings(variant: str, **figures: Any) -> None:
    """Keeps what took how long in a file of its own: no two runs take the same, so DVC does not hash it."""
    timings = read_json(TIMINGS) if TIMINGS.exists() else {}
    timings[variant] = timings.get(variant, {}) | figures
    write_json(TIMINGS, timings)


def read(path: Path = Path("params.yaml")) -> Params:
    """Reads and checks all of params.yaml, so that a slip in any section ends the first stage, not the last."""
    if not path.exists():
        raise InputError(f"there is no {path} here; digitline and the stages work in the root of a checkout")
    try:
        tree = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    check(str(path), sections, tree)
    return sections(**tree)


def sections(
    *,
    dataset: str,
    datasets: dict[str, Any],
    feedback: sources.Sha256 | None,
    split: dict[str, Any],
    seeds: Annotated[list[int], Field(min_length=1)],
    recipe: dict[str, Any],
    variants: Annotated[dict[str, dict[str, Any]], Field(min_length=1)],
    votes: list[str],
    robustness: dict[str, Any],
    ideas: dict[str, Any],
    gate: dict[str, Any],
) -> Params:
    """Checks each section against the function that it goes to."""
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seeds is {seeds}, expected each one once")
    chosen = choose("dataset", dataset, datasets)
    entry = check(f"datasets.{dataset}", described, chosen)
    classes = entry.pop("classes")
    bounds = check(f"datasets.{dataset}.bounds", checks.expectations, entry.pop("bounds"), classes=classes)
    trained = {name: variant(name, recipe, options) for name, options in variants.items()}
    return Params(
        dataset=dataset,
        classes=classes,
        source=check(f"datasets.{dataset}", sources.fetch, entry, name=dataset),
        bounds=bounds,
        feedback=feedback,
        split=check("split", data.split, split),
        seeds=seeds,
        recipe=recipe,
        variants=trained,
        votes=[vote(place, name, trained) for place, name in enumerate(votes)],
        robustness=check("robustness", robust.accuracies, robustness),
        ideas=Ideas(**check("ideas", short, ideas)),
        gate=check("gate", selection.gate, gate),
    )


def described(*, classes: Annotated[list[str], Field(min_length=2)], files: Any, mirrors: Any, bounds: Any) -> None:
    """The keys of a data set's entry; the last three are checked against the functions that take them."""


def short(*, images: PositiveInt, epochs: PositiveInt) -> None:
    """The keys of the short trainings."""


def variant(name: str, recipe: dict[str, Any], options: dict[str, Any]) -> Variant:
    """One variant: its network, and the recipe with its own keys put in."""
    where = f"variants.{name}"
    own = dict(options)
    network = dict(check(where, modelled, {key: own.pop(key) for key in ["model"] if key in own})["model"])
    kind = choose(f"{where}.model.network", network.pop("network", None), models.NETWORKS)
    check(f"{where}.model", kind, network, classes=None)
    merged = check(where, training.fit, {**recipe, **own}, seed=None)
    check(f"{where}.augmentation", augmentation.warp, merged["augmentation"])
    return Variant(options["model"], merged)


def vote(place: int, name: str, variants: dict[str, Variant]) -> str:
    """The name of the row in which a variant's seeds vote."""
    choose(f"votes.{place}", name, variants)
    if name + VOTE in variants:
        raise InputError(f"variants.{name}{VOTE} has the name of a row of votes, expected another")
    return name + VOTE


def modelled(*, model: dict[str, Any]) -> None:
    """The key that a variant has besides its recipe."""
