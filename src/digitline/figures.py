"""Pictures of results, as PNG. The same numbers give the same bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digitline.evaluation import Bin
from digitline.palette import BLUE, dashed

COLUMNS, ROWS = 10, 6
GREY = "0.6"


def misclassified(
    images: NDArray[np.uint8], actual: NDArray[np.str_], predicted: NDArray[np.str_], title: str
) -> bytes:
    """The first 60 of the images [N, 28, 28], each with its true and its predicted class."""
    figure = Figure(figsize=(COLUMNS * 0.9, ROWS * 1.15 + 0.5), dpi=120)
    figure.suptitle(title, fontsize=13)
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        axes.set_axis_off()
        if place < len(images):
            axes.imshow(images[place], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(f"{actual[place]} → {predicted[place]}", fontsize=12)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.9, hspace=0.3)
    return png(figure)


def confusion(counts: NDArray[np.floating], classes: Sequence[str], title: str) -> bytes:
    """Mean counts [actual, predicted] of a run; coloured by the mistakes, beside which the right answers are many."""
    figure = Figure(figsize=(6.5, 6.2), dpi=120)
    axes = figure.subplots()
    mistakes = np.where(np.eye(len(classes), dtype=bool), np.nan, counts)
    axes.imshow(mistakes, cmap="Oranges", vmin=0)
    for (actual, predicted), count in np.ndenumerate(counts):
        if count:
            axes.text(predicted, actual, f"{count:g}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    figure.tight_layout()
    return png(figure)


def calibration(bins: Sequence[Bin], title: str) -> bytes:
    """Accuracy by confidence; a calibrated model stands on the diagonal. A point's area follows its images."""
    figure = Figure(figsize=(6, 6), dpi=120)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    total = sum(b.images for b in bins)
    axes.scatter(
        [b.confidence for b in bins], [b.accuracy for b in bins], [15 + 300 * b.images / total for b in bins], BLUE
    )
    axes.set(xlabel="confidence", ylabel="accuracy", title=title, xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    figure.tight_layout()
    return png(figure)


def robustness(lines: Sequence[Sequence[Any]], units: Mapping[str, str], colours: Mapping[str, str]) -> bytes:
    """Accuracy by level, a panel a family, a line a variant, of lines (variant, family, level, accuracy)."""
    names, families = (list(dict.fromkeys(line[place] for line in lines)) for place in (0, 1))
    rows = -(-len(families) // 5)
    figure = Figure(figsize=(15, 2.3 * rows + 0.8), dpi=110, layout="constrained")
    panels = figure.subplots(rows, 5, sharey=True, squeeze=False).flat
    for axes, family in zip(panels, [*families, *[None] * (5 * rows - len(families))], strict=True):
        for name in names:
            points = [(float(x), 100 * float(y)) for variant, of, x, y in lines if (variant, of) == (name, family)]
            style = "--" if dashed(name, colours) else "-"
            if points:
                axes.plot(*zip(*points, strict=True), style, color=colours[name], label=name, linewidth=1.3)
        axes.set_axis_on() if family else axes.set_axis_off()
        axes.set_title(f"{family}: {units[family]}" if family else "", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(color="0.92")
    figure.supylabel("accuracy, %", fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=8, fontsize=8, frameon=False)
    return png(figure)


def png(figure: Figure) -> bytes:
    """The figure's bytes."""
    page = io.BytesIO()
    # Without the library's version among them, the bytes change only when the picture does.
    figure.savefig(page, metadata={"Software": None})
    return page.getvalue()
