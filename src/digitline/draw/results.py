"""Charts of the rows' results, each row in its own style."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from digitline.draw.charts import CENTRED, WIDTH, few_ticks, labels, line, panel, short, styled
from digitline.draw.palette import INK, ORANGE, PAPER, SOFT, Style
from digitline.measure.calibration import Bin
from digitline.measure.classes import TITLES
from digitline.measure.leaderboard import rank
from digitline.measure.rows import Measure, Row

CLEAR = LinearSegmentedColormap.from_list("clear", [to_rgba(ORANGE, 0), to_rgba(ORANGE, 1)])
COLUMNS, ROWS = 10, 6  # in a sheet of images
CLASSES = 24  # of a confusion matrix whose counts are legible; of more, those with the most mistakes are shown
LONG = 4  # characters of a class's name; longer ones are drawn smaller, and upright where they would overlap
ACROSS = 5  # panels of robustness

Curves = Mapping[str, Sequence[tuple[float, float]]]  # of each row: level, accuracy in percent


@styled
def intervals(rows: Sequence[Row], styles: Mapping[str, Style]) -> Figure:
    """Test error of a leaderboard's rows; a thick bar for the interval over images, a thin one over seeds."""
    figure, axes = panel(0.6 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        test, colour = row["test_accuracy"], styles[row["variant"]].colour
        over_images = [100 - 100 * end for end in test["images95"]]
        axes.plot(over_images, [place] * 2, color=colour, linewidth=6, alpha=0.35, solid_capstyle="butt")
        if test["ci95"]:
            axes.plot([100 - 100 * end for end in test["ci95"]], [place] * 2, color=colour, linewidth=1.2)
        axes.plot(100 - 100 * test["mean"], place, "o", color=colour, markersize=5)
    axes.set(yticks=range(len(rows)), yticklabels=[f"{row['variant']} ({row['group']})" for row in rows])
    axes.set(xlabel="error on test, %", ylim=(len(rows) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
    return figure


@styled
def front(rows: Sequence[Row], styles: Mapping[str, Style], by: Measure = "accuracy") -> Figure:
    """Validation error by multiply-adds of a leaderboard's rows, both logarithmic; a line joins the Pareto front.

    The error is what the measure that ranks lacks to 100%, or the loss.
    """
    figure, axes = panel(3.4)
    heights = {row["variant"]: rank(row, by) if by == "nll" else 100 + 100 * rank(row, by) for row in rows}
    points = {row["variant"]: (row["macs"], max(heights[row["variant"]], 0.001)) for row in rows}
    errors = {"accuracy": "error on validation, %", "nll": "loss on validation, nats"}
    best = sorted(points[row["variant"]] for row in rows if row["front"])
    axes.step(*zip(*best, strict=True), where="post", color=SOFT, linewidth=1, zorder=1)
    axes.set(xscale="log", yscale="log", xlabel="multiply-adds an image")
    axes.set_ylabel(errors.get(by, f"100 minus {TITLES[by]} on validation, %"))
    few_ticks(axes)
    axes.margins(0.16)
    axes.grid(visible=False)
    for row in rows:
        name = row["variant"]
        face = styles[name].colour if row["front"] else PAPER
        axes.plot(*points[name], "o", markersize=7, markerfacecolor=face, markeredgecolor=styles[name].colour, zorder=2)
    label(figure, axes, points, best)
    return figure


def label(
    figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float]], steps: Sequence[tuple[float, float]]
) -> None:
    """Labels the points, each on the side where the label overlaps other points, labels and the front the least."""
    figure.draw_without_rendering()
    reach = 5 * figure.dpi / 72
    places = [axes.transData.transform(point) for point in points.values()]
    taken = [Bbox.from_bounds(x - reach, y - reach, 2 * reach, 2 * reach) for x, y in places]
    ways = [axes.transData.transform(place) for place in steps]
    for (x, y), (next_x, next_y) in pairwise(ways):
        taken += [Bbox([[x, y - 2], [next_x, y + 2]]), Bbox([[next_x - 2, next_y], [next_x + 2, y]])]
    sides = [(7, 0, "left"), (-7, 0, "right"), (0, 9, "center"), (0, -9, "center")]
    sides += [(5, 9, "left"), (5, -9, "left"), (-5, 9, "right"), (-5, -9, "right")]
    sides += [(0, 19, "center"), (0, -19, "center")]
    for name, point in points.items():

        def named(side: tuple[int, int, str], name: str = name, point: tuple[float, float] = point) -> Annotation:
            x, y, towards = side
            options: dict[str, Any] = {"ha": towards, "va": "center", "textcoords": "offset points"}
            return axes.annotate(name, point, (x, y), **options)

        def covered(side: tuple[int, int, str]) -> float:
            trial = named(side)
            box = trial.get_window_extent()
            trial.remove()
            outside = box.width * box.height - overlap(box, axes.bbox)
            # Rounded, so that noise does not decide between sides that overlap nothing: the first one wins.
            return round(outside + math.fsum(overlap(box, other) for other in taken), 3)

        taken.append(named(min(sides, key=covered)).get_window_extent())


def overlap(one: Bbox, other: Bbox) -> float:
    """The area in which two boxes overlap."""
    shared = Bbox.intersection(one, other)
    return float(shared.width * shared.height) if shared else 0.0


@styled
def learning(curves: Mapping[str, Mapping[int, Sequence[float]]], styles: Mapping[str, Style], title: str) -> Figure:
    """A measure by epoch on a logarithmic axis: mean and range over each variant's seeds."""
    figure, axes = panel(3.0)
    for name, epochs in curves.items():
        numbers, values = list(epochs), [np.asarray(runs) for runs in epochs.values()]
        low, high = [run.min() for run in values], [run.max() for run in values]
        axes.fill_between(numbers, low, high, color=styles[name].colour, alpha=0.15, linewidth=0, gid=f"of-{name}.1")
        line(axes, name, zip(numbers, [run.mean() for run in values], strict=True), styles)
    axes.set(yscale="log", xlabel="epoch", title=title)
    few_ticks(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@styled
def robustness(curves: Curves, styles: Mapping[str, Style], unit: str) -> Figure:
    """Accuracy in percent by level of one family of changes, as a small chart."""
    figure = Figure(figsize=(WIDTH / 2, 1.7), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        line(axes, name, points, styles)
    axes.set(ylim=(0, 102), yticks=(0, 50, 100))
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=7.5)
    return figure


@styled
def calibration(bins: Sequence[Bin], colour: str) -> Figure:
    """Accuracy by confidence; a calibrated model is on the diagonal. A point's area shows its number of images."""
    figure, axes = panel(3.4)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1)
    total = sum(each.images for each in bins)
    sizes = [12 + 240 * each.images / total for each in bins]
    axes.scatter([b.confidence for b in bins], [b.accuracy for b in bins], sizes, colour, zorder=2, clip_on=False)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(0, 1.03))
    return figure


