"""digitline trace: from a model, an answer or an image back to its data, and from data to the models."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from digitline.base import git
from digitline.cli.runs import store
from digitline.config import paths
from digitline.config.params import FILE, VOTE, Params
from digitline.registry import bento, ledger, lineage
from digitline.tracking import models as mlflow


def trace(params: Params, *, subject: str) -> None:
    """Prints where a model comes from, or which models used a data set."""
    digest, labels = lineage.named(subject)
    records = lineage.history(Path(), str(paths.LEADERBOARD), str(paths.VALIDATION))
    entries = ledger.read(paths.LEDGER)
    models = lineage.models(records)
    known = {sha256: origin.row["variant"] for sha256, origin in models.items()}
    known |= {entry["to"]: entry["variant"] for entry in entries}
    known |= {record.validation["sha256"]: f"the data set {record.validation['dataset']}" for record in records}
    sha256 = lineage.whole(digest, known)
    if labels:
        show("image", {"name": subject, **labels})
    if sha256 in models or sha256 in {entry["to"] for entry in entries}:
        back(params, sha256, models.get(sha256), entries)
    else:
        onward(sha256, records, models, entries)


def back(params: Params, sha256: str, origin: lineage.Origin | None, entries: list[ledger.Entry]) -> None:
    """Traces a model to the data that it was trained on."""
    run = origin.run if origin else {}
    keys = ("seed", "members", "val_accuracy", "test_accuracy")
    show("model", {"sha256": sha256, **{key: run[key] for key in keys if key in run}})
    show("ledger", {entry["when"]: moved(entry, sha256) for entry in entries if sha256 in (entry["from"], entry["to"])})
    show("bentoml", {"bentos": bento.bentos(sha256), **bento.labels(sha256)})
    show("mlflow", mlflow.trace(store(params), sha256))
    if not origin:
        cut = ", as far as this clone has it; git fetch --unshallow completes it" if git.shallow(Path()) else ""
        show("commit", {"": f"no leaderboard in this repository's history has the model{cut}"})
        return
    record, variant = origin.record, origin.row["variant"]
    beyond = ", or an earlier one: this clone's history is cut; git fetch --unshallow completes it"
    show("commit", {"": (record.commit or "not committed yet") + (beyond if git.shallow(Path()) else "")})
    show(f"parameters of {variant}", parameters(record.commit, variant))
    validation = record.validation
    show("data", {key: validation[key] for key in ("dataset", "sha256")})
    failed = [each["name"] for each in validation["expectations"] if not each["success"]]
    of = f"{len(validation['expectations'])} expectations"
    show("validation", {"passed" if validation["success"] else "failed": of, "not met": failed})


def parameters(commit: str, variant: str) -> dict[str, Any]:
    """A variant's keys in params.yaml as of a commit."""
    tree = YAML(typ="safe").load(io.StringIO(lineage.text(Path(), commit, str(FILE))))
    entry = tree["variants"].get(variant.removesuffix(VOTE), {})
    return {**tree["recipe"], **entry, "seeds": tree["seeds"], "split": tree["split"]}


def moved(entry: ledger.Entry, sha256: str) -> str:
    """What a ledger entry says about a model."""
    way = "became champion by" if entry["to"] == sha256 else "was replaced by"
    return f"{way} {entry['action']}, {entry['who']}: {entry['reason']}"


def onward(
    sha256: str, records: list[lineage.Record], models: dict[str, lineage.Origin], entries: list[ledger.Entry]
) -> None:
    """Traces a data set to the models that were trained on it."""
    validation = next(record.validation for record in records if record.validation["sha256"] == sha256)
    show("data", {"dataset": validation["dataset"], "sha256": sha256, "passed": validation["success"]})
    of = {digest: one for digest, one in models.items() if one.record.validation["sha256"] == sha256}
    show("models", {digest: described(one) for digest, one in of.items()})
    moves = [entry for entry in entries if entry["dataset_sha256"] == sha256]
    show("champions", {entry["when"]: f"{entry['to']} {entry['variant']}, by {entry['action']}" for entry in moves})


def described(origin: lineage.Origin) -> str:
    """A model in one line."""
    commit = origin.record.commit[:12] or "not committed yet"
    return f"{origin.row['variant']}, seed {origin.run['seed']}, {origin.run['val_accuracy']:.2%}, {commit}"


def show(title: str, fields: dict[str, Any]) -> None:
    """Prints a title and the known fields below it."""
    print(title)
    known = {key: value for key, value in fields.items() if value not in ("", [], None)} or {"": "nothing known"}
    for key, value in known.items():
        print(f"    {key}{' ' if key else ''}{value}")
