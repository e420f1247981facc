"""Fills MLflow from the files: what the stages that DVC skipped, in a clone that pulled, would have logged."""

from pathlib import Path

from digitline import checkpoint, data, leaderboard, tracking
from digitline.training import Epoch
from pipeline import stage


def runs(params: stage.Params) -> None:
    """Logs each row's runs unless MLflow knows them, and the champion where MLflow has none."""
    store = stage.store(params)
    for name in [*params.variants, *params.votes]:
        missing = absent(params, name)
        if missing:
            print(f"{name}: {missing} is not there, or not as it was evaluated; dvc pull or dvc repro brings it")
        elif not tracking.knows(store, map(checkpoint.digest, stage.model_paths(params, name).values())):
            log(params, store, name)
            print(f"{name}: logged from the files")

    from digitline import succession  # and with it BentoML, which evaluate, which logs by this module, can do without
    from pipeline import promote

    with succession.alone(promote.PLACES, store):
        champion = succession.present(promote.PLACES)
        if champion and not tracking.champion(store):
            promote.crown(params, store, champion, None)


def absent(params: stage.Params, name: str) -> Path | None:
    """The row, or the first of its models, that is not here or not the one that was evaluated."""
    row, paths = stage.row_path(name), stage.model_paths(params, name)
    if not row.exists():
        return row
    digests = {run["seed"]: run["sha256"] for run in stage.read_json(row)["runs"]}
    return next((p for seed, p in paths.items() if not p.exists() or checkpoint.digest(p) != digests.get(seed)), None)


def log(params: stage.Params, store: tracking.Store, name: str) -> None:
    """Logs a row: its models, their measures and figures, and the training where MLflow has not seen it."""
    row = stage.read_json(stage.row_path(name))
    votes, changed = name in params.votes, stage.read_csv(stage.robustness_path(name))
    tracking.evaluate(
        store,
        stage.tracked(params, name, params.seeds if votes else []),
        models=stage.model_paths(params, name),
        curves={0: []} if votes else curves(name),
        metrics={run["seed"]: {key: run[key] for key in leaderboard.MEASURED} for run in row["runs"]},
        robustness=[(family, float(level), float(value)) for family, level, value in changed],
        examples=data.load(stage.DATASET).test.images[:4],
        figures=[stage.figure_path(kind, name) for kind in stage.FIGURES],
    )


def curves(variant: str) -> dict[int, list[Epoch]]:
    """The epochs of each seed, as train wrote them."""
    epochs: dict[int, list[Epoch]] = {}
    for seed, number, *measures in stage.read_csv(stage.curves_path(variant)):
        train_loss, val_loss, val_accuracy = map(float, measures)
        epochs.setdefault(int(seed), []).append(Epoch(int(number), train_loss, val_loss, val_accuracy, seconds=0))
    return epochs