@styled
def confusion(counts: NDArray[np.floating], classes: Sequence[str]) -> Figure:
    """Mean counts [actual, predicted] per run; only mistakes are coloured, because right answers outnumber them."""
    shown = worst(counts)
    names, counts = [short(labels(classes)[place], 16) for place in shown], counts[np.ix_(shown, shown)]
    figure, axes = panel(4.0)
    mistakes = np.where(np.eye(len(names), dtype=bool), 0, counts)
    axes.imshow(mistakes, cmap=CLEAR, vmin=0, vmax=max(mistakes.max(), 1e-9), interpolation="none", aspect="auto")
    for (actual, predicted), count in np.ndenumerate(counts):
        if count:
            colour = SOFT if actual == predicted else INK
            axes.text(predicted, actual, f"{count:.1f}".removesuffix(".0"), **CENTRED, color=colour)
    ticks = range(len(names))
    axes.set(xlabel="predicted", ylabel="actual", xticks=ticks, xticklabels=names, yticks=ticks, yticklabels=names)
    if len(names) < len(classes):
        axes.set_title(f"the {len(names)} of {len(classes)} classes with the most mistakes")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    if max(map(len, names)) > LONG or len(names) > 2 * COLUMNS:
        axes.tick_params(labelsize=6.5)
        axes.tick_params(axis="x", rotation=90)
    return figure


def worst(counts: NDArray[np.floating]) -> list[int]:
    """The places of the classes that a confusion matrix shows: all, or of many those with the most mistakes."""
    mistakes = counts.sum(0) + counts.sum(1) - 2 * np.diag(counts)
    return sorted(np.argsort(-mistakes, kind="stable")[:CLASSES].tolist())


@styled
def families(found: Mapping[str, Curves], styles: Mapping[str, Style], units: Mapping[str, str]) -> Figure:
    """Accuracy by level, one panel per family of changes."""
    rows = -(-len(found) // ACROSS)
    figure = Figure(figsize=(15, 2.3 * rows + 0.8), dpi=110, layout="constrained")
    panels = list(figure.subplots(rows, ACROSS, sharey=True, squeeze=False).flat)
    for axes, (family, curves) in zip(panels, found.items(), strict=False):
        for name, points in curves.items():
            line(axes, name, points, styles)
        axes.set_title(f"{family}: {units[family]}")
        axes.tick_params(labelsize=7)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    figure.supylabel("accuracy, %", fontsize=9)
    names = list(next(iter(found.values()), {}))
    figure.legend(panels[0].get_lines(), names, loc="outside upper center", ncols=8)
    return figure


@styled
def misclassified(
    images: NDArray[np.uint8], actual: NDArray[np.str_], predicted: NDArray[np.str_], title: str
) -> Figure:
    """The first 60 of the images [N, H, W] or [N, H, W, 3], each with its true and its predicted class."""
    figure = Figure(figsize=(COLUMNS * 0.9, ROWS * 1.15 + 0.5), dpi=120)
    figure.suptitle(title, fontsize=13)
    brief = max([len(name) for name in (*actual[:60], *predicted[:60])], default=0) <= LONG
    # One panel for all of them, whose unit is the cell of an image and its title: sixty panels take a second.
    axes = figure.add_axes((0, 0, 1, 0.92), xlim=(0, COLUMNS), ylim=(ROWS, 0))
    axes.set_axis_off()
    cell = axes.bbox.width / COLUMNS / (axes.bbox.height / ROWS)  # its width by its height
    height, width = images.shape[1:3]
    high = min(0.74, 0.92 * cell * height / width)
    wide = high / cell * width / height
    for place, image in enumerate(images[: ROWS * COLUMNS]):
        row, column = divmod(place, COLUMNS)
        middle, bottom = column + 0.5, row + 0.97
        extent = (middle - wide / 2, middle + wide / 2, bottom, bottom - high)
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest", extent=extent, aspect="auto")
        title = mistake(actual[place], predicted[place])
        axes.text(middle, bottom - high - 0.03, title, ha="center", va="bottom", fontsize=12 if brief else 6.5)
    return figure


def mistake(actual: str, predicted: str) -> str:
    """The true and the predicted class, on two lines where they are long."""
    if max(len(actual), len(predicted)) <= LONG:
        return f"{actual} → {predicted}"
    return f"{short(actual, 14)}\n→ {short(predicted, 12)}"
