"""Charts of what networks have learned and of the measured ideas behind them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digitline.draw import mosaics
from digitline.draw.charts import CENTRED, WIDTH, few_ticks, labels, line, panel, short, styled
from digitline.draw.palette import BLUE, CLASSES, COLOURS, INK, PAPER, SOFT, Style

FULL = 13  # points of a class's name in the embedding
FEW = 10  # classes whose names fit a chart at full size; of more, the likeliest are shown
LONG = 4  # characters of a class's name; longer ones are drawn smaller, or upright


@styled
def embedding(
    points: NDArray[np.floating], actual: NDArray[np.integer], predicted: NDArray[np.integer], classes: Sequence[str]
) -> Figure:
    """Images as points [N, 2], one colour per class, labelled at its median; misclassified images are circled."""
    figure, axes = panel(4.0)
    names = [short(name, 16) for name in labels(classes)]
    size = FULL if len(names) <= FEW and max(map(len, names)) <= LONG else FULL / 2
    wrong = actual != predicted
    colours = np.array(CLASSES)[actual % len(CLASSES)]
    across, down = points.T
    axes.scatter(across[~wrong], down[~wrong], 5, colours[~wrong], linewidths=0, alpha=0.6, rasterized=True)
    axes.scatter(across[wrong], down[wrong], 16, colours[wrong], linewidths=0.9, edgecolors=INK, zorder=3)
    for label in np.unique(actual) if size == FULL else apart(points, actual, names):
        x, y = (float(at) for at in np.median(points[actual == label], 0))
        axes.text(x, y, names[label], **CENTRED | {"fontsize": size}, fontweight="bold", zorder=4)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    return figure


def apart(points: NDArray[np.floating], actual: NDArray[np.integer], names: Sequence[str]) -> list[int]:
    """The classes whose names, at the medians of their points, cover no earlier one."""
    extent, found = np.ptp(points, 0), dict[int, NDArray[np.floating]]()
    for label in np.unique(actual).tolist():
        place = np.median(points[actual == label], 0) / extent
        if all(abs(place[1] - y) > 0.04 or abs(place[0] - x) > 0.018 * len(names[label]) for x, y in found.values()):
            found[label] = place
    return list(found)


@styled
def sharing(counts: Mapping[str, Sequence[int]], styles: Mapping[str, Style]) -> Figure:
    """Parameters of each variant, with and without shared weights."""
    figure, axes = panel(0.8 + 0.36 * len(counts))
    for place, (name, (shared, unshared)) in enumerate(counts.items()):
        axes.plot([shared, unshared], [place, place], color=styles[name].colour, linewidth=2, alpha=0.45)
        axes.plot(shared, place, "o", color=styles[name].colour, markersize=7)
        axes.plot(unshared, place, "s", markerfacecolor=PAPER, markeredgecolor=styles[name].colour, markersize=7)
    axes.plot([], [], "o", color=SOFT, label="as it is")
    axes.plot([], [], "s", markerfacecolor=PAPER, markeredgecolor=SOFT, label="with own weights at every place")
    figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2, columnspacing=1)
    axes.set(xscale="log", xlabel="parameters", yticks=range(len(counts)), yticklabels=list(counts))
    axes.set(ylim=(len(counts) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    return figure


@styled
def importances(shares: Mapping[str, float]) -> Figure:
    """The share of the variance between a search's trials that each key explains, the largest on top."""
    figure, axes = panel(0.8 + 0.3 * len(shares))
    ranked = sorted(shares.items(), key=lambda one: -one[1])
    axes.barh(range(len(ranked)), [100 * share for _, share in ranked], color=BLUE, height=0.6)
    axes.set(yticks=range(len(ranked)), yticklabels=[name for name, _ in ranked], ylim=(len(ranked) - 0.4, -0.6))
    axes.set(xlabel="share of the variance between trials, %")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    return figure


@styled
def lines(curves: Mapping[str, NDArray[np.floating]], x_label: str, y_label: str) -> Figure:
    """Named lines of (x, lowest, mean, highest), with their range as a band."""
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
    """Gradients by layer over training, [points in time, layers] per activation, the first layer darkest."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    panels = figure.subplots(1, len(norms), sharey=True, squeeze=False)[0]
    for axes, (name, values) in zip(panels, norms.items(), strict=True):
        axes.set(yscale="log", xlabel="epoch", title=name)
        axes.yaxis.set_major_formatter("{x:.0e}")
        shades = mosaics.HEATMAP(np.linspace(0.25, 0.85, values.shape[1]))
        for layer, (norm, shade) in enumerate(zip(values.T, shades, strict=True), 1):
            axes.plot(norm, color=shade, label=f"layer {layer}")
    panels[0].set_ylabel("gradient of a weight, root mean square")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, columnspacing=1)
    return figure


@styled
def temperatures(
    curves: Mapping[str, Sequence[tuple[float, float]]], best: Mapping[str, float], styles: Mapping[str, Style]
) -> Figure:
    """Validation loss by temperature, with a dot at the minimum."""
    figure, axes = panel(3.0)
    for name, points in curves.items():
        line(axes, name, points, styles)
        at = min(points, key=lambda point: abs(point[0] - best[name]))
        axes.plot(*at, "o", color=styles[name].colour, markersize=5, gid=f"of-{name}.1")
    axes.axvline(1, color=SOFT, linewidth=1)
    axes.set(yscale="log")
    few_ticks(axes)
    axes.set(xscale="log", xlabel="temperature", ylabel="loss on validation, nats", xticks=[0.2, 0.5, 1, 2, 5])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    return figure


@styled
def answers(
    image: mosaics.Colours, by_temperature: Mapping[float, NDArray[np.floating]], classes: Sequence[str]
) -> Figure:
    """An image [height, width, 4] and the class probabilities at several temperatures; of many, the likeliest."""
    likely = np.sort(np.argsort(-next(iter(by_temperature.values())), kind="stable")[:FEW])
    names = [short(labels(classes)[place], 12) for place in likely]
    figure = Figure(figsize=(WIDTH, 2.6 if max(map(len, names)) <= LONG - 2 else 3.6), layout="constrained")
    panels = list(figure.subplots(2, -(-(len(by_temperature) + 1) // 2), sharey=False).flat)
    panels[0].imshow(image, interpolation="none")
    panels[0].set_axis_off()
    for axes in panels[len(by_temperature) + 1 :]:
        axes.set_axis_off()
    for axes, (temperature, shares) in zip(panels[1:], by_temperature.items(), strict=False):
        axes.bar(range(len(names)), shares[likely], color=BLUE, width=0.75)
        axes.set(
            ylim=(0, 1),
            yticks=[0, 1],
            title=f"at {temperature:g}",
            xticks=range(len(names)),
            xticklabels=names,
        )
        axes.tick_params(labelsize=7, length=0)
        if max(map(len, names)) > LONG - 2:
            axes.tick_params(axis="x", labelsize=6, rotation=90)
        axes.grid(visible=False, axis="x")
    return figure
