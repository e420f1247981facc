"""The table of the study: one row per variant, ranked by validation."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from digitline.measure.calibration import MEASURES, temperature
from digitline.measure.rounding import significant
from digitline.measure.rows import Row, Run, Summary
from digitline.measure.statistics import summary, wilson
from digitline.model.scores import Floats, Integers, exact

MEASURED = [f"{split}_{name}" for split in ("val", "test") for name in MEASURES]
MEASURED += ["temperature", "test_nll_scaled", "test_ece_scaled", "test_corrupted"]


def row(variant: str, runs: Sequence[Run], *, images: int, **cost: int) -> Row:
    """One row: its cost, the mean of each measure over its runs, and the runs themselves."""

    def over_runs(measure: str) -> dict[str, Any]:
        return summary([cast("Mapping[str, Any]", run)[measure] for run in runs])

    def mean(measure: str) -> float:
        return significant(over_runs(measure)["mean"])

    test = over_runs("test_accuracy")
    found = {
        "variant": variant,
        **cost,
        "seeds": [seed for run in runs for seed in run.get("members", [run["seed"]])],
        "val_accuracy": over_runs("val_accuracy"),
        "test_accuracy": {**test, "images95": wilson(test["mean"], images)},
        "val_nll": mean("val_nll"),
        "test_nll": mean("test_nll"),
        "test_ece": mean("test_ece"),
        "temperature": mean("temperature"),
        "test_nll_scaled": mean("test_nll_scaled"),
        "test_ece_scaled": mean("test_ece_scaled"),
        "test_corrupted": over_runs("test_corrupted")["mean"],
        "runs": list(runs),
    }
    return cast("Row", found)


def measures(val: Floats, val_labels: Integers, test: Floats, test_labels: Integers) -> dict[str, float]:
    """Every measure of one run's logits [N, classes]; `scaled` uses the temperature that fits validation best."""
    sets = {"val": (val, val_labels), "test": (test, test_labels)}
    found = {f"{split}_{name}": f(*of) for split, of in sets.items() for name, f in MEASURES.items()}
    best = temperature(val, val_labels)
    scaled = {f"test_{name}_scaled": MEASURES[name](exact(test) / best, test_labels) for name in ("nll", "ece")}
    found |= {"temperature": best, **scaled}
    return {name: value if name.endswith("accuracy") else significant(value) for name, value in found.items()}


def measured(run: Run) -> dict[str, float]:
    """The measures of a single run."""
    return {key: cast("Mapping[str, Any]", run)[key] for key in MEASURED}


def front(rows: Sequence[Row]) -> set[str]:
    """The variants that no other beats on validation with at most as many multiply-adds."""

    def beaten(row: Row) -> bool:
        return any(
            other["macs"] <= row["macs"]
            and other["val_accuracy"]["mean"] >= row["val_accuracy"]["mean"]
            and (other["macs"], -other["val_accuracy"]["mean"]) != (row["macs"], -row["val_accuracy"]["mean"])
            for other in rows
        )

    return {row["variant"] for row in rows if not beaten(row)}


def best_first(rows: Sequence[Row]) -> list[Row]:
    """Ranks the rows by mean validation accuracy, ties by validation loss."""
    return sorted(rows, key=lambda row: (-row["val_accuracy"]["mean"], row["val_nll"], row["variant"]))


def best_run(row: Row) -> Run:
    """The run of a row to serve, chosen by the same rule."""
    return min(row["runs"], key=lambda run: (-run["val_accuracy"], run["val_nll"], run["seed"]))


def metrics(row: Row) -> dict[str, Any]:
    """A row as a few plain numbers, each a column of `dvc metrics show`."""
    plain = cast("Mapping[str, Any]", row)
    means = {name: plain[name]["mean"] for name in ("val_accuracy", "test_accuracy")}
    return means | {name: plain[name] for name in ("val_nll", "test_nll", "test_ece", "parameters", "macs")}


def text(rows: Sequence[Row], timings: Mapping[str, Any]) -> str:
    """The leaderboard as a Markdown table; ± is half of Student's 95% interval over seeds."""
    titles = ["variant", "validation %", "test %", "over images", "group", "corrupted %"]
    titles += ["parameters", "multiply-adds", "training s", "latency ms"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        timing = timings.get(row["variant"], {})
        seconds = list(timing.get("train_seconds", {}).values())
        low, high = row["test_accuracy"]["images95"]
        cells = [row["variant"], percent(row["val_accuracy"]), percent(row["test_accuracy"])]
        cells += [f"{100 * low:.2f} to {100 * high:.2f}", row["group"], f"{100 * row['test_corrupted']:.1f}"]
        cells += [f"{row['parameters']:,}", f"{row['macs'] / 1e6:.2f} M"]
        cells += [f"{sum(seconds) / len(seconds):.0f}" if seconds else "", f"{timing.get('latency_ms', '')}"]
        lines.append(cells)
    return markdown(lines)


def ablation(rows: Sequence[Row], pairs: Sequence[Mapping[str, Any]]) -> str:
    """Each row, followed by its children, compared with it on the same test images, as a Markdown table."""
    names = [row["variant"] for row in rows]
    whole = {row["variant"]: row["parent"] for row in rows}
    lines = [["variant", "test %", "difference", "95% interval", "p", "corrupted %"]]
    lines.append(["---"] * len(lines[0]))
    for name in sorted(names, key=lambda name: (whole[name] or name, whole[name] is not None)):
        row = rows[names.index(name)]
        cells = [name, f"{100 * row['test_accuracy']['mean']:.2f}", *against(name, whole[name], pairs)]
        lines.append([*cells, f"{100 * row['test_corrupted']:.1f}"])
    return markdown(lines)


def against(name: str, other: str | None, pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The difference in accuracy between two variants in points, its interval, and the corrected p."""
    for pair in pairs:
        if {pair["first"], pair["second"]} == {name, other}:
            sign = 100 if pair["first"] == name else -100
            low, high = sorted(sign * end for end in pair["ci95"])
            return [f"{sign * pair['difference']:+.2f}", f"{low:+.2f} to {high:+.2f}", f"{pair['p_holm']:.2g}"]
    return [""] * 3


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Cells as a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(accuracy: Summary) -> str:
    """A mean ± half of its interval, in percent."""
    interval = accuracy["ci95"]
    half = f" ± {50 * (interval[1] - interval[0]):.2f}" if interval else ""
    return f"{accuracy['mean']:.2%}".removesuffix("%") + half
