"""digitline runs: logs to MLflow, from the files, what it lacks, as the stages do when they run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitline.base import files
from digitline.base.digest import digest
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset
from digitline.draw import palette
from digitline.measure.rows import Row
from digitline.tracking import runs as tracking
from digitline.tracking import store as mlflow
from digitline.tracking.store import Store

if TYPE_CHECKING:  # PyTorch and SciPy take two seconds to import; most commands do not need them
    from digitline.model.training import Epoch

INSIGHT = "insight"  # the folder of a run's artifacts
TURN = 0.1  # seconds between two rows, so that others who wait for the lock, and ask 20 times a second, get it
CODE = ["params.yaml", "dvc.yaml", "pipeline", "src"]  # MLflow records whether these differ from the commit


def runs(params: Params) -> None:
    """Logs each row's runs and figures unless MLflow has them whole; sets the champion's alias from the ledger."""
    to = store(params)
    for name in params.rows:
        missing = absent(params, name)
        if missing:
            print(f"{name}: {missing} is missing, or not the model that was evaluated; run dvc pull or dvc repro")
        elif complete(params, to, name):
            print(f"{name}: logged from the files")
            time.sleep(TURN)

    from digitline.cli import promote  # imported here, because it imports this module

    promote.follow(params)


def complete(params: Params, to: Store, name: str) -> bool:
    """Logs a row's runs and figures as far as MLflow lacks them; returns whether it lacked any."""
    models = list(paths.model_paths(params, name).values())
    with mlflow.alone(to):
        known = tracking.knows(to, map(digest, models), evaluation(name))
        if not known:
            evaluated(params, to, name)
        shown = tracking.shows(to, models, figures(name))
        if not shown:
            drawn(params, to, name)
    return not (known and shown)


def store(params: Params) -> Store:
    """The MLflow store at MLFLOW_TRACKING_URI, or else the checkout's own, opened at its first use."""
    return mlflow.unopened(Path(), dataset=params.dataset, code=CODE)


def tracked(params: Params, name: str, members: Sequence[int] = ()) -> tracking.Variant:
    """What MLflow records of a variant, or of the vote of its members, before its results."""
    from digitline.model import arithmetic, networks

    variant, parts = params.variants[params.votes.get(name, name)], dataset.divide(paths.DATASET, **params.split)
    of_data = [
        tracking.Data(context, params.dataset, part, str(paths.DATASET)) for context, part in parts._asdict().items()
    ]
    model = networks.build(**variant.model, classes=len(params.classes), **networks.of_shape(params.image))
    counts = {"parameters": arithmetic.parameters(model), "macs": arithmetic.macs(model)}
    cost = {key: count * (len(members) or 1) for key, count in counts.items()}
    votes = {"members": list(members)} if members else {}
    return tracking.Variant(name, {"model": variant.model, **variant.recipe, **cost, **votes}, of_data)


def absent(params: Params, name: str) -> Path | None:
    """The row or the first of its models' files that is missing or is not the one that was evaluated."""
    row, models = paths.row_path(name), paths.model_paths(params, name)
    if not row.exists():
        return row
    of = {run["seed"]: (run["sha256"], run.get("onnx_sha256")) for run in files.read_json(row)["runs"]}
    digests = [
        (path, sha256)
        for seed, model in models.items()
        for path, sha256 in zip((model, paths.exported_path(model)), of.get(seed, (None, None)), strict=True)
    ]
    return next((path for path, sha256 in digests if not path.exists() or digest(path) != sha256), None)


def log(params: Params, to: Store, name: str) -> None:
    """Logs a row, as a stage does."""
    with mlflow.optional(to, f"the evaluation of {name}"):
        evaluated(params, to, name)


def evaluated(params: Params, to: Store, name: str) -> None:
    """Logs a row: its models, their measures, and the training if MLflow does not have it."""
    from digitline.measure import leaderboard

    row: Row = files.read_json(paths.row_path(name))
    models = paths.model_paths(params, name)
    votes, changed = name in params.votes, files.read_csv(paths.robustness_path(name))
    tracking.evaluate(
        to,
        tracked(params, name, params.seeds if votes else []),
        models=models,
        exported={seed: paths.exported_path(path) for seed, path in models.items()},
        curves={0: []} if votes else curves(name),
        metrics={run["seed"]: leaderboard.measured(run) for run in row["runs"]},
        robustness=[(family, float(level), float(value)) for family, level, value in changed],
        classes=per_class(row),
        examples=dataset.load(paths.DATASET).test.images[:4],
        content=evaluation(name),
    )


def evaluation(name: str) -> str:
    """The identity of a row's evaluation: the SHA-256 of its measures and of its robustness."""
    return tracking.family(map(digest, (paths.row_path(name), paths.robustness_path(name))))


def per_class(row: Row) -> dict[int | None, str]:
    """The measures per class as CSV, of each seed, and of the row under None; empty if an earlier version made it."""
    from digitline.measure import classes

    if "test_classes" not in row:
        return {}
    found: dict[int | None, Any] = {None: {"val": row["val_classes"], "test": row["test_classes"]}}
    found |= {run["seed"]: {split: classes.of_model(row, run, split) for split in found[None]} for run in row["runs"]}
    return {seed: files.csv_text(classes.table(splits)) for seed, splits in found.items()}


def draw(params: Params, to: Store, name: str) -> None:
    """Logs a row's figures, as a stage does."""
    with mlflow.optional(to, "the rows' figures"):
        drawn(params, to, name)


def drawn(params: Params, to: Store, name: str) -> None:
    """Logs a row's figures and sets the colour of its runs."""
    models = list(paths.model_paths(params, name).values())
    pages = [path for folder, found in figures(name).items() if folder != INSIGHT for path in found]
    tracking.draw(to, models, pages, palette.styles(params.variants, params.votes)[name].colour)
    if (folder := paths.INSIGHT / name).exists():
        tracking.attach(to, models, folder, INSIGHT)


def figures(name: str) -> dict[str, list[Path]]:
    """A row's figures by their folders in MLflow, as far as they were drawn."""
    pages = {f"figures/{kind}": [paths.figure_path(kind, name)] for kind in paths.FIGURES}
    pages[INSIGHT] = sorted((paths.INSIGHT / name).glob("*"))
    return {folder: [path for path in found if path.exists()] for folder, found in pages.items()}


def curves(variant: str) -> dict[int, list[Epoch]]:
    """The epochs of each seed, as train wrote them."""
    from digitline.model.training import Epoch

    epochs: dict[int, list[Epoch]] = {}
    for seed, number, *measures in files.read_csv(paths.curves_path(variant)):
        train_loss, val_loss, val_accuracy = map(float, measures)
        epochs.setdefault(int(seed), []).append(Epoch(int(number), train_loss, val_loss, val_accuracy, seconds=0))
    return epochs
