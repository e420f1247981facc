"""digitline promote: judges a model by the gate and makes it champion if it passes."""

import getpass
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from digitline.base import files
from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import runs
from digitline.config import paths
from digitline.config.params import Params
from digitline.data import dataset
from digitline.measure import classes, leaderboard, novelties, uncertainty
from digitline.measure.rows import Row, Run
from digitline.registry import gate, ledger, lineage, promotion
from digitline.registry.bento import Card
from digitline.registry.promotion import Absent, Model, Views
from digitline.registry.verdict import page, report
from digitline.tracking import models

PLACES = promotion.Places(paths.CHAMPION, paths.LEDGER)
FIRST = "first of the leaderboard by validation"


def promote(params: Params, *, model: str | None = None, reason: str = FIRST) -> None:
    """Judges a model, by default the leader, and makes it champion if it passes.

    InputError if a model was named and does not pass.
    """
    views, study = views_of(params), of_study(params)
    with promotion.alone(PLACES), TemporaryDirectory() as scratch:
        champion, note = opponent(params, study, views)
        entries = ledger.read(PLACES.ledger)
        if model:
            find = partial(promotion.former, PLACES, lambda: study, views.store, Path(scratch))
            candidate = find(chosen(model, study, entries))
        else:
            candidate = leader(params, study)
            if undone := ledger.withdrawn(entries).get(candidate.sha256):
                print(f"{candidate.title}: {rolled_back(undone)}")
                return
        if champion and champion.sha256 == candidate.sha256:
            print(f"the champion is {champion.title}")
            return
        verdict = judge(params, candidate, champion)
        write(params, verdict, candidate, champion)
        if verdict.passed:
            noted = "; ".join(filter(None, [reason, note]))
            promotion.promote(PLACES, candidate, entry(ledger.PROMOTION, candidate, entries, verdict, noted), views)
            print(f"now commit {PLACES.ledger}, {PLACES.pointer} and {paths.VERDICT}")
            return
    sentence = f"{candidate.card['variant']} did not pass the gate: {'; '.join(verdict.reasons)}"
    if model:
        raise InputError(sentence)
    stays = f"the champion stays {champion.title}" if champion else f"there is no champion of {params.dataset}"
    print(f"{stays}: {sentence}")


def follow(params: Params) -> None:
    """Updates MLflow and BentoML to the champion if MLflow has another one, or none, as in a fresh clone."""
    views = views_of(params)
    with promotion.alone(PLACES):
        try:
            champion = promotion.complete(PLACES, lambda: of_study(params), views)
        except Absent as error:
            print(error)
            return
        if champion and models.champion(views.store) != champion.sha256:
            print(f"champion: {champion.title}; {promotion.follow(champion, views)}")


def propose(params: Params) -> None:
    """Writes the verdict on the leader and promotes nothing, as an experiment does."""
    study, entry = of_study(params), ledger.latest(ledger.read(PLACES.ledger))
    candidate = leader(params, study)
    with TemporaryDirectory() as scratch:
        find = partial(promotion.find, PLACES, lambda: study, runs.store(params), Path(scratch))
        champion = find(entry["to"]) if entry else None
        champion = champion if champion and comparable(params, champion) else None
        if champion and champion.sha256 == candidate.sha256:
            print(f"the leader is already champion: {champion.title}")
            return
        verdict = judge(params, candidate, champion)
        write(params, verdict, candidate, champion)
    words = "; ".join(verdict.reasons) or "passes the gate: to promote it, run dvc exp apply and digitline promote"
    print(f"{candidate.title}: {words}")


def in_experiment() -> bool:
    """Whether dvc exp run started this: in the workspace, queued, or in a temporary copy."""
    return "DVC_EXP_NAME" in os.environ


def leader(params: Params, study: Mapping[str, Model]) -> Model:
    """The best run of the leaderboard's first row; InputError if its model is missing."""
    missing = "there is no leaderboard"
    if paths.LEADERBOARD.exists():
        row = ranked(params)[0]
        run = leaderboard.best_run(row, params.select_by)
        if run["sha256"] in study:
            return study[run["sha256"]]
        missing = f"{file_of(params, row, run)}, the leader's model, is missing"
    raise InputError(f"{missing}; run dvc repro to make it, or dvc pull to get it from the remote")


def opponent(params: Params, study: Mapping[str, Model], views: Views) -> tuple[Model | None, str]:
    """The champion that a candidate has to match, or None and the reason that the ledger will state."""
    try:
        champion = promotion.complete(PLACES, lambda: study, views)
    except Absent as error:
        return None, f"without an opponent: {error}"
    if champion and not comparable(params, champion):
        return None, f"without an opponent: the previous champion is of the data set {champion.card.get('dataset')}"
    return champion, ""


def comparable(params: Params, model: Model) -> bool:
    """Whether a model was trained on the same data set."""
    return (model.card.get("dataset", params.dataset), model.card["classes"]) == (params.dataset, params.classes)


def rolled_back(entry: ledger.Entry) -> str:
    """Says why a model is not promoted again."""
    again = f"run digitline promote {str(entry['from'])[:16]} to promote it again"
    return f"it was rolled back on {entry['when'][:10]}, {entry['reason']}; {again}"


