"""Writes the study as pages that open from disk and load nothing from the network."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from matplotlib.figure import Figure

from digitline.base import files
from digitline.base.errors import InputError
from digitline.data.entry import Preparation, Shape
from digitline.draw import charts, explanations, results
from digitline.draw.palette import Style
from digitline.measure import classes, leaderboard
from digitline.measure.calibration import Bin
from digitline.measure.robustness import FAMILIES
from digitline.measure.rows import Measure, Row
from digitline.measure.statistics import wilson
from digitline.registry.bento import Card
from digitline.report import classwise

TEMPLATES = Path(__file__).parent / "templates"
LEAST = 0.01  # percent of error, the least on a logarithmic scale
IDEAS = ("pooling", "gradients", "dropout")
PLOTTED = ("curves", "confusion", "calibration", "robustness")

Drawings = dict[str, str]  # SVG by name


class Study(NamedTuple):
    """The pipeline's results and parameters."""

    reports: Path  # the folder that the stages wrote
    board: list[Row]
    timings: dict[str, Any]
    insight: dict[str, dict[str, Any]]  # by variant
    champion: Card | None  # perhaps of another data set
    styles: dict[str, Style]
    dataset: str
    classes: list[str]
    image: Shape
    preparation: Preparation
    variants: list[str]
    votes: list[str]
    seeds: list[int]
    split: dict[str, Any]
    machine: str  # a description of the machine that made the results
    robust_images: int
    select_by: Measure

    def table(self, name: str) -> list[dict[str, str]]:
        """A table behind DVC's plots; each line is a dict by column."""
        return files.read_table(self.reports / f"plots/{name}.csv")


def write(study: Study, site: Path) -> None:
    """Draws the charts and writes pages and tables; replaces an earlier site.

    InputError if the results lack something that a page shows.
    """
    new = site.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        lay_out(study, new)
    except (UndefinedError, LookupError) as error:
        shutil.rmtree(new)
        raise InputError(f"{study.reports} lacks what the report shows: {error}; run dvc repro to make it") from error
    shutil.rmtree(site, ignore_errors=True)
    new.rename(site)


def lay_out(study: Study, new: Path) -> None:
    """Writes the site into a new folder."""
    copy(study, new)
    tables(study, new / "data")
    pages = environment(study)
    whole = {**overview(study), "drawings": drawn(study), "root": ""}
    files.write(new / "index.html", pages.get_template("index.html.jinja").render(whole).encode())
    for row in study.board:
        page = pages.get_template("variant.html.jinja").render(own(study, row, whole["drawings"]))
        files.write(new / f"variants/{row['variant']}.html", page.encode())


def environment(study: Study) -> Environment:
    """The templates with their common variables and number formats."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    pages.globals |= {
        "board": study.board,
        "votes": study.votes,
        "marks": {name: charts.THEMED[style.colour] for name, style in study.styles.items()},
        "machine": study.machine,
        "commit": git("rev-parse", "--short", "HEAD").strip(),
    }
    pages.filters |= {
        "percent": lambda share: f"{100 * share:.2f}",
        "half": lambda accuracy: "".join(leaderboard.percent(accuracy).partition(" ")[1:]),
        "counted": lambda number, noun: f"{number:,} {noun}{'' if number == 1 else 's'}",
        "points": lambda share: f"{100 * share:+z.2f}" if share is not None else "new",
        "ranking": leaderboard.ranking,
        "short": lambda count: f"{count / 1e6:.2f} M",
        "seconds": lambda timing: f"{fmean(timing['train_seconds'].values()):.0f}" if "train_seconds" in timing else "",
    }
    return pages


def overview(study: Study) -> dict[str, Any]:
    """The variables of the first page."""
    validation, verdict = files.read_json(study.reports / "validation.json"), study.reports / "promotion.json"
    champion, ideas = study.champion, files.read_json(study.reports / "ideas/ideas.json")
    own = champion is not None and champion.get("dataset", study.dataset) == study.dataset
    confusion = study.table("confusion")
    images = round(sum(float(line["count"]) for line in confusion if line["variant"] == study.board[0]["variant"]))
    before = committed(study)
    sums: list[dict[str, Any]] = [{"variant": name, **counts(study.insight[name])} for name in study.variants]
    ranked = sorted(study.board, key=lambda row: row["temperature"])
    return {
        "leader": study.board[0],
        "variants": study.variants,
        "dataset": study.dataset,
        "image": study.image,
        "preparation": study.preparation,
        "seeds": study.seeds,
        "split": study.split,
        "test_images": images,
        "robust_images": min(images, study.robust_images),
        "validation": validation,
        "holding": sum(one["success"] for one in validation["expectations"]),
        "promotion": files.read_json(verdict) if verdict.exists() else None,
        "champion": champion,
        "own": own,
        "interval": wilson(champion["test_accuracy"], images) if champion and own else None,
        "timings": study.timings,
        "families": list(FAMILIES),
        "corruptions": sum(family.corrupt is not None for family in FAMILIES.values()),
        "weakest": weakest(study, champion["variant"]) if champion and own else [],
        "insight": study.insight,
        "shown": next(name for name in (row["variant"] for row in study.board) if name in study.insight),
        "ideas": ideas,
        "idea_images": min(ideas["settings"]["images"], trained(validation) - study.split["validation"]),
        "most": max(sums, key=lambda one: one["unshared"] / one["parameters"]),
        "lowest": ranked[0],
        "highest": ranked[-1],
        "changes": changes(study) if before in (study.dataset, None) else [],
        "before": before,
        "doubting": list(study.board[0].get("doubted_by_kind", {})),
        "by": study.select_by,
        "ranked_by": classes.TITLES[study.select_by],
        "per_class": classwise.sections(study.board, champion),
    }


def own(study: Study, row: Row, drawings: Drawings) -> dict[str, Any]:
    """The variables of a row's page."""
    name = row["variant"]
    folder = study.reports / "insight" / name
    looks = {path.stem: path.read_text() for path in sorted(folder.glob("*.svg"))}
    return {
        "row": row,
        "image": study.image,
        "root": "../",
        "look": study.insight.get(name),
        "base": row["parent"] if row["kind"] == "vote" else None,
        "drawings": drawings | looks,
    }


