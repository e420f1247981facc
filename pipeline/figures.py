"""Draws the rows' results: mistakes, confusions, calibration, and all rows side by side."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from digitline.base import files
from digitline.cli import entry
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset
from digitline.data.dataset import Part
from digitline.draw import charts, palette, results
from digitline.draw.palette import Style
from digitline.measure.calibration import joint_calibration, mean_confusion
from digitline.measure.robustness import FAMILIES


def figures(params: Params) -> None:
    """Draws every row of the leaderboard and logs the figures to MLflow."""
    paths.set_aside(params)
    styles = palette.styles(params.variants, params.votes)
    board = files.read_json(paths.LEADERBOARD)
    test = dataset.load(paths.DATASET).test
    for row in board:
        draw(row["variant"], params.classes, test, styles)
    files.write(Path("reports/front.png"), charts.png(results.front(board, styles, params.select_by)))
    families = {family: {row["variant"]: curve(row["variant"], family) for row in board} for family in FAMILIES}
    units = {name: family.unit for name, family in FAMILIES.items()}
    files.write(Path("reports/robustness.png"), charts.png(results.families(families, styles, units)))

    from digitline.cli import runs  # MLflow takes a second to import; nothing above needs it

    store = runs.store(params)
    for name in params.rows:
        runs.draw(params, store, name)


def draw(name: str, classes: list[str], test: Part, styles: dict[str, Style]) -> None:
    """Draws the errors on test: the first seed's mistakes, all seeds' confusions and calibration."""
    logits = load_file(paths.predictions_path(name))["test"]
    predicted, names = logits[0].argmax(1), np.array(charts.labels(classes))
    (wrong,) = np.nonzero(predicted != test.labels)
    title = f"{name}: {len(wrong)} of {len(test.labels)} test images misclassified (true → predicted)"
    pages = {
        "misclassified": results.misclassified(
            test.images[wrong], names[test.labels[wrong]], names[predicted[wrong]], title
        ),
        "confusion": results.confusion(mean_confusion(logits, test.labels), classes),
        "calibration": results.calibration(joint_calibration(logits, test.labels), styles[name].colour),
    }
    for kind, page in pages.items():
        files.write(paths.figure_path(kind, name), charts.png(page))


def curve(name: str, family: str) -> list[tuple[float, float]]:
    """A row's accuracy in percent by level of one family."""
    lines = files.read_csv(paths.robustness_path(name))
    return [(float(level), 100 * float(accuracy)) for of, level, accuracy in lines if of == family]


if __name__ == "__main__":
    entry.run(figures)