def of_study(params: Params) -> dict[str, Model]:
    """Every run of the leaderboard by its model's SHA-256, the best of each row first; empty without a leaderboard."""
    if not paths.LEADERBOARD.exists() or not paths.VALIDATION.exists():
        return {}
    data, found = files.read_json(paths.VALIDATION), {}
    for row in ranked(params):
        best = leaderboard.best_run(row, params.select_by)
        for run in [best, *(run for run in row["runs"] if run is not best)]:
            path = file_of(params, row, run)
            found[run["sha256"]] = Model(path, card(params, row, run, data), paths.exported_path(path))
    return {sha256: model for sha256, model in found.items() if model.file.exists()}


def ranked(params: Params) -> list[Row]:
    """The leaderboard by the measure that ranks now."""
    return leaderboard.best_first(files.read_json(paths.LEADERBOARD), params.select_by)


def file_of(params: Params, row: Row, run: Run) -> Path:
    """The path of a run's model."""
    return paths.model_paths(params, row["variant"]).get(run["seed"], paths.model_path(row["variant"], run["seed"]))


def card(params: Params, row: Row, run: Run, data: Mapping[str, Any]) -> Card:
    """The model's card: its measures, its data set and the result of the validation."""
    of: dict[str, Any] = {"classes": params.classes, "parameters": row["parameters"], "macs": row["macs"]}
    of |= {"dataset": data["dataset"], "dataset_sha256": data["sha256"]}
    of |= {} if params.preparation == "mnist" else {"preparation": params.preparation}
    counts = {f"{split}_{name}" for split in ("val", "test") for name in (*classes.AVERAGES, *classes.COUNTS)}
    measured = {key: value for key, value in run.items() if key not in counts}  # those stay with the leaderboard
    return cast("Card", {"variant": row["variant"], **measured, **of})


def judge(params: Params, candidate: Model, champion: Model | None) -> gate.Verdict:
    """The gate's verdict; the champion is evaluated again, on the same validation images."""
    from scipy.special import softmax  # it and PyTorch take a second to import; only this command needs them

    from digitline.model import checkpoint
    from digitline.model.evaluation import latency, predict
    from digitline.model.scores import exact

    if digest(candidate.file) != candidate.sha256:
        raise InputError(f"{candidate.file} is not the model that was evaluated, expected SHA-256 {candidate.sha256}")
    validation = dataset.divide(paths.DATASET, **params.split).validation
    network, size = checkpoint.load(candidate.file), candidate.file.stat().st_size / 1e6
    logits = predict(network, validation.images)
    others = novelties.drawn(params.image) if params.outliers == "drawn" else {}
    above = uncertainty.threshold(softmax(exact(logits), 1))
    doubted = {
        kind: uncertainty.doubted(softmax(exact(predict(network, images)), 1), above) for kind, images in others.items()
    }
    measured = gate.Candidate(classes.answers(logits, validation.labels), latency(network), size, doubted)
    on = gate.Labelled(validation.labels, params.classes)
    other = None
    if champion:
        other = classes.answers(predict(checkpoint.load(champion.file), validation.images), validation.labels)
    return gate.judge(measured, other, on, select_by=params.select_by, **params.gate)


def write(params: Params, verdict: gate.Verdict, candidate: Model, champion: Model | None) -> None:
    """Writes the verdict as JSON, for git and dvc exp show, and as Markdown."""
    written = report(verdict, candidate.card, champion.card if champion else None)
    files.write_json(paths.VERDICT, written)
    files.write(paths.VERDICT.with_suffix(".md"), page(written, params.gate).encode())
    for note in verdict.notes:
        print(f"note: {note}")


def entry(action: str, model: Model, entries: list[ledger.Entry], verdict: gate.Verdict, reason: str) -> ledger.Entry:
    """The ledger entry for a model that becomes champion now."""
    before = ledger.latest(entries)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": who(),
        "action": action,
        "from": before["to"] if before else None,
        "to": model.sha256,
        "variant": model.card["variant"],
        "dataset_sha256": model.card["dataset_sha256"],
        "gate": verdict.figures,
        "reason": reason,
    }


def who() -> str:
    """The author's name in git, or else the name of the account."""
    configured = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    return configured.stdout.strip() or getpass.getuser()


def chosen(model: str, study: Mapping[str, Model], entries: list[ledger.Entry]) -> str:
    """The SHA-256 of the model given by a variant, a file or the first digits of its hash."""
    best = next((sha256 for sha256, one in study.items() if one.card["variant"] == model), None)
    if best:
        return best
    known = ledger.variants(entries) | {sha256: one.card["variant"] for sha256, one in study.items()}
    path = Path(model)
    return lineage.whole(digest(path) if path.is_file() else model, known)


def views_of(params: Params) -> Views:
    """What MLflow and BentoML store with a champion."""
    store = runs.store(params)

    @cache
    def labels() -> dict[str, str]:
        passed = paths.VALIDATION.exists() and files.read_json(paths.VALIDATION)["success"]
        return {
            "git_commit": store.tags.get("mlflow.source.git.commit", ""),
            "validation": "passed" if passed else "failed",
            "promoted": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    return Views(store, lambda: dataset.load(paths.DATASET).test.images[:4], labels)
