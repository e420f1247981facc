"""Charts of results, a colour a variant. The same numbers give the same bytes."""

import functools
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from digitline import mosaics
from digitline.evaluation import Bin
from digitline.palette import BLUE, CLASSES, COLOURS, INK, LINE, ORANGE, PAPER, SOFT, dashed

Arguments = ParamSpec("Arguments")
Row = Mapping[str, Any]

WIDTH = 4.4  # inches: a phone's width, so that words stay legible there
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.dpi": 200,
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "digitline",
    "text.color": INK,
    "xtick.color": LINE,
    "xtick.labelcolor": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.color": LINE,
    "ytick.labelcolor": SOFT,
    "ytick.labelsize": 8.5,
}
CENTRED: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
CLEAR = LinearSegmentedColormap.from_list("clear", [to_rgba(ORANGE, 0), to_rgba(ORANGE, 1)])
THEMED = {INK: "ink", SOFT: "soft", LINE: "line", PAPER: "paper"}
THEMED |= {colour: f"c{place}" for place, colour in enumerate(CLASSES)}


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draws in the style of the report."""

    @functools.wraps(draw)
    def drawn(*arguments: Arguments.args, **options: Arguments.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*arguments, **options)

    return drawn


def svg(figure: Figure) -> str:
    """The figure as SVG that follows the colours of the page it stands in, or keeps its own where there is none.

    What is drawn with the gid `of-NAME` is of the class NAME.
    """
    page = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(
            page, format="svg", dpi=140, transparent=True, metadata={"Date": None, "Creator": None, "Format": None}
        )
    text = page.getvalue()[page.getvalue().index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'font: ([\d.]+)px [^;"]*', r"font: \1px system-ui, sans-serif", text)
    text = re.sub("#[0-9a-f]{6}", lambda found: themed(found[0]), text)
    text = re.sub(r'id="of-([^"]+?)(?:\.\d+)?"', r'class="of \1"', text)
    referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))  # any other id would meet its like on the page
    return re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in referred else "", text)


def themed(colour: str) -> str:
    """A colour as the page's variable of it, or as it is."""
    return f"var(--{THEMED[colour]}, {colour})" if colour in THEMED else colour


def png(figure: Figure) -> bytes:
    """The figure's bytes."""
    page = io.BytesIO()
    with mpl.rc_context(STYLE):
        # Without the library's version among them, the bytes change only when the picture does.
        figure.savefig(page, metadata={"Software": None})
    return page.getvalue()


def panel(height: float, **options: Any) -> tuple[Figure, Axes]:
    """An empty chart, so many inches high."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(**options)


def line(axes: Axes, name: str, points: Iterable[Sequence[float]], colours: Mapping[str, str]) -> None:
    """A line of a row of the leaderboard, which the page finds by its name."""
    style = "--" if dashed(name, colours) else "-"
    axes.plot(*zip(*points, strict=True), style, color=colours[name], gid=f"of-{name}")


def few_ticks(axes: Axes) -> None:
    """Ticks at 1, 2, 5, 10, … of a logarithmic axis upwards."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


@styled
def intervals(rows: Sequence[Row], colours: Mapping[str, str]) -> Figure:
    """Error on test of a leaderboard's rows; thick what the images leave open, thin what the seeds do."""
    figure, axes = panel(0.6 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        test, colour = row["test_accuracy"], colours[row["variant"]]
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
def front(rows: Sequence[Row], colours: Mapping[str, str]) -> Figure:
    """Validation error by multiply-adds, both logarithmic, of a leaderboard's rows; a line joins the Pareto front."""
    figure, axes = panel(3.4)
    points = {row["variant"]: (row["macs"], max(100 - 100 * row["val_accuracy"]["mean"], 0.001)) for row in rows}
    best = sorted(points[row["variant"]] for row in rows if row["front"])
    axes.step(*zip(*best, strict=True), where="post", color=SOFT, linewidth=1, zorder=1)
    axes.set(xscale="log", yscale="log", xlabel="multiply-adds an image", ylabel="error on validation, %")
    few_ticks(axes)
    axes.margins(0.16)
    axes.grid(visible=False)
    for row in rows:
        name = row["variant"]
        face = colours[name] if row["front"] else PAPER
        axes.plot(*points[name], "o", markersize=7, markerfacecolor=face, markeredgecolor=colours[name], zorder=2)
    label(figure, axes, points, best)
    return figure


def label(
    figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float]], steps: Sequence[tuple[float, float]]
) -> None:
    """Names the points, each on the side where its name covers least of other points and names and of the steps."""
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
            # Rounded: several sides may cover nothing but for noise, and then the first of them is the one.
            return round(outside + math.fsum(overlap(box, other) for other in taken), 3)

        taken.append(named(min(sides, key=covered)).get_window_extent())


