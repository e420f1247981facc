"""The command `digitline`, in a checkout's root: who is champion, how to change that, and where a model comes from."""

import argparse
import tempfile
from pathlib import Path

from digitline import checkpoint, ledger, lineage, succession
from digitline.errors import InputError
from pipeline import stage

SERVER = "http://127.0.0.1:3000"


def promote(params: stage.Params, *, model: str, reason: str) -> None:
    """Holds a model against the gate and the champion; if it passes, it is champion."""
    from pipeline import promote as line

    store = stage.store(params)
    with succession.alone(line.PLACES, store), tempfile.TemporaryDirectory() as folder:
        heirs = line.study(params, stage.read_json(stage.LEADERBOARD))
        sha256 = chosen(model, heirs, ledger.read(line.PLACES.ledger))
        heir = heirs.get(sha256) or succession.former(sha256, store, Path(folder))
        reasons = line.challenge(params, store, heir, reason).reasons
    if reasons:
        raise InputError(f"{heir.card['variant']} did not pass the gate: {'; '.join(reasons)}")
    to_record()


def chosen(model: str, heirs: dict[str, succession.Heir], entries: list[ledger.Entry]) -> str:
    """The SHA-256 of the model that a variant's name, a file or the first digits of its hash name."""
    best = next((sha256 for sha256, heir in heirs.items() if heir.card["variant"] == model), None)
    if best:
        return best
    known = former(entries) | {sha256: heir.card["variant"] for sha256, heir in heirs.items()}
    path = Path(model)
    return lineage.whole(checkpoint.digest(path) if path.is_file() else model, known)


def former(entries: list[ledger.Entry]) -> dict[str, str]:
    """Every model that the ledger names as champion, with its variant."""
    return {entry["to"]: entry["variant"] for entry in entries}


def rollback(params: stage.Params, *, model: str | None, reason: str) -> None:
    """Makes a former champion champion again, once it has loaded and held the floor and the budgets."""
    from pipeline import promote as line

    store = stage.store(params)
    with succession.alone(line.PLACES, store), tempfile.TemporaryDirectory() as folder:
        champion, entries = succession.present(line.PLACES), ledger.read(line.PLACES.ledger)
        sha256 = lineage.whole(model, former(entries)) if model else ledger.before(entries)
        if champion and champion.sha256 == sha256:
            raise InputError(f"{champion.title} is the champion already")
        heir = line.study(params, stage.read_json(stage.LEADERBOARD)).get(sha256)
        heir = heir or succession.former(sha256, store, Path(folder))
        if heir.card["classes"] != params.classes:
            raise InputError(f"{heir.title} tells other classes apart, expected {', '.join(params.classes)}")
        verdict = line.judge(params, heir, None)
        if not verdict.passed:
            raise InputError(f"{heir.title} is not put back: {'; '.join(verdict.reasons)}")
        line.succeed(params, store, heir, verdict, action=ledger.ROLLBACK, reason=reason)
    to_record()


def to_record() -> None:
    """Says what git does not know yet."""
    print("dvc repro notes it in dvc.lock; then commit that and promotions.jsonl")


def status(params: stage.Params, *, url: str, mend: bool) -> None:
    """Who is champion, who leads, and whether the ledger, MLflow, BentoML and a running server agree."""
    from pipeline.status import status

    status(params, url=url, mend=mend)


def trace(params: stage.Params, *, subject: str) -> None:
    """Where a model comes from, or where a data set went."""
    from pipeline.trace import trace

    trace(params, subject)


def runs(params: stage.Params) -> None:
    """Fills MLflow from the files with the runs that it does not know, as in a clone that pulled."""
    from pipeline.runs import runs

    runs(params)


def parsed(words: list[str] | None) -> argparse.Namespace:
    """The command line as the function to call and its arguments."""
    parser = argparse.ArgumentParser(prog="digitline", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(work: stage.Work) -> argparse.ArgumentParser:
        added = commands.add_parser(work.__name__, help=work.__doc__, description=work.__doc__)
        added.set_defaults(work=work)
        return added

    asked = command(status)
    asked.add_argument("--url", default=SERVER, help="of a running server, by default %(default)s")
    asked.add_argument("--mend", action="store_true", help="let MLflow and BentoML follow models/champion")
    asked = command(promote)
    asked.add_argument("model", help="a variant, a model's file, or the first digits of its SHA-256")
    asked.add_argument("--reason", default="by hand", help="for the ledger")
    asked = command(rollback)
    asked.add_argument("model", nargs="?", help="the first digits of its SHA-256; without, the champion before")
    asked.add_argument("--reason", required=True, help="for the ledger")
    command(trace).add_argument("subject", help="a hash or its first digits, an answer's JSON file, a container image")
    command(runs)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Runs the command; what a user can mend ends in one sentence and exit status 1."""
    arguments = vars(parsed(words))
    stage.end_well(arguments.pop("work"), **arguments)


if __name__ == "__main__":
    main()
