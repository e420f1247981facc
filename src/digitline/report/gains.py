"""What a search has found, and what fresh seeds leave of it, in sentences."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from digitline.measure.rows import Measure
from digitline.measure.statistics import summary
from digitline.model.tuning import Trial


class Outcome(NamedTuple):
    """The best trial, its measure and that of the variant as it is, with one seed; both with fresh seeds, by pairs."""

    variant: str
    by: Measure
    trial: int
    seed: int
    best: float
    as_it_is: float
    fresh: Mapping[int, tuple[float, float]] | None = None  # by seed; None where the best is no better

    @property
    def gain(self) -> float:
        """What the search gained; below zero if all trials were worse."""
        return better(self.by, self.best, self.as_it_is)

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers by name; the interval is Student's, over the differences of the seeds."""
        found = {f"val_{self.by}": self.best, "gain": self.gain}
        if self.fresh:
            of = summary([better(self.by, *pair) for pair in self.fresh.values()])
            found |= {"gain_fresh": of["mean"], "gain_fresh_low": of["ci95"][0], "gain_fresh_high": of["ci95"][1]}
        return found


def better(by: Measure, one: float, other: float) -> float:
    """How much better the first of two values is."""
    return other - one if by == "nll" else one - other


def valued(by: Measure, value: float) -> str:
    """A measure of validation."""
    return f"{value:.4f} nats" if by == "nll" else f"{100 * value:.2f}%"


def gained(by: Measure, value: float) -> str:
    """A difference, with its sign."""
    return f"{value:+.4f}" if by == "nll" else f"{100 * value:+.2f}"


def ended(by: Measure, trial: Trial) -> str:
    """How a trial has ended."""
    if trial.reason:
        return f"trial {trial.number}: failed"
    pruned = f"pruned after {len(trial.epochs)} epochs"
    return f"trial {trial.number}: {pruned if trial.value is None else valued(by, trial.value)}"


def sentences(of: Outcome, trials: Sequence[Trial], shares: Mapping[str, float]) -> list[str]:
    """The outcome of these trials; `shares` are the keys' importances."""
    failed, complete = sum(bool(one.reason) for one in trials), sum(one.value is not None for one in trials)
    name = "NLL" if of.by == "nll" else of.by.replace("_", " ")
    counts = f"{complete} complete, {len(trials) - complete - failed} pruned, {failed} failed"
    found = f"{valued(of.by, of.best)}, {of.variant} as it is {valued(of.by, of.as_it_is)}"
    lines = [
        f"best of {len(trials)} trials ({counts}): trial {of.trial}",
        f"{name} on validation with seed {of.seed}: {found}",
    ]
    if shares:
        ranked = sorted(shares.items(), key=lambda one: -one[1])
        lines.append(f"importance: {', '.join(f'{key} {share:.0%}' for key, share in ranked)}")
    return [*lines, survival(of)]


def survival(of: Outcome) -> str:
    """How much of the gain fresh seeds leave: the best of many trials is partly the luckiest."""
    if not of.fresh:
        return f"no trial was better than {of.variant} as it is: there is nothing to paste"
    mean, low, high = (of.metrics[f"gain_fresh{end}"] for end in ("", "_low", "_high"))
    unit = "nats" if of.by == "nll" else "points"
    found = f"{gained(of.by, mean)} {unit} (95% interval {gained(of.by, low)} to {gained(of.by, high)})"
    survives = f"{mean / of.gain:.0%} of {gained(of.by, of.gain)} survives"
    if low <= 0:
        survives = "they do not show that it is one; more of them (--fresh) would tell"
    return f"with {len(of.fresh)} fresh seeds, in pairs, the gain is {found}: {survives}"