def drawn(study: Study) -> Drawings:
    """The charts of the first page and of the rows' pages, by name."""
    board, of = study.board, study.styles
    names = [row["variant"] for row in board]
    curves = study.table("curves")
    errors = by_epoch(curves, lambda line: max(100 - 100 * float(line["val_accuracy"]), LEAST))
    losses = by_epoch(curves, lambda line: float(line["val_loss"]))
    figures: dict[str, Figure] = {
        "intervals": results.intervals(board, of),
        "front": results.front(board, of, study.select_by),
        "errors": results.learning(errors, of, "error on validation, %"),
        "losses": results.learning(losses, of, "loss on validation, nats"),
        "sharing": explanations.sharing({n: list(counts(look).values()) for n, look in study.insight.items()}, of),
        "temperatures": explanations.temperatures(
            {name: by_temperature(look) for name, look in study.insight.items()},
            {name: look["temperature"]["best"] for name, look in study.insight.items()},
            of,
        ),
    }
    robust = study.table("robustness")
    for family, kind in FAMILIES.items():
        lines = {name: levels(robust, name, family) for name in reversed(names)}
        figures[f"robust {family}"] = results.robustness(lines, of, kind.unit)
    for name in names:
        figures[f"confusion {name}"] = results.confusion(confusion(study, name), study.classes)
        figures[f"calibration {name}"] = results.calibration(bins(study, name), of[name].colour)
    shown = next(name for name in names if name in study.insight)
    kept = {idea: study.reports / f"ideas/{idea}.svg" for idea in IDEAS}
    kept |= {f"weights {name}": study.reports / f"insight/{name}/weights-1.svg" for name in study.insight}
    kept |= {"answers": study.reports / f"insight/{shown}/answers.svg"}
    return {name: charts.svg(figure) for name, figure in figures.items()} | {
        name: path.read_text() for name, path in kept.items()
    }


def by_epoch(
    lines: Sequence[Mapping[str, str]], value: Callable[[Mapping[str, str]], float]
) -> dict[str, dict[int, list[float]]]:
    """A measure by variant and epoch, one value per seed."""
    found: dict[str, dict[int, list[float]]] = {}
    for line in lines:
        found.setdefault(line["variant"], {}).setdefault(int(line["epoch"]), []).append(value(line))
    return found


def levels(lines: Sequence[Mapping[str, str]], variant: str, family: str) -> list[tuple[float, float]]:
    """A row's accuracies in percent by level of one family."""
    chosen = [line for line in lines if (line["variant"], line["family"]) == (variant, family)]
    return [(float(line["level"]), 100 * float(line["accuracy"])) for line in chosen]


def confusion(study: Study, variant: str) -> np.ndarray:
    """A row's mean confusion matrix [actual, predicted]."""
    counts = [float(line["count"]) for line in study.table("confusion") if line["variant"] == variant]
    return np.array(counts).reshape(len(study.classes), len(study.classes))


def bins(study: Study, variant: str) -> list[Bin]:
    """A row's calibration bins."""
    lines = [line for line in study.table("calibration") if line["variant"] == variant]
    return [Bin(int(line["count"]), float(line["confidence"]), float(line["accuracy"])) for line in lines]