def overlap(one: Bbox, other: Bbox) -> float:
    """The area that two boxes share."""
    shared = Bbox.intersection(one, other)
    return float(shared.width * shared.height) if shared else 0.0


@styled
def learning(curves: Mapping[str, Mapping[int, Sequence[float]]], colours: Mapping[str, str], title: str) -> Figure:
    """A measure by epoch, logarithmic: the values of each variant's seeds; mean and range."""
    figure, axes = panel(3.0)
    for name, epochs in curves.items():
        numbers, values = list(epochs), [np.asarray(runs) for runs in epochs.values()]
        low, high = [run.min() for run in values], [run.max() for run in values]
        axes.fill_between(numbers, low, high, color=colours[name], alpha=0.15, linewidth=0, gid=f"of-{name}.1")
        line(axes, name, zip(numbers, [run.mean() for run in values], strict=True), colours)
    axes.set(yscale="log", xlabel="epoch", title=title)
    few_ticks(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@styled
def robustness(curves: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str], unit: str) -> Figure:
    """Accuracy in percent by level of one family of changes, small."""
    figure = Figure(figsize=(WIDTH / 2, 1.7), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        line(axes, name, points, colours)
    axes.set(ylim=(0, 102), yticks=(0, 50, 100))
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=7.5)
    return figure


@styled
def calibration(bins: Sequence[Bin], colour: str) -> Figure:
    """Accuracy by confidence; a calibrated model stands on the diagonal. A point's area follows its images."""
    figure, axes = panel(3.4)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1)
    total = sum(each.images for each in bins)
    sizes = [12 + 240 * each.images / total for each in bins]
    axes.scatter([b.confidence for b in bins], [b.accuracy for b in bins], sizes, colour, zorder=2, clip_on=False)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(0, 1.03))
    return figure


@styled
def confusion(counts: NDArray[np.floating], classes: Sequence[str]) -> Figure:
    """Mean counts [actual, predicted] of a run, the mistakes coloured: beside them the right answers are many."""
    figure, axes = panel(4.0)
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0, counts)
    axes.imshow(mistakes, cmap=CLEAR, vmin=0, vmax=max(mistakes.max(), 1e-9), interpolation="none", aspect="auto")
    for (actual, predicted), count in np.ndenumerate(counts):
        if count:
            colour = SOFT if actual == predicted else INK
            axes.text(predicted, actual, f"{count:.1f}".removesuffix(".0"), **CENTRED, color=colour)
    ticks = range(len(classes))
    axes.set(xlabel="predicted", ylabel="actual", xticks=ticks, xticklabels=classes, yticks=ticks, yticklabels=classes)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


@styled
def embedding(
    points: NDArray[np.floating], actual: NDArray[np.integer], predicted: NDArray[np.integer], classes: Sequence[str]
) -> Figure:
    """Images as points [N, 2], a colour a class, which is named at its middle; the misclassified ringed."""
    figure, axes = panel(4.0)
    wrong = actual != predicted
    colours = np.array(CLASSES)[actual % len(CLASSES)]
    across, down = points.T
    axes.scatter(across[~wrong], down[~wrong], 5, colours[~wrong], linewidths=0, alpha=0.6, rasterized=True)
    axes.scatter(across[wrong], down[wrong], 16, colours[wrong], linewidths=0.9, edgecolors=INK, zorder=3)
    for label in np.unique(actual):
        x, y = (float(at) for at in np.median(points[actual == label], 0))
        axes.text(x, y, classes[label], **CENTRED | {"fontsize": 13}, fontweight="bold", zorder=4)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    return figure


