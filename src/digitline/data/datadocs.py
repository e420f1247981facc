"""The Data Docs of Great Expectations as one page that needs no network and is the same in every run."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from digitline.data.dataset import Bytes, Dataset, joined
from digitline.data.expectations import NAMES, Outcome

BARS = 40  # of a histogram
ACROSS = 20  # images in a row of a picture


def page(name: str, sha256: str, dataset: Dataset, table: pd.DataFrame, outcome: Outcome) -> str:
    """Returns the page: expectations and findings, distributions, samples, and the library's own report."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer().render(outcome.result).to_json_dict()
    images = joined(*dataset).images
    failed = [finding for finding in outcome.findings if not finding.success]
    # The library's own page loads styles from a CDN and prints the time, so this template takes only its sections.
    template = DefaultJinjaPageView().env.from_string(PAGE)
    return template.render(
        name=name,
        sha256=sha256,
        counts={split: len(part.labels) for split, part in dataset._asdict().items()},
        critical=[finding.name for finding in failed if finding.severity == "critical"],
        warnings=[finding.name for finding in failed if finding.severity == "warning"],
        findings=[
            (one, picture(images[one.rows]) if one.rows and not one.success else None) for one in outcome.findings
        ],
        distributions=[
            (NAMES[column], *histogram(table[column]))
            for column in NAMES
            if column in table and table[column].min() < table[column].max()
        ],
        samples=picture(samples(dataset)),
        sections=document["sections"][1:],  # the first is about the run
    )


def samples(dataset: Dataset) -> Bytes:
    """The first training images of each class, one row per class."""
    images, labels = dataset.train
    rows = [images[np.flatnonzero(labels == label)[:ACROSS]] for label in np.unique(labels)]
    return np.concatenate(
        [np.concatenate([row, np.zeros((ACROSS - len(row), *row.shape[1:]), np.uint8)]) for row in rows]
    )


def picture(images: Bytes) -> str:
    """A PNG of images [N, H, W] or [N, H, W, 3] side by side, as a data URL; grey ones as ink on white."""
    count, height, width, *colours = images.shape
    across = min(count, ACROSS)
    padded = np.zeros((-count % across + count, *images.shape[1:]), np.uint8)
    padded[:count] = images
    grid = padded.reshape(-1, across, height, width, *colours).swapaxes(1, 2)
    sheet = grid.reshape(-1, across * width, *colours)  # (N, H, W) -> (R*H, A*W)
    file = io.BytesIO()
    Image.fromarray(sheet if colours else 255 - sheet).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def histogram(column: "pd.Series[Any]") -> tuple[str, str, str, list[float]]:
    """The lowest, median and highest value, and the bars' heights relative to the highest one."""
    values: NDArray[np.float64] = column.dropna().to_numpy(np.float64)
    counts, _ = np.histogram(values, min(BARS, len(np.unique(values))))
    low, middle, high = (f"{value:.4g}" for value in np.quantile(values, [0, 0.5, 1]))
    return low, middle, high, [round(float(count / counts.max()), 4) for count in counts]


STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #dfe3e8; --paper: #fff; --card: #f6f7f9;
  --good: #1a7f4b; --bad: #c0322b; --warn: #9a6700; --bar: #4a76c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b2; --line: #323a46; --paper: #14181f;
  --card: #1c222b; --good: #4cc38a; --bad: #ff7b72; --warn: #e3b341; --bar: #6f9bea; } img { filter: invert(1); } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); font-size: .875rem; } code { font-size: .85em; }
.verdict { margin: 1.25rem 0; padding: .75rem 1rem; border-left: 5px solid; border-radius: 4px;
  background: var(--card); }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.verdict b + span { color: var(--ink); margin-left: .5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; } td { font-variant-numeric: tabular-nums; }
td:first-child { white-space: nowrap; font-weight: 600; }
img { image-rendering: pixelated; max-width: 100%; height: auto; border: 1px solid var(--line); background: #fff; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.card { padding: .75rem; border-radius: 6px; background: var(--card); }
.card svg { display: block; width: 100%; height: 5rem; fill: var(--bar); }
.ends { display: flex; justify-content: space-between; } details { margin-top: .75rem; }
summary { cursor: pointer; color: var(--soft); }
.ge-section { margin: 1rem 0; } .ge-section h5 { font-size: 1rem; margin: .5rem 0; }
.badge { background: var(--card); border: 1px solid var(--line); border-radius: 4px; padding: 0 .3em; }
.fa-check-circle::before { content: "✓"; color: var(--good); } .fa-times::before { content: "✗"; color: var(--bad); }
.fas { font-style: normal; font-weight: 700; } .text-danger { color: var(--bad); }
@media print { details > * { display: block; } .scroll { overflow: visible; } }
"""

PAGE = (
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Validation of {{ name }}</title>
<link rel="icon" href="data:,">
<style>"""
    + STYLE
    + """</style>
</head>
<body>
<h1>Validation of {{ name }}</h1>
<p class="soft">{% for split, count in counts.items() %}{{ count }} {{ split }} images, {% endfor %}\
SHA-256 <code>{{ sha256 }}</code></p>
{% if critical %}
<div class="verdict bad"><b>✗ Stopped</b><span>Not as expected: {{ critical | join(", ") }}.</span></div>
{% elif warnings %}
<div class="verdict warn"><b>! Passed with warnings</b><span>{{ warnings | join(", ") }}.</span></div>
{% else %}
<div class="verdict good"><b>✓ Passed</b><span>All {{ findings | length }} expectations hold.</span></div>
{% endif %}

<h2>Expectations</h2>
<div class="scroll"><table>
<thead><tr><th></th><th>Feature</th><th>Expected</th><th>Observed</th><th>If not</th></tr></thead>
<tbody>
{% for finding, shown in findings %}<tr>
<td class="{{ 'good' if finding.success else 'bad' if finding.severity == 'critical' else 'warn' }}">\
{{ '✓ holds' if finding.success else '✗ fails' if finding.severity == 'critical' else '! warns' }}</td>
<td>{{ finding.name }}</td><td>{{ finding.expected }}</td>
<td>{{ finding.observed }}{% if shown %}<br><img src="{{ shown }}" alt="The first of these images">{% endif %}</td>
<td class="soft">{{ 'stop' if finding.severity == 'critical' else 'warn' }}</td>
</tr>
{% endfor %}</tbody>
</table></div>

<h2>Distributions</h2>
<div class="cards">
{% for title, low, middle, high, bars in distributions %}<div class="card">
<p>{{ title }}</p>
<svg viewBox="0 0 {{ bars | length }} 1" preserveAspectRatio="none" role="img" aria-label="Histogram of {{ title }}">\
{% for bar in bars %}<rect x="{{ loop.index0 + 0.05 }}" y="{{ 1 - bar }}" width="0.9" height="{{ bar }}"/>{% endfor %}\
</svg>
<p class="ends soft"><span>{{ low }}</span><span>median {{ middle }}</span><span>{{ high }}</span></p>
</div>
{% endfor %}</div>

<h2>Samples</h2>
<p class="soft">The first training images of each class.</p>
<img src="{{ samples }}" alt="Training images, a row for each class" width="1120">

<h2>Great Expectations' own report</h2>
<details><summary>Column by column</summary>
{% for section in sections %}{% set section_loop = loop %}{% include "section.j2" %}{% endfor %}
</details>
</body>
</html>
"""
)
