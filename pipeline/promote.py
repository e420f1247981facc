"""Makes the best model champion if it passes the gate; otherwise the present champion stays as it is."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from digitline import checkpoint, data, files, leaderboard, packing, selection, tracking
from digitline.errors import InputError
from digitline.evaluation import accuracy, latency, predict
from pipeline import stage

VALIDATION = Path("reports/validation.json")
STUDY = Path("models/study")
NEW, OLD = stage.CHAMPION.with_suffix(".new"), stage.CHAMPION.with_suffix(".old")


def promote(params: stage.Params) -> None:
    """Holds the leader's best run against the gate and the champion."""
    board = stage.read_json(stage.LEADERBOARD)
    display(board)
    row = board[0]
    run = leaderboard.best_run(row)
    path = stage.vote_path(row["variant"]) if "members" in run else stage.model_path(row["variant"], run["seed"])
    if checkpoint.digest(path) != run["sha256"]:
        raise InputError(f"{path} is not the model that was evaluated, expected SHA-256 {run['sha256']}")
    champion = present()
    verdict = judge(params, path, champion)
    stage.write_json(Path("reports/promotion.json"), record(row, run, champion, verdict))
    if not verdict.passed:
        stays = f"the champion stays {title(champion)}" if champion else "there is no champion"
        sentence = f"{stays}: {row['variant']} did not pass the gate: {'; '.join(verdict.reasons)}"
        if not champion:
            raise InputError(sentence)
        print(sentence)
        return
    best = card(params, row, run)
    if champion != best:
        replace(path, best)
    announce(params, best)


def display(board: list[leaderboard.Row]) -> None:
    """Lays out each variant's best run, for the service to show them side by side."""
    runs = {row["variant"]: leaderboard.best_run(row) for row in board if "members" not in row["runs"][0]}
    for name, run in runs.items():
        files.write(STUDY / f"{name}.safetensors", stage.model_path(name, run["seed"]).read_bytes())
    stage.write_json(STUDY / packing.STUDY, [{"variant": name, "sha256": run["sha256"]} for name, run in runs.items()])


def judge(params: stage.Params, path: Path, champion: dict[str, Any] | None) -> selection.Verdict:
    """The gate's verdict; the champion is scored anew, on the same validation images."""
    _, validation = data.split(data.load(stage.DATASET).train, **params.split)

    def score(model: Path) -> float:
        return accuracy(predict(checkpoint.load(model), validation.images), validation.labels)

    challenger = selection.Candidate(score(path), latency(checkpoint.load(path)), path.stat().st_size / 1e6)
    comparable = champion and champion["classes"] == params.classes
    return selection.gate(challenger, score(stage.CHAMPION / packing.MODEL) if comparable else None, **params.gate)


def present() -> dict[str, Any] | None:
    """The champion's card, if there is one; InputError where its model is not the one that the card names."""
    if OLD.exists():  # a promotion was cut short
        shutil.rmtree(OLD) if stage.CHAMPION.exists() else OLD.rename(stage.CHAMPION)
    return packing.verified(stage.CHAMPION) if stage.CHAMPION.exists() else None


def card(params: stage.Params, row: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """What there is to know of a champion: nothing of when or how fast, for DVC hashes it."""
    return {
        "variant": row["variant"],
        **run,
        "classes": params.classes,
        "parameters": row["parameters"],
        "macs": row["macs"],
        "dataset": params.dataset,
        "dataset_sha256": checkpoint.digest(stage.DATASET),
    }


def record(
    row: dict[str, Any], run: dict[str, Any], champion: dict[str, Any] | None, verdict: selection.Verdict
) -> dict[str, Any]:
    """The verdict as a report."""
    return {
        "passed": verdict.passed,
        "reasons": verdict.reasons,
        "challenger": {"variant": row["variant"], "seed": run["seed"], "sha256": run["sha256"]},
        "champion": champion and {key: champion[key] for key in ("variant", "seed", "sha256")},
    }


def replace(path: Path, card: dict[str, Any]) -> None:
    """Puts model and card in the champion's place: a whole new folder, or the old one untouched."""
    shutil.rmtree(NEW, ignore_errors=True)
    files.write(NEW / packing.MODEL, path.read_bytes())
    stage.write_json(NEW / packing.CARD, card)
    if stage.CHAMPION.exists():
        stage.CHAMPION.rename(OLD)
    NEW.rename(stage.CHAMPION)
    shutil.rmtree(OLD, ignore_errors=True)


def announce(params: stage.Params, card: dict[str, Any]) -> None:
    """Gives the champion its place in MLflow's registry and in BentoML's store."""
    examples = data.load(stage.DATASET).test.images[:4]
    name = f"{card['variant']}-seed-{card['seed']}"
    store = stage.store(params)
    version = tracking.promote(
        store, stage.CHAMPION / packing.MODEL, name=name, examples=examples, description=title(card)
    )
    # What is random or timed stays out of models/champion, which DVC hashes; BentoML's store may hold it.
    tag = packing.bento(
        stage.CHAMPION,
        mlflow_version=version.number,
        mlflow_run=version.run,
        git_commit=store.tags.get("mlflow.source.git.commit", ""),
        validation="passed" if stage.read_json(VALIDATION)["success"] else "failed",
        promoted=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    print(f"champion: {title(card)}; MLflow's version {version.number}, BentoML's {tag}")


def title(card: dict[str, Any]) -> str:
    """A champion in one line."""
    seeds = f"seeds {', '.join(map(str, card['members']))}" if "members" in card else f"seed {card['seed']}"
    return f"{card['variant']}, {seeds}, {card['sha256'][:16]}, {card['val_accuracy']:.2%} on validation"


if __name__ == "__main__":
    stage.run(promote)
