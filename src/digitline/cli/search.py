"""digitline search: tries values for a variant's keys, chosen on validation alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import runs
from digitline.compute import machine
from digitline.compute.progress import Progress
from digitline.config import code, paths, ranges
from digitline.config.keys import choose
from digitline.config.params import FILE, Params
from digitline.data import dataset
from digitline.data.dataset import Bytes
from digitline.draw import charts, explanations
from digitline.measure import classes
from digitline.measure.calibration import confusion
from digitline.measure.rows import Measure
from digitline.model import scores
from digitline.model.attempt import Attempt
from digitline.tracking import searches
from digitline.tracking import store as mlflow
from digitline.tracking.runs import Variant

if TYPE_CHECKING:  # an installation may be older than the need for Optuna, which is said below
    from optuna.study import Study

    from digitline.model.rounds import Score
    from digitline.model.tuning import Trial
    from digitline.report.gains import Outcome

LATER = "the same command logs it later"
CHANGES = "the ranges, the variant, the data, the training code or --at-once have changed since the last one"


class Subject(NamedTuple):
    """What is searched."""

    params: Params
    variant: str
    ways: ranges.Ranges
    at_once: int
    identity: str  # see identified

    @property
    def by(self) -> Measure:
        """The measure of validation that decides."""
        return self.params.select_by

    @property
    def seed(self) -> int:
        """The seed of all trials."""
        return self.params.seeds[0]

    @property
    def keys(self) -> dict[str, Any]:
        """The variant's keys, those of its recipe included; without outliers where the data set has none."""
        of = self.params.variants[self.variant]
        recipe = of.recipe if self.params.outliers != "none" else of.recipe | {"outliers": None}
        return {"model": of.model, **recipe}

    @property
    def folder(self) -> Path:
        """Of the study and the snapshots."""
        return paths.SEARCHES / self.variant / self.identity[:16]

    def attempt(self, name: str, values: Mapping[str, Any], seed: int) -> Attempt:
        """A training with these values in place of the variant's own."""
        recipe = ranges.given(self.keys, values)
        model, start = recipe.pop("model"), self.params.variants[self.variant].start
        keep = self.folder / f"{name}.safetensors"
        split, count = self.params.split, len(self.params.classes)
        return Attempt(name, seed, model, count, recipe, start, paths.DATASET, split, keep)

    def trial(self, trial: Trial) -> Attempt:
        """The training of a trial."""
        return self.attempt(f"trial {trial.number}", trial.values, self.seed)


def search(params: Params, variant: str, trials: int = 50, at_once: int = 4, fresh: int = 3) -> None:
    """Runs or continues a search; prints the lines to paste, and what fresh seeds leave of the gain."""
    for option, value, least in (("--trials", trials, 1), ("--at-once", at_once, 1), ("--fresh", fresh, 2)):
        if value < least:
            raise InputError(f"{option} is {value}, expected at least {least}")
    choose("the variant", variant, params.variants)
    if not params.search.get(variant):
        raise InputError(f"search.{variant} is missing in {FILE}: the ranges of the keys to search, by their names")
    dataset.load(paths.DATASET)
    paths.SEARCHES.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(paths.SEARCHES / f"{variant}.lock", timeout=0):
            searched(identified(Subject(params, variant, params.search[variant], at_once, "")), trials, fresh)
    except Timeout:
        raise InputError(f"another digitline search {variant} is running here") from None


def identified(of: Subject) -> Subject:
    """The subject with the SHA-256 of all that its trials depend on."""
    start, read = of.params.variants[of.variant].start, of.params
    means = [torch.__version__, machine.kind(), digest(paths.DATASET)]
    asked = [of.keys, start, of.ways, of.at_once, of.seed, read.split, read.select_by, read.classes]
    content = json.dumps([asked, means, code.identity("train")])
    return of._replace(identity=hashlib.sha256(content.encode()).hexdigest())