def by_temperature(look: Mapping[str, Any]) -> list[tuple[float, float]]:
    """A variant's validation loss by temperature."""
    return [(float(temperature), loss) for temperature, loss in look["temperature"]["losses"].items()]


def counts(look: Mapping[str, Any]) -> dict[str, int]:
    """A variant's number of parameters, with and without shared weights."""
    return {key: sum(layer[key] for layer in look["layers"]) for key in ("parameters", "unshared")}


def weakest(study: Study, variant: str) -> list[str]:
    """The three corruptions that reduce a row's accuracy most."""
    lines = [
        (float(line["accuracy"]), line["family"])
        for line in study.table("robustness")
        if line["variant"] == variant and float(line["level"]) == FAMILIES[line["family"]].corrupt
    ]
    return [f"{family} ({accuracy:.0%})" for accuracy, family in sorted(lines)[:3]]


def trained(validation: Mapping[str, Any]) -> int:
    """The number of training images, as validation counted them."""
    return next(int(one["observed"]) for one in validation["expectations"] if one["name"] == "train: images")


def committed(study: Study) -> str | None:
    """The data set of the last commit's results; none if there are none."""
    text = git("show", f"HEAD:./{study.reports}/validation.json")
    return str(json.loads(text)["dataset"]) if text else None


def changes(study: Study) -> list[dict[str, Any]]:
    """The rows that differ from the last commit's leaderboard: the present row, if any, and its gains."""
    committed = git("show", f"HEAD:./{study.reports}/leaderboard.json")
    before = {row["variant"]: row for row in json.loads(committed or "[]")}
    now = {row["variant"]: row for row in study.board}
    return [
        {
            "variant": name,
            "now": now.get(name),
            "val": gain(name, now, before, "val"),
            "test": gain(name, now, before, "test"),
        }
        for name in {**now, **before}
        if now.get(name) != before.get(name)
    ]


def gain(name: str, now: Mapping[str, Any], before: Mapping[str, Any], part: str) -> float | None:
    """The change in a row's accuracy, if the row exists before and now."""
    if not (name in now and name in before):
        return None
    first, last = (float(rows[name][f"{part}_accuracy"]["mean"]) for rows in (before, now))
    return last - first


def git(*words: str) -> str:
    """The output of git; empty without a repository or a commit."""
    try:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def tables(study: Study, folder: Path) -> None:
    """Writes the numbers behind the charts."""
    header = ["variant", "val_accuracy", "val_low", "val_high", "test_accuracy", "test_low", "test_high"]
    header += ["test_images_low", "test_images_high", "group", "test_corrupted"]
    header += ["outliers_doubted", "parameters", "macs", "front"]
    lines: list[list[Any]] = []
    for row in study.board:
        cells: list[Any] = [row["variant"]]
        for summary in (row["val_accuracy"], row["test_accuracy"]):
            ends: list[Any] = summary["ci95"] or ["", ""]
            cells += [summary["mean"], *ends]
        cells += [*row["test_accuracy"]["images95"], *(dict(row).get(key, "") for key in header[9:])]
        lines.append(cells)
    files.write_csv(folder / "leaderboard.csv", [header, *lines])
    pairs = files.read_json(study.reports / "comparisons.json")
    files.write_csv(folder / "comparisons.csv", [list(pairs[0]) if pairs else [], *(list(p.values()) for p in pairs)])
    sums = [[name, *counts(look).values()] for name, look in study.insight.items()]
    files.write_csv(folder / "sharing.csv", [["variant", "parameters", "unshared"], *sums])
    lines = [[name, *point] for name, look in study.insight.items() for point in by_temperature(look)]
    files.write_csv(folder / "temperatures.csv", [["variant", "temperature", "loss"], *lines])
    classwise.tables(study.board, folder)
    for row in study.board:
        lines = [list(line.values()) for line in study.table("confusion") if line["variant"] == row["variant"]]
        files.write_csv(
            folder / f"confusions-{row['variant']}.csv", [["variant", "actual", "predicted", "count"], *lines]
        )


def copy(study: Study, site: Path) -> None:
    """Copies the stages' files beside the pages."""
    found = {f"data/{name}.csv": study.reports / f"plots/{name}.csv" for name in PLOTTED}
    found |= {f"data/{name}.csv": study.reports / f"ideas/{name}.csv" for name in IDEAS}
    for name in (row["variant"] for row in study.board):
        found[f"images/misclassified-{name}.png"] = study.reports / f"misclassified/{name}.png"
    for name in study.insight:
        tables = sorted((study.reports / "insight" / name).glob("*.csv"))
        found |= {f"variants/{name}/{path.name}": path for path in tables}
    found["data_docs.html"] = study.reports / "data_docs/index.html"
    found["style.css"] = TEMPLATES / "style.css"
    for name, path in found.items():
        files.write(site / name, path.read_bytes())
