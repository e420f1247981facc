"""What adopt found, as a page that opens from disk, and sixteen of the images."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment
from matplotlib.figure import Figure
from PIL import Image

from digitline.data.dataset import Bytes
from digitline.draw.charts import WIDTH, labels, styled
from digitline.draw.palette import PAPER

SHOWN = 16
THUMBNAIL = 64  # pixels of the longer side


class Pair(NamedTuple):
    """Two images that look alike, with their paths."""

    first: str
    second: str
    images: Bytes  # [2, H, W] or [2, H, W, 3]


@styled
def sheet(images: Bytes, names: Sequence[str]) -> Figure:
    """Up to sixteen images [N, H, W] or [N, H, W, 3] with the names of their classes."""
    figure = Figure((WIDTH, WIDTH * 1.12), facecolor=PAPER)
    for place, (image, name) in enumerate(zip(images, short(names), strict=True)):
        axes = figure.add_subplot(4, 4, place + 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(name, fontsize=7, loc="center", pad=2)
        axes.axis("off")
    figure.subplots_adjust(0.02, 0.02, 0.98, 0.94, 0.08, 0.28)
    return figure


def short(names: Sequence[str]) -> list[str]:
    """The names as the font can draw them, long ones cut."""
    return [name if len(name) <= 16 else f"{name[:15]}…" for name in labels(names)]


def spread(names: Sequence[str]) -> list[int]:
    """The places of sixteen images, evenly over the classes."""
    order = np.argsort(np.array(names), kind="stable")
    picked = np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)
    return [int(place) for place in order[picked]]


def page(name: str, notes: Sequence[str], tables: Mapping[str, Sequence[Sequence[Any]]], pairs: Sequence[Pair]) -> str:
    """The page: what was noticed, tables whose first line is the head, pairs of images that look alike."""
    shown = [(pair.first, pair.second, [thumbnail(image) for image in pair.images]) for pair in pairs]
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(name=name, notes=notes, tables=tables, pairs=shown)


def thumbnail(image: Bytes) -> str:
    """A small PNG as a data URL."""
    picture = Image.fromarray(image)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'">
<title>{{ name }}</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0 0 1rem; }
th, td { text-align: left; padding: 0.15rem 1.2rem 0.15rem 0; vertical-align: top; overflow-wrap: anywhere; }
img { image-rendering: pixelated; min-width: 64px; }
</style>
</head>
<body>
<h1>{{ name }}</h1>
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
<p><img src="sheet.png" alt="Sixteen of the images, as the models see them" width="440"></p>
{% for title, lines in tables.items() if lines | length > 1 %}
<h2>{{ title }}</h2>
<table>
<tr>{% for cell in lines[0] %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for line in lines[1:] %}<tr>{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}
{% if pairs %}
<h2>Test pictures that look like training pictures</h2>
<table>
<tr><th>test</th><th></th><th>training</th><th></th></tr>
{% for first, second, images in pairs %}<tr><td><img src="{{ images[0] }}" alt=""></td><td>{{ first }}</td>
<td><img src="{{ images[1] }}" alt=""></td><td>{{ second }}</td></tr>
{% endfor %}</table>
{% endif %}
</body>
</html>
"""
