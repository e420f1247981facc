"""Runs the trials of a study, some at a time, and other trainings to compare.

The trials of a round are proposed and pruned by what the rounds before have found, and saved in their order: so the
number of cores changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study

from digitline.base.errors import InputError
from digitline.compute.jobs import side_by_side
from digitline.model import tuning
from digitline.model.attempt import Attempt, Record, attempt
from digitline.model.training import Epoch
from digitline.model.tuning import Trial, Ways

# The optimiser imports torch._dynamo, which takes a second: once for all processes is enough.
IMPORTS = ["digitline.model.attempt", "torch._dynamo"]

Score = Callable[[NDArray[np.float32]], float]  # of the logits of validation


def rounds(
    study: Study,
    ways: Ways,
    begin: Callable[[Trial], Attempt],
    measure: Score,
    report: Callable[[Trial], object],
    *,
    trials: int,
    at_once: int,
    seed: int,
) -> Iterator[None]:
    """Runs trials until so many have ended, and yields after each round; tells `report` each trial that has ended."""
    while (missing := trials - len(tuning.ended(study, ways))) > 0:
        begun = {trial.number: trial for trial in tuning.proposed(study, ways, min(at_once, missing), seed=seed)}
        jobs = {number: begin(trial) for number, trial in begun.items()}
        numbers = {job.name: number for number, job in jobs.items()}
        over: set[str] = set()

        def wanted(job: Attempt, over: set[str] = over) -> bool:
            return job.name not in over

        for job, record in running([*jobs.values()], wanted):
            trial = begun[numbers[job.name]] = after(begun[numbers[job.name]], record, measure)
            if isinstance(record, Epoch) and tuning.hopeless(study, trial.epochs, job.recipe["epochs"]):
                over.add(job.name)
            if job.name in over or not isinstance(record, Epoch):
                report(trial)
        for number, trial in sorted(begun.items()):
            tuning.tell(study, trial, jobs[number].recipe["epochs"])
            jobs[number].keep.unlink(missing_ok=True)
        yield


def running(
    jobs: Sequence[Attempt], wanted: Callable[[Attempt], bool] = lambda job: True
) -> Iterator[tuple[Attempt, Record]]:
    """The records of trainings, here or on a cluster."""
    read = {Path(job.start["file"]) for job in jobs if job.start} | {job.data for job in jobs}
    if not jobs:
        return iter([])
    return side_by_side(attempt, jobs, imports=IMPORTS, shared=sorted(read), own=lambda job: [job.keep], wanted=wanted)


def after(trial: Trial, record: Record, measure: Score) -> Trial:
    """The trial with what its training has yielded."""
    if isinstance(record, Epoch):
        return trial._replace(epochs=[*trial.epochs, record])
    return trial._replace(reason=record) if isinstance(record, str) else trial._replace(value=measure(record))


def compared(study: Study, jobs: Sequence[Attempt], measure: Score, report: Callable[[str], object]) -> list[float]:
    """The measure of each training; the study keeps those that have ended, by their names."""
    missing = [job for job in jobs if job.name not in study.user_attrs]
    for job, record in running(missing):
        if isinstance(record, str):
            raise InputError(f"{job.name} failed: {record}")
        if not isinstance(record, Epoch):
            study.set_user_attr(job.name, measure(record))
            job.keep.unlink(missing_ok=True)
            report(job.name)
    return [study.user_attrs[job.name] for job in jobs]
