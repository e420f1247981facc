"""Small images side by side as SVG: pixels stay sharp at any size, text takes the colours of the page."""

import base64
import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap
from numpy.typing import NDArray
from PIL import Image

from digitline.draw.charts import short
from digitline.draw.palette import BLUE, INK, ORANGE
from digitline.measure.rounding import decimals

Floats = NDArray[np.floating]
Colours = NDArray[np.uint8]  # [rows, columns, height, width, 4]

LONG = 5  # characters above a column; longer labels are written upwards
CELL, GAP = 28, 2  # the side of an image and the gap between two, in units of the SVG
PAPER = LinearSegmentedColormap.from_list("paper", ["#ffffff", "#111418"])
HEATMAP = LinearSegmentedColormap.from_list("heatmap", ["#0b1b33", BLUE, "#7fc4e8", "#fff3d6"])
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#8ec3e6", "#ffffff", "#f2b48a", ORANGE])


def ink(images: NDArray[np.uint8]) -> Colours:
    """Digits [..., height, width] in dark ink on white."""
    return coloured(images / 255, PAPER)


def photos(images: NDArray[np.uint8]) -> Colours:
    """Colour pictures [..., height, width, 3] as they are."""
    return np.concatenate([images, np.full_like(images[..., :1], 255)], -1)


def signed(values: Floats, axes: Sequence[int]) -> Colours:
    """Values [..., height, width] as colours from blue (below 0) over white (0) to orange, scaled over the axes."""
    most = np.abs(values).max(tuple(axes), keepdims=True)
    return coloured(0.5 + 0.5 * values / np.maximum(most, 1e-12), SIGNED)


def heatmap(values: Floats, axes: Sequence[int]) -> Colours:
    """Values [..., height, width] as colours from dark (the minimum over the axes) to bright (the maximum)."""
    low, high = values.min(tuple(axes), keepdims=True), values.max(tuple(axes), keepdims=True)
    return coloured((values - low) / np.maximum(high - low, 1e-12), HEATMAP)


def coloured(shares: Floats, colours: Colormap) -> Colours:
    """Shares of 0-1 as colours. Rounded first, because white, 0.5, lies between two colours."""
    found: Colours = colours(decimals(shares), bytes=True)
    return found


def wrapped(tiles: Colours, across: int) -> Colours:
    """Tiles [N, height, width, 4] in rows of that many; transparent tiles fill up the last row."""
    filled = np.pad(tiles, ((0, -len(tiles) % across), (0, 0), (0, 0), (0, 0)))
    return filled.reshape(-1, across, *tiles.shape[1:])


def svg(
    tiles: Colours,
    *,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    breaks: Sequence[int] = (),
    halves: bool = False,
    cell: int = CELL,
    alt: str,
) -> str:
    """Arranges tiles [rows, columns, height, width, 4], with labels above the columns and left of the rows.

    A wider gap precedes the columns in `breaks`; with `halves`, the second half of the rows is beside the first.
    """
    middle = -(-len(tiles) // 2) if halves else len(tiles)
    blocks, x, bottom = [], 0.0, 0.0
    for start in range(0, len(tiles), middle):
        part = slice(start, start + middle)
        content, right, end = block(tiles[part], x, columns, rows[part], breaks=breaks, cell=cell)
        blocks.append(content)
        x, bottom = right + 3 * GAP, max(bottom, end)
    return framed("".join(blocks), right, bottom, alt)


def block(
    tiles: Colours, start: float, columns: Sequence[str], rows: Sequence[str], *, breaks: Sequence[int], cell: int
) -> tuple[str, float, float]:
    """One block of tiles with its labels; returns its right and bottom edges."""
    upright = max(map(len, columns), default=0) > LONG
    columns = [short(name, 30) for name in columns]
    left = start + (8 + 6 * max(map(len, rows)) if rows else 0)
    top = 8 + 6 * max(map(len, columns)) if upright else 16 if any(columns) else 0
    x = [left + place * (cell + GAP) + sum(3 * GAP for at in breaks if at <= place) for place in range(tiles.shape[1])]
    y = [top + place * (cell + GAP) for place in range(len(tiles))]
    parts = [
        f'<image x="{x[first]:g}" y="{top}" width="{x[last - 1] + cell - x[first]:g}" height="{y[-1] + cell - top}" '
        f'preserveAspectRatio="none" href="{png(tiles[:, first:last], cell)}"/>'
        for first, last in pairwise(sorted({0, len(x), *breaks}))
    ]
    parts += [head(at + cell / 2, top - 5, text, upright=upright) for at, text in zip(x, columns, strict=False)]
    parts += [word(left - 6, at + cell / 2 + 4, "end", text) for at, text in zip(y, rows, strict=False)]
    return "".join(parts), x[-1] + cell, y[-1] + cell


def pairs(tiles: Colours, heads: Sequence[str], *, alt: str) -> str:
    """Pairs of tiles [N, 2, height, width, 4] in rows of four, each below its label."""
    widest = 6 * max(map(len, heads))
    across, step = (4, 2 * CELL + 7 * GAP) if widest <= 2 * CELL + 12 * GAP else (2, max(2 * CELL, widest) + 7 * GAP)
    parts = []
    for place, (pair, head) in enumerate(zip(tiles, heads, strict=True)):
        x, y = place % across * step, place // across * (CELL + 24)
        parts.append(word(x, y + 11, "start", head))
        parts.append(f'<image x="{x}" y="{y + 16}" width="{2 * CELL + GAP}" height="{CELL}" href="{png(pair[None])}"/>')
    return framed("".join(parts), across * step - 6 * GAP, -(-len(tiles) // across) * (CELL + 24) - 8, alt)


def head(x: float, y: float, text: str, *, upright: bool) -> str:
    """The label above a column; long ones are written upwards."""
    written = word(x + 4 if upright else x, y, "start" if upright else "middle", text)
    return written.replace("<text ", f'<text transform="rotate(-90 {x + 4:g} {y:g})" ', 1) if upright else written


def word(x: float, y: float, anchor: str, text: str) -> str:
    """A label at a position."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>' if text else ""


def framed(content: str, width: float, height: float, alt: str) -> str:
    """The SVG around what is drawn."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'role="img" aria-label="{escape(alt)}" style="image-rendering: pixelated">'
        f'<g font-family="system-ui, sans-serif" font-size="10" style="fill: var(--ink, {INK})">{content}</g></svg>\n'
    )


def png(tiles: Colours, cell: int = CELL) -> str:
    """One PNG of tiles [rows, columns, height, width, 4], with transparent gaps, as a data URL.

    Tiles are enlarged by a whole factor; otherwise the gaps would be as wide as the pixels.
    """
    rows, columns, height, width, _ = tiles.shape
    times = max(1, round(cell / width))
    large = tiles.repeat(times, 2).repeat(times, 3)
    gap = max(1, round(GAP * width * times / cell))
    padded = np.pad(large, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)))
    sheet = padded.swapaxes(1, 2).reshape(rows * (height * times + gap), columns * (width * times + gap), 4)
    file = io.BytesIO()
    Image.fromarray(sheet[:-gap, :-gap]).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
