"""A study of trials in Optuna: it proposes values for a variant's keys and says which trials are hopeless.

What it proposes depends on the trials that have ended and on nothing else: neither on interruptions nor on cores.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from digitline.model.recipe import Range
from digitline.model.training import Epoch

Direction = Literal["maximize", "minimize"]
Ways = Mapping[str, Sequence[Any] | Range]  # what each key may be

FIRST = 5  # trials that have to come to their end before others are pruned
SPARED = 30  # percent of a training in which none is pruned: the learning rate has not yet passed its peak
DIGITS = 3  # significant ones of a drawn number, so that what is written down is what was tried
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
EPOCHS, REASON = "epochs", "reason"  # attributes of a trial


class Trial(NamedTuple):
    number: int
    values: dict[str, Any]  # of the keys
    epochs: Sequence[Epoch] = ()
    value: float | None = None  # of the finished model; None if it was pruned
    reason: str = ""  # why it failed


def opened(path: Path, direction: Direction) -> Study:
    """The study in that file, a new one if there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    pruner = MedianPruner(n_startup_trials=FIRST, n_warmup_steps=SPARED)
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(
        study_name="search", storage=storage, direction=direction, pruner=pruner, load_if_exists=True
    )


def proposed(study: Study, ways: Ways, count: int, *, seed: int) -> list[Trial]:
    """As many trials to run: those that an interruption left, then new ones, by the tree-structured Parzen estimator.

    Bergstra et al. (2011); a trial that still runs counts as a bad one, so that others are tried elsewhere.
    """
    spaces = {key: space(way) for key, way in ways.items()}
    left = []
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if trial.params.keys() == spaces.keys():
            left.append(trial)
        else:  # killed while it was asked for
            study.tell(trial.number, state=TrialState.FAIL)
    known = len(left) + len(study.get_trials(states=ENDED))
    for number in range(known, known + count - len(left)):
        study.sampler = TPESampler(seed=10_000 * seed + number)
        asked = study.ask(spaces)
        left.append(study.trials[asked.number])
    return [Trial(trial.number, drawn(trial, ways)) for trial in left]


def space(way: Sequence[Any] | Range) -> BaseDistribution:
    """What a key may be, as Optuna draws it; a choice as JSON, for it may be a list."""
    if not isinstance(way, Range):
        return CategoricalDistribution([json.dumps(choice) for choice in way])
    if isinstance(way.low, int) and isinstance(way.high, int):
        return IntDistribution(way.low, way.high, log=way.log)
    return FloatDistribution(way.low, way.high, log=way.log)


def drawn(trial: FrozenTrial, ways: Ways) -> dict[str, Any]:
    """The values of a trial's keys."""
    found = {}
    for key, way in ways.items():
        value = trial.params[key]
        if not isinstance(way, Range):
            found[key] = json.loads(value)
        else:
            found[key] = value if isinstance(value, int) else min(max(float(f"{value:.{DIGITS}g}"), way.low), way.high)
    return found


def steps(study: Study, epochs: Sequence[Epoch], of: int) -> dict[int, float]:
    """Accuracy or NLL of validation by the percentage of the training that is done."""
    maximised = study.direction.name == "MAXIMIZE"
    return {100 * e.epoch // of: e.val_accuracy if maximised else e.val_loss for e in epochs}


def hopeless(study: Study, epochs: Sequence[Epoch], of: int) -> bool:
    """Whether the best of these epochs is worse than the median of the complete trials, as far as they had come then.

    The median stopping rule (Golovin et al., 2017).
    """
    running = create_trial(state=TrialState.RUNNING, intermediate_values=steps(study, epochs, of))
    return epochs[-1].epoch < of and study.pruner.prune(study, running)


def tell(study: Study, trial: Trial, of: int) -> None:
    """Saves the outcome of a trial, which was to have so many epochs."""
    (kept,) = (one for one in study.get_trials(states=(TrialState.RUNNING,)) if one.number == trial.number)
    handle = optuna.trial.Trial(study, kept._trial_id)
    handle.set_user_attr(EPOCHS, trial.epochs)
    handle.set_user_attr(REASON, trial.reason)
    for step, value in steps(study, trial.epochs, of).items():
        if step not in kept.intermediate_values:  # saved before a kill
            handle.report(value, step)
    study.tell(handle, trial.value, TrialState.PRUNED if trial.value is None else None)


def ended(study: Study, ways: Ways) -> list[Trial]:
    """The trials that have ended."""
    return [
        Trial(
            one.number,
            drawn(one, ways),
            [Epoch(*epoch) for epoch in one.user_attrs[EPOCHS]],
            one.value if one.state == TrialState.COMPLETE else None,
            one.user_attrs[REASON],
        )
        for one in study.get_trials(states=ENDED)
    ]


def importance(study: Study) -> dict[str, float]:
    """The share of the complete trials' variance that each key explains alone; empty if they do not differ.

    Functional ANOVA of a random forest (Hutter et al., 2014).
    """
    values = {trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)) if len(values) > 1 else {}
