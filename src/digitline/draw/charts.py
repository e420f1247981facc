"""What all charts share: style, frame, and output that is identical for identical numbers."""

import functools
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.ticker import LogLocator, NullLocator

from digitline.draw.palette import CLASSES, INK, LINE, PAPER, SOFT, Style

Arguments = ParamSpec("Arguments")

WIDTH = 4.4  # inches: as wide as a phone, so that text stays legible there
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
    """The figure as SVG that takes the colours of the page around it, or uses its own without a page.

    An artist with the gid `of-NAME` gets the CSS class NAME.
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
    referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))  # other ids could clash on the page
    return re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in referred else "", text)


def themed(colour: str) -> str:
    """A colour as the page's variable for it, if it has one."""
    return f"var(--{THEMED[colour]}, {colour})" if colour in THEMED else colour


def png(figure: Figure) -> bytes:
    """The figure's bytes."""
    page = io.BytesIO()
    with mpl.rc_context(STYLE):
        # Without the library's version in the metadata, the bytes change only when the picture does.
        figure.savefig(page, metadata={"Software": None})
    return page.getvalue()


def labels(classes: Sequence[str]) -> list[str]:
    """The classes' names; for one with a character that matplotlib's own font lacks, its number instead of boxes."""
    font = get_font(str(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"))
    return [
        name if all(font.get_char_index(ord(character)) for character in name) else str(number)
        for number, name in enumerate(classes)
    ]


def short(name: str, most: int) -> str:
    """The name in at most that many characters, without its middle, so that it does not cover its neighbours."""
    end = most // 2 - 1
    return name if len(name) <= most else f"{name[: most - end - 1].rstrip()}…{name[-end:].lstrip()}"


def panel(height: float, **options: Any) -> tuple[Figure, Axes]:
    """An empty chart of that height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(**options)


def line(axes: Axes, name: str, points: Iterable[Sequence[float]], styles: Mapping[str, Style]) -> None:
    """The line of a row of the leaderboard, with a gid by which the page finds it."""
    style = styles[name]
    axes.plot(*zip(*points, strict=True), "--" if style.dashed else "-", color=style.colour, gid=f"of-{name}")


def few_ticks(axes: Axes) -> None:
    """Ticks at 1, 2, 5, 10, … on a logarithmic axis."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
