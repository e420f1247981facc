"""Pictures of results. The same numbers give the same bytes."""

import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLUMNS, ROWS = 10, 6


def misclassified(
    images: NDArray[np.uint8], actual: NDArray[np.str_], predicted: NDArray[np.str_], title: str
) -> bytes:
    """A PNG of the first 60 of the images [N, 28, 28], each with its true and its predicted class."""
    figure = Figure(figsize=(COLUMNS * 0.9, ROWS * 1.15 + 0.5), dpi=120)
    figure.suptitle(title, fontsize=11)
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        axes.set_axis_off()
        if place < len(images):
            axes.imshow(images[place], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(f"{actual[place]} → {predicted[place]}", fontsize=8)
    figure.tight_layout()
    # Without the library's version among them, the bytes change only when the picture does.
    page = io.BytesIO()
    figure.savefig(page, metadata={"Software": None})
    return page.getvalue()
