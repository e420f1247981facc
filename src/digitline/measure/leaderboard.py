"""The table of the study: one row per variant, ranked by validation."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from digitline.base.errors import InputError
from digitline.measure.calibration import MEASURES, temperature
from digitline.measure.classes import AVERAGES, TITLES
from digitline.measure.rounding import significant
from digitline.measure.rows import Measure, Row, Run, Summary
from digitline.measure.statistics import summary, wilson
from digitline.measure.uncertainty import over_kinds
from digitline.model.scores import Floats, Integers, exact

DOUBTED = "no class, doubted %"

MEASURED = [f"{split}_{name}" for split in ("val", "test") for name in (*MEASURES, *AVERAGES)]
MEASURED += ["temperature", "test_nll_scaled", "test_ece_scaled", "test_corrupted", "outliers_doubted"]


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
        **over_kinds([run["doubted_by_kind"] for run in runs if "doubted_by_kind" in run]),
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
    """The measures of a single run; an earlier version measured fewer."""
    return {key: cast("Mapping[str, Any]", run)[key] for key in MEASURED if key in run}


def front(rows: Sequence[Row], by: Measure = "accuracy") -> set[str]:
    """The variants that no other beats on validation with at most as many multiply-adds."""
    costs = [(row["variant"], row["macs"], rank(row, by)) for row in rows]

    def beaten(macs: int, place: float) -> bool:
        return any(m <= macs and p <= place and (m, p) != (macs, place) for _, m, p in costs)

    return {name for name, macs, place in costs if not beaten(macs, place)}


def best_first(rows: Sequence[Row], by: Measure = "accuracy") -> list[Row]:
    """Ranks the rows by a mean measure of validation, ties by validation loss."""
    return sorted(rows, key=lambda row: (rank(row, by), row["val_nll"], row["variant"]))


def best_run(row: Row, by: Measure = "accuracy") -> Run:
    """The run of a row to serve, chosen by the same rule."""
    return min(row["runs"], key=lambda run: (rank(run, by), run["val_nll"], run["seed"]))


def rank(of: Row | Run, by: Measure) -> float:
    """The measure of validation of a row or run, negative where more is better; InputError if it was not measured."""
    found = cast("Mapping[str, Any]", of).get(f"val_{by}")
    if found is None:
        raise InputError(f"select_by is {by}, which an earlier version did not measure; run dvc repro to measure it")
    value = float(found["mean"] if isinstance(found, dict) else found)
    return value if by == "nll" else -value


def metrics(row: Row) -> dict[str, Any]:
    """A row as a few plain numbers, each a column of `dvc metrics show`."""
    plain = cast("Mapping[str, Any]", row)
    means = {
        name: plain[name]["mean"]
        for name in ("val_accuracy", "test_accuracy", "val_balanced_accuracy", "val_macro_f1")
        if name in plain
    }
    names = ("val_nll", "test_nll", "test_ece", "outliers_doubted", "parameters", "macs")
    return means | {name: plain[name] for name in names if name in plain}


def text(rows: Sequence[Row], timings: Mapping[str, Any], by: Measure = "accuracy") -> str:
    """The leaderboard as a Markdown table, with the measure that ranks; ± is half of Student's interval over seeds."""
    ranked = [] if by == "accuracy" else [title(by)]
    titles = ["variant", *ranked, "validation %", "test %", "over images", "group", "corrupted %"]
    titles += [DOUBTED] if (doubting := any("outliers_doubted" in row for row in rows)) else []
    titles += ["parameters", "multiply-adds", "training s", "latency ms"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        timing = timings.get(row["variant"], {})
        seconds = list(timing.get("train_seconds", {}).values())
        low, high = row["test_accuracy"]["images95"]
        cells = [row["variant"], *([ranking(row, by)] if ranked else [])]
        cells += [percent(row["val_accuracy"]), percent(row["test_accuracy"])]
        cells += [f"{100 * low:.2f} to {100 * high:.2f}", row["group"], f"{100 * row['test_corrupted']:.1f}"]
        cells += [doubted(row)] if doubting else []
        cells += [f"{row['parameters']:,}", f"{row['macs'] / 1e6:.2f} M"]
        cells += [f"{sum(seconds) / len(seconds):.0f}" if seconds else "", f"{timing.get('latency_ms', '')}"]
        lines.append(cells)
    return markdown(lines)


def doubted(row: Row) -> str:
    """The share of a row's drawn images of no class that is doubted, in percent, as its cell shows it."""
    return f"{100 * row['outliers_doubted']:.1f}" if "outliers_doubted" in row else ""


def title(by: Measure) -> str:
    """The heading of the measure that ranks."""
    return f"validation {TITLES[by]}" + ("" if by == "nll" else " %")


def ranking(row: Row, by: Measure) -> str:
    """A row's measure that ranks, as its cell shows it."""
    found = cast("Mapping[str, Any]", row)[f"val_{by}"]
    return f"{found:.4f}" if by == "nll" else percent(found)


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