def searched(of: Subject, trials: int, fresh: int) -> None:
    """Runs the trials, then those that compare the best one with the variant as it is; prints and logs the outcome."""
    try:
        from digitline.model import rounds, tuning
        from digitline.report import gains
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed; run make setup") from None

    if not of.folder.exists() and any((paths.SEARCHES / of.variant).glob("*")):
        print(f"begins a new study: {CHANGES}")
    study = tuning.opened(of.folder / "study.journal", "minimize" if of.by == "nll" else "maximize")
    _, validation, _ = dataset.divide(paths.DATASET, **of.params.split)
    measure, view, store = partial(measured, labels=validation.labels, by=of.by), shown(of), runs.store(of.params)

    def follow() -> None:
        with mlflow.optional(store, f"the search of {of.variant}", later=LATER):
            tried = [logged(of, trial) for trial in tuning.ended(study, of.ways)]
            searches.follow(store, view, of.identity, tried)

    with Progress(of.variant, max(0, trials - len(tuning.ended(study, of.ways))), "trial") as bar:
        follow()
        counts = {"trials": trials, "at_once": of.at_once, "seed": of.seed}
        report = partial(reported, bar, of.by)
        for _ in rounds.rounds(study, of.ways, of.trial, measure, report, **counts):
            follow()
    ended = tuning.ended(study, of.ways)
    if all(trial.value is None for trial in ended):
        raise InputError(f"none of {len(ended)} trials came to its end; the first one: {ended[0].reason}")
    found, shares = judged(of, study, measure, fresh), tuning.importance(study)
    told = gains.sentences(found, ended, shares)
    if found.fresh:
        changed = ranges.given(of.keys, next(one.values for one in ended if one.number == found.trial))
        told += ["", f"to take it over, in {FILE}:", "", ranges.lines(of.variant, of.keys, changed)]
    print("\n".join(told))
    figures = [of.folder / "importance.png"] if shares else []
    for figure in figures:
        files.write(figure, charts.png(explanations.importances(shares)))
    with mlflow.optional(store, f"the search of {of.variant}", later=LATER):
        searches.conclude(store, view, of.identity, metrics=found.metrics, note="\n\n".join(told), files=figures)


def reported(bar: Progress, by: Measure, trial: Trial) -> None:
    """Shows a trial that has ended."""
    from digitline.report import gains

    bar.step(gains.ended(by, trial))


def judged(of: Subject, study: Study, measure: Score, fresh: int) -> Outcome:
    """The best trial beside the variant as it is; with fresh seeds too, if it is better."""
    from digitline.model import rounds, tuning
    from digitline.report.gains import Outcome

    best = next(trial for trial in tuning.ended(study, of.ways) if trial.number == study.best_trial.number)

    def trainings(name: str, values: Mapping[str, Any], seeds: Sequence[int]) -> list[Attempt]:
        return [of.attempt(f"{name} seed {seed}", values, seed) for seed in seeds]

    def compared(jobs: Sequence[Attempt]) -> list[float]:
        with Progress("to compare", len(jobs), "training") as bar:
            return rounds.compared(study, jobs, measure, bar.step)

    (as_it_is,) = compared(trainings(of.variant, {}, [of.seed]))
    found = Outcome(of.variant, of.by, best.number, of.seed, best.value or 0.0, as_it_is)
    if found.gain <= 0:
        return found
    seeds = range(max(of.params.seeds) + 1, max(of.params.seeds) + 1 + fresh)
    jobs = trainings(f"trial {best.number}", best.values, seeds) + trainings(of.variant, {}, seeds)
    values = compared(jobs)
    pairs = zip(values[:fresh], values[fresh:], strict=True)
    return found._replace(fresh=dict(zip(seeds, pairs, strict=True)))


def measured(logits: NDArray[np.float32], labels: Bytes, by: Measure) -> float:
    """What ranks, of logits of validation."""
    if by == "accuracy":
        return scores.accuracy(logits, labels)
    return scores.nll(logits, labels) if by == "nll" else classes.of_run("val", confusion(logits, labels))[f"val_{by}"]


def shown(of: Subject) -> Variant:
    """The search as MLflow shows it: the variant as it is, the ranges, the images that train and choose."""
    view = runs.tracked(of.params, of.variant)
    ways = {key: str(way) for key, way in of.ways.items()}
    return view._replace(
        params={**view.params, "seed": of.seed, "search": ways},
        data=[data for data in view.data if data.context != "test"],
    )


def logged(of: Subject, trial: Trial) -> searches.Tried:
    """A trial that has ended, as MLflow shows it."""
    metrics = {} if trial.value is None else {f"val_{of.by}": trial.value}
    params = {**ranges.given(of.keys, trial.values), "seed": of.seed}
    return searches.Tried(trial.number, params, trial.epochs, metrics, trial.reason)
