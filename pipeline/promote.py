"""Makes the best model champion if it passes the gate; otherwise the present champion stays as it is."""

import getpass
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from digitline import checkpoint, data, files, leaderboard, ledger, packing, selection, succession, tracking
from digitline.errors import InputError
from digitline.evaluation import latency, predict
from digitline.succession import Heir
from pipeline import stage

PLACES = succession.Places(stage.CHAMPION, Path("promotions.jsonl"))
REPORT = Path("reports/promotion.json")
VALIDATION = Path("reports/validation.json")
STUDY = Path("models/study")


def promote(params: stage.Params) -> None:
    """Holds the leader's best run against the gate and the champion."""
    board = stage.read_json(stage.LEADERBOARD)
    display(board)
    store = stage.store(params)
    with succession.alone(PLACES, store):
        champion, entries = succession.present(PLACES), ledger.read(PLACES.ledger)
        heir = first(study(params, board), entries)
        undone = ledger.withdrawn(entries).get(heir.sha256)
        if undone:
            again = f"digitline promote {heir.sha256[:16]} promotes it again"
            reasons = [f"it was rolled back on {undone['when'][:10]}, {undone['reason']}; {again}"]
        else:
            reasons = challenge(params, store, heir, "first of the leaderboard by validation").reasons
    if reasons:
        sentence = f"{heir.card['variant']} did not pass the gate: {'; '.join(reasons)}"
        if not champion:
            raise InputError(f"there is no champion: {sentence}")
        print(f"the champion stays {champion.title}: {sentence}")


def display(board: list[leaderboard.Row]) -> None:
    """Lays out each variant's best run, for the service to show them side by side."""
    runs = {row["variant"]: leaderboard.best_run(row) for row in board if "members" not in row["runs"][0]}
    for name, run in runs.items():
        files.write(STUDY / f"{name}.safetensors", stage.model_path(name, run["seed"]).read_bytes())
    stage.write_json(STUDY / packing.STUDY, [{"variant": name, "sha256": run["sha256"]} for name, run in runs.items()])


def study(params: stage.Params, board: list[leaderboard.Row]) -> dict[str, Heir]:
    """Every run of the leaderboard by its model's SHA-256, the best of each row first."""
    digest = checkpoint.digest(stage.DATASET)
    heirs = {}
    for row in board:
        for run in sorted(row["runs"], key=lambda run: run is not leaderboard.best_run(row)):
            variant = row["variant"]
            path = stage.vote_path(variant) if "members" in run else stage.model_path(variant, run["seed"])
            heirs[run["sha256"]] = Heir(path, card(params, row, run, digest))
    return heirs


def card(params: stage.Params, row: leaderboard.Row, run: dict[str, Any], digest: str) -> dict[str, Any]:
    """What there is to know of a champion: nothing of when or how fast, for DVC hashes it."""
    return {
        "variant": row["variant"],
        **run,
        "classes": params.classes,
        "parameters": row["parameters"],
        "macs": row["macs"],
        "dataset": params.dataset,
        "dataset_sha256": digest,
    }


def first(heirs: dict[str, Heir], entries: list[ledger.Entry]) -> Heir:
    """The leader; where that was rolled back, the champion by the ledger, if the study has it."""
    leader = next(iter(heirs.values()))
    champion = ledger.champion(entries)
    return heirs[champion] if leader.sha256 in ledger.withdrawn(entries) and champion in heirs else leader


def challenge(params: stage.Params, store: tracking.Store, heir: Heir, reason: str) -> selection.Verdict:
    """Holds a model against the gate and the champion, and writes the verdict; makes it champion if it passes."""
    champion = succession.present(PLACES)
    verdict = judge(params, heir, champion)
    report = {
        "passed": verdict.passed,
        "reasons": verdict.reasons,
        "challenger": identity(heir),
        "champion": champion and identity(champion),
        "figures": verdict.figures,
        "gate": params.gate,
    }
    stage.write_json(REPORT, report)
    files.write(REPORT.with_suffix(".md"), selection.page(report).encode())
    if verdict.passed:
        succeed(params, store, heir, verdict, action=ledger.PROMOTION, reason=reason)
    return verdict


def identity(heir: Heir) -> dict[str, Any]:
    """Which model it is."""
    return {key: heir.card[key] for key in ("variant", "seed", "sha256")}


def judge(params: stage.Params, heir: Heir, champion: Heir | None) -> selection.Verdict:
    """The gate's verdict; a champion is tried anew, on the same validation images."""
    if checkpoint.digest(heir.model) != heir.sha256:
        raise InputError(f"{heir.model} is not the model that was evaluated, expected SHA-256 {heir.sha256}")
    _, validation = data.split(data.load(stage.DATASET).train, **params.split)

    def right(model: Path) -> selection.Right:
        return np.asarray(predict(checkpoint.load(model), validation.images).argmax(1) == validation.labels)

    size = heir.model.stat().st_size / 1e6
    candidate = selection.Candidate(right(heir.model), latency(checkpoint.load(heir.model)), size)
    another = champion and champion.sha256 != heir.sha256 and champion.card["classes"] == params.classes
    return selection.gate(candidate, right(champion.model) if champion and another else None, **params.gate)


def succeed(
    params: stage.Params, store: tracking.Store, heir: Heir, verdict: selection.Verdict, *, action: str, reason: str
) -> None:
    """Makes a model champion; the ledger gets an entry unless it names that model already."""
    champion, entries = succession.present(PLACES), ledger.read(PLACES.ledger)
    replaced = champion.sha256 if champion and champion.sha256 != heir.sha256 else ledger.champion(entries)
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": who(),
        "action": action,
        "from": replaced,
        "to": heir.sha256,
        "variant": heir.card["variant"],
        "dataset_sha256": heir.card["dataset_sha256"],
        "gate": verdict.figures,
        "reason": reason,
    }
    crown(params, store, heir, entry if ledger.champion(entries) != heir.sha256 else None)


def crown(params: stage.Params, store: tracking.Store, heir: Heir, entry: ledger.Entry | None) -> None:
    """Gives a model the champion's place everywhere, with the entry that the ledger gets, if any."""
    where = succession.move(
        PLACES,
        store,
        heir,
        entry,
        examples=data.load(stage.DATASET).test.images[:4],
        git_commit=store.tags.get("mlflow.source.git.commit", ""),
        validation="passed" if stage.read_json(VALIDATION)["success"] else "failed",
        promoted=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    print(f"champion: {heir.title}; {where}")


def who() -> str:
    """Whom git names as author here, or else the account."""
    told = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or getpass.getuser()


if __name__ == "__main__":
    stage.run(promote)