@styled
def sharing(counts: Mapping[str, Sequence[int]], colours: Mapping[str, str]) -> Figure:
    """Parameters of each variant, as it is and had it no shared weights."""
    figure, axes = panel(0.8 + 0.36 * len(counts))
    for place, (name, (shared, unshared)) in enumerate(counts.items()):
        axes.plot([shared, unshared], [place, place], color=colours[name], linewidth=2, alpha=0.45)
        axes.plot(shared, place, "o", color=colours[name], markersize=7)
        axes.plot(unshared, place, "s", markerfacecolor=PAPER, markeredgecolor=colours[name], markersize=7)
    axes.plot([], [], "o", color=SOFT, label="as it is")
    axes.plot([], [], "s", markerfacecolor=PAPER, markeredgecolor=SOFT, label="weights of its own for every place")
    figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2, columnspacing=1)
    axes.set(xscale="log", xlabel="parameters", yticks=range(len(counts)), yticklabels=list(counts))
    axes.set(ylim=(len(counts) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    return figure


@styled
def lines(curves: Mapping[str, NDArray[np.floating]], x_label: str, y_label: str) -> Figure:
    """A few named lines of (x, lowest, mean, highest), with their range."""
    figure, axes = panel(3.0)
    for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
        x, low, mean, high = points.T
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, mean, color=colour, label=name, marker="o", markersize=3.5)
    figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handlelength=1.4)
    axes.set(xlabel=x_label, ylabel=y_label, xticks=x)
    return figure


@styled
def gradients(norms: Mapping[str, NDArray[np.floating]]) -> Figure:
    """Gradient by layer over training, [points in time, layers] of each activation, the first layer darkest."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    panels = figure.subplots(1, len(norms), sharey=True, squeeze=False)[0]
    for axes, (name, values) in zip(panels, norms.items(), strict=True):
        axes.set(yscale="log", xlabel="epoch", title=name)
        axes.yaxis.set_major_formatter("{x:.0e}")
        shades = mosaics.HEAT(np.linspace(0.25, 0.85, values.shape[1]))
        for layer, (norm, shade) in enumerate(zip(values.T, shades, strict=True), 1):
            axes.plot(norm, color=shade, label=f"layer {layer}")
    panels[0].set_ylabel("gradient of a weight, root mean square")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, columnspacing=1)
    return figure


@styled
def temperatures(
    curves: Mapping[str, Sequence[tuple[float, float]]], best: Mapping[str, float], colours: Mapping[str, str]
) -> Figure:
    """Loss on validation by what the logits are divided by; a dot where it is least."""
    figure, axes = panel(3.0)
    for name, points in curves.items():
        line(axes, name, points, colours)
        at = min(points, key=lambda point: abs(point[0] - best[name]))
        axes.plot(*at, "o", color=colours[name], markersize=5, gid=f"of-{name}.1")
    axes.axvline(1, color=SOFT, linewidth=1)
    axes.set(yscale="log")
    few_ticks(axes)
    axes.set(xscale="log", xlabel="temperature", ylabel="loss on validation, nats", xticks=[0.2, 0.5, 1, 2, 5])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    return figure


@styled
def answers(image: NDArray[np.uint8], by_heat: Mapping[float, NDArray[np.floating]], classes: Sequence[str]) -> Figure:
    """An image, and the probabilities of its answer at several temperatures."""
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    panels = list(figure.subplots(2, -(-(len(by_heat) + 1) // 2), sharey=False).flat)
    panels[0].imshow(mosaics.ink(image), interpolation="none")
    panels[0].set_axis_off()
    for axes in panels[len(by_heat) + 1 :]:
        axes.set_axis_off()
    for axes, (heat, shares) in zip(panels[1:], by_heat.items(), strict=False):
        axes.bar(range(len(classes)), shares, color=BLUE, width=0.75)
        axes.set(ylim=(0, 1), yticks=[0, 1], title=f"at {heat:g}", xticks=range(len(classes)), xticklabels=classes)
        axes.tick_params(labelsize=7, length=0)
        axes.grid(visible=False, axis="x")
    return figure
