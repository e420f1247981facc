"""The table of the study: a row a variant, best first by validation."""

from collections.abc import Mapping, Sequence
from typing import Any

from digitline.evaluation import MEASURES, Floats, Integers
from digitline.statistics import summary

Row = dict[str, Any]

SPLITS = ("val", "test")
MEASURED = [f"{split}_{name}" for split in SPLITS for name in MEASURES]


def row(
    variant: str,
    runs: Sequence[Mapping[str, Any]],
    *,
    parameters: int,
    macs: int,
) -> Row:
    """One variant: its cost, the mean of each measure over its runs, and the runs themselves."""

    def over_runs(measure: str) -> dict[str, Any]:
        return summary([run[measure] for run in runs])

    return {
        "variant": variant,
        "parameters": parameters,
        "macs": macs,
        "seeds": [run["seed"] for run in runs],
        "val_accuracy": over_runs("val_accuracy"),
        "test_accuracy": over_runs("test_accuracy"),
        "val_nll": over_runs("val_nll")["mean"],
        "test_nll": over_runs("test_nll")["mean"],
        "ece": over_runs("test_ece")["mean"],
        "runs": list(runs),
    }


def measure(split: str, logits: Floats, labels: Integers) -> dict[str, float]:
    """Every measure of one run's logits [N, classes], named after the split."""
    return {f"{split}_{name}": function(logits, labels) for name, function in MEASURES.items()}


def best_first(rows: Sequence[Row]) -> list[Row]:
    """Orders the rows by mean accuracy on validation; of equals, the one with the lower loss there stands first."""
    return sorted(rows, key=lambda row: (-row["val_accuracy"]["mean"], row["val_nll"], row["variant"]))


def best_run(row: Row) -> dict[str, Any]:
    """The run to serve of a row, by the same rule."""
    run: dict[str, Any] = min(row["runs"], key=lambda run: (-run["val_accuracy"], run["val_nll"], run["seed"]))
    return run


def metrics(row: Row) -> dict[str, Any]:
    """A row as a few plain numbers, a column each of `dvc metrics show`."""
    means = {name: row[name]["mean"] for name in ("val_accuracy", "test_accuracy")}
    return means | {name: row[name] for name in ("val_nll", "test_nll", "ece", "parameters", "macs")}


def text(rows: Sequence[Row], timings: Mapping[str, Any]) -> str:
    """The leaderboard as a Markdown table; means over seeds, ± half of Student's 95% interval."""
    lines = ["| variant | validation % | test % | parameters | multiply-adds | training s | latency ms |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in rows:
        timing = timings.get(row["variant"], {})
        seconds = list(timing.get("train_seconds", {}).values())
        cells = [row["variant"], percent(row["val_accuracy"]), percent(row["test_accuracy"])]
        cells += [f"{row['parameters']:,}", f"{row['macs'] / 1e6:.2f} M"]
        cells += [f"{sum(seconds) / len(seconds):.0f}" if seconds else "", f"{timing.get('latency_ms', '')}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def percent(accuracy: Mapping[str, Any]) -> str:
    """A mean with half its interval, in percent."""
    interval = accuracy["ci95"]
    half = f" ± {50 * (interval[1] - interval[0]):.2f}" if interval else ""
    return f"{accuracy['mean']:.2%}".removesuffix("%") + half
